# `make demo` and `make test` set up .venv from pinned versions on their first call and then run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-bench lint types setup check clean

demo: $(VENV)/.ready
	$(BIN)/longderm demo --out demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest --numprocesses 2 --maxschedchunk 1

# Minutes long, and where real photos are at hand (LONGDERM_TEST_DATA).
test-bench: $(VENV)/.ready-dev
	$(BIN)/python -m pytest tests/bench

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

check: lint types test

setup: $(VENV)/.ready-dev

# torch comes first and pinned: another package's looser range would fetch another, larger build.
$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo
