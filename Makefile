# Everything that needs Python runs in .venv, which is made from pyproject.toml and constraints.txt.
# `make demo` and `make test` do all the set-up themselves. On Windows, see the README.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test quick lint types floors check picture bench constraints dist clean

demo: $(INSTALLED)
	$(BIN)/loadsim run scenarios/quickstart.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 5 --dist loadfile --cov=loadsim --cov-report=term:skip-covered --cov-fail-under=80

quick: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not network"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-dev
	$(BIN)/mypy

floors: $(VENV)/.installed-dev
	$(BIN)/lint-imports

check: lint types floors test

picture: $(VENV)/.installed-dev
	$(BIN)/python docs/make_picture.py docs/console.svg

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

constraints: $(VENV)/.installed-dev
	$(BIN)/python -m pip freeze --exclude-editable > constraints.new
	(echo "# The versions that loadsim is developed and tested with; written by 'make constraints'."; \
	  grep -v -e '^pip==' -e '^setuptools==' -e '@' constraints.new) > constraints.txt
	rm constraints.new

dist: $(VENV)/.installed-dev
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("loadsim needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	touch $@
