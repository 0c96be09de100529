# make demo, make test: each enough on a fresh machine with Python >= 3.10, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
INSTALL := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: venv demo test test-heavy bench bench-long lint clean

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --editable ".[dev,train]"
	touch $@

demo: venv
	$(BIN)/glocal demo

test: venv lint
	$(BIN)/python -m pytest -n 2 -m "not heavy"

test-heavy: venv
	$(BIN)/python -m pytest -m heavy

lint: venv
	$(BIN)/ruff check src tests bench docs
	$(BIN)/ruff format --check src tests bench docs
	$(BIN)/mypy

# The peers get an environment of their own: one of them needs torchvision, beside which others do not import.
$(BENCH)/installed: pyproject.toml constraints.txt bench/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(INSTALL) --editable ".[bench]"
	$(BENCH)/bin/python $(INSTALL) --no-deps --requirement bench/requirements.txt
	touch $@

bench: $(BENCH)/installed
	$(BENCH)/bin/python -m bench

bench-long: venv
	$(BIN)/python -m bench long-video

clean:
	rm -rf $(VENV) $(BENCH) out build dist
