# make demo, make test: each enough on a fresh machine with Python >= 3.10, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: venv demo test test-heavy bench bench-long lint clean

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable ".[dev,train]"
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

$(VENV)/bench: $(VENV)/installed bench/requirements.txt
	$(PIP) --editable ".[dev,train,bench]"
	$(PIP) --no-deps --requirement bench/requirements.txt
	touch $@

bench: $(VENV)/bench
	$(BIN)/python -m bench

bench-long: venv
	$(BIN)/python -m bench long-video

clean:
	rm -rf $(VENV) out build dist
