# make train | test | test-all | lint | docs | site | notebook, each setting itself up in a virtual environment; PYTHON=python3.12 for another.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV ?= .venv-$(VERSION)
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint docs site notebook clean

help:
	@echo 'make setup | train | test | test-all | lint | docs | site | notebook | clean   [PYTHON=python3.12] [VENV=DIR]'

setup: $(READY)

$(READY): requirements.txt requirements-dev.txt
	@test -n '$(VERSION)' || { echo 'error: $(PYTHON) does not run; name an interpreter: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'error: Python $(VERSION) is too old; 3.11 or later is needed: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $(READY)

train: $(READY)
	$(BIN)/python launch.py --config=configs/cifar_ctc.py:cpu

test: $(READY) lint
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow'

test-all: $(READY) lint
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m ctc_jax.gradients.table docs/gradients.md

# In an environment of its own: no test needs it, and it needs nothing of the others.
site:
	test -x $(VENV)-docs/bin/mkdocs || $(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict

notebook: $(READY)
	$(BIN)/python -m jupyter execute --inplace notebooks/idea.ipynb notebooks/explore.ipynb

clean:
	rm -rf .venv-*
