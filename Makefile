# `make demo` and `make test` each set up their own .venv first; nothing else is needed but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all check docs clean

demo: .venv/installed
	$(BIN)/lifelong run refresh-learning

test: .venv/installed-dev check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

test-all: .venv/installed-dev check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/pyright

docs: .venv/installed-docs
	$(BIN)/python -m sphinx -q -W -b html docs site
	$(BIN)/lifelong atlas build --out site/atlas --docs ../

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'lifelong needs Python 3.11 or newer; say which: make PYTHON=python3.12 …')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv
