# The commands of this project. Everything lands in .venv and build/ inside the clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: help run install test lint types unit oldest faults bench demo schemas docs wheel clean

help:  ## show what can be done
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | column -t -s '|'

PIP = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

run: $(VENV)/.run  ## the virtual environment with what opsctl itself needs

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

install: $(VENV)/.installed  ## the virtual environment with everything in it

$(VENV)/.installed: $(VENV)/.run
	$(PIP) --editable '.[dev]'
	@touch $@

test: install lint types unit oldest  ## lint, types, all tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 --cache-dir .mypy_cache/agent agent

unit: install
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

oldest: install  ## the agent's unit tests under the oldest Python of this machine that it promises
	$(BIN)/python -m tests.oldest -n $(WORKERS) --dist loadfile

faults: install  ## faults at full counts, on every Debian release and Python; takes long
	OPSCTL_FAULTS=full $(BIN)/python -m tests.matrix -n $(WORKERS) --dist loadfile --timeout 7200

bench: install  ## measure, print a table, write build/bench.json
	$(BIN)/python -m tests.bench

demo:  ## three throwaway real nodes, driven by a repository; KEEP=1 leaves them running
	$(PYTHON) -m tests.demo

schemas: install  ## write schemas/ from the models
	$(BIN)/python -m reconciler.schemas

docs: install  ## write the generated pages of docs/
	$(BIN)/python -m tests.docs

wheel: install  ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean:  ## remove what the targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
