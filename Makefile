# make demo, make test: each enough on a fresh machine with Python >= 3.10, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
INTEGRATIONS := .venv-integrations
PYTHON_FILES := src tests tools bench docs/*.py
INSTALL := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# Dependency groups (dev, bench, dist) need a pip that knows them.
PIP := -m pip --disable-pip-version-check install --quiet "pip>=25.1"
DIST := .venv-dist

.PHONY: venv demo test test-heavy test-peers test-integrations fuzz chaos load models bench bench-long lint docs dist clean

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP)
	$(BIN)/python $(INSTALL) --group dev --editable ".[train,imagenet]"
	# onnx2torch asks for torchvision, which it hardly needs and which does not import beside a CPU build of torch.
	$(BIN)/python $(INSTALL) --no-deps onnx2torch
	touch $@

# make demo VIDEO=my.mp4 explains a video of yours, too.
demo: venv
	$(BIN)/glocal demo $(VIDEO)

test: venv lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not heavy" --cov=glocal --cov-report=term:skip-covered

test-heavy: venv
	$(BIN)/python -m pytest -m heavy

test-peers: $(BENCH)/installed
	$(BENCH)/bin/python -m pytest tests/attribution/test_peers.py

test-integrations: $(INTEGRATIONS)/installed
	OMP_NUM_THREADS=1 $(INTEGRATIONS)/bin/python -m pytest -rs tests/integrations tests/localization/test_exports.py

# Hostile files, then fuzzing of our own readers; with kills and full disks; many users of the server.
MINUTES ?= 10
fuzz: venv
	PYTHONPATH=tests $(BIN)/python -m hostile.fuzz --minutes $(MINUTES)

KILLS ?= 50
chaos: venv
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m hostile.chaos --kills $(KILLS)

load: venv
	PYTHONPATH=tests $(BIN)/python -m hostile.load

lint: venv
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini tests
	$(BIN)/python tools/check_types.py
	$(BIN)/codespell src tests tools bench docs recipes README.md CONTRIBUTING.md CHANGELOG.md Makefile
	$(BIN)/python tools/check_words.py
	$(BIN)/python tools/check_structure.py

# The peers get an environment of their own: one of them needs torchvision, beside which others do not import.
$(BENCH)/installed: pyproject.toml constraints.txt bench/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(PIP)
	$(BENCH)/bin/python $(INSTALL) --group bench --editable .
	$(BENCH)/bin/python $(INSTALL) --no-deps --requirement bench/requirements.txt
	touch $@

$(INTEGRATIONS)/installed: pyproject.toml tests/integrations/requirements.txt
	$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip --disable-pip-version-check install --quiet \
	  --requirement tests/integrations/requirements.txt --editable ".[train]"
	touch $@

bench: $(BENCH)/installed
	$(BENCH)/bin/python -m bench

bench-long: venv
	$(BIN)/python -m bench long-video

# Train the packaged networks again from their recipes: five hours on one core.
models: export OMP_NUM_THREADS = 1
models: venv
	$(BIN)/glocal train recipes/puppets-st-abn-160k.yaml --out runs/puppets-st-abn-160k --resume
	for name in resnext3d-80k resnext3d gated st-abn; do \
	  $(BIN)/glocal train recipes/puppets-$$name.yaml --out runs/puppets-$$name --resume && \
	  $(BIN)/python -c "import sys; from glocal.models.card import pack; pack(*sys.argv[1:])" \
	    runs/puppets-$$name/best.safetensors puppets/$$name || exit 1; \
	done

# The documentation site, in build/site; warnings are errors.
docs: venv
	$(BIN)/python $(INSTALL) --group docs
	$(BIN)/python -m mkdocs build

# Build the sdist and the wheel, check them, and install the wheel in an environment of its own.
dist:
	rm -rf dist $(DIST)
	$(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python $(PIP)
	$(DIST)/bin/python $(INSTALL) --group dist
	$(DIST)/bin/python -m build --outdir dist .
	$(DIST)/bin/python -m twine check --strict dist/*
	$(DIST)/bin/python tools/check_wheel.py dist/*.whl
	$(DIST)/bin/python $(INSTALL) dist/*.whl
	cd dist && ../$(DIST)/bin/glocal --version && ../$(DIST)/bin/glocal models

clean:
	rm -rf $(VENV) $(BENCH) $(INTEGRATIONS) $(DIST) out build dist
