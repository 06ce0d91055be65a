# `make` sets up .venv with the pinned versions and runs the embedded experiment; `make test` runs the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test clean

run: .venv/ready
	$(BIN)/landscape run config/default.yaml

test: .venv/ready
	$(BIN)/python -m pytest

clean:
	rm -rf .venv

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev,slurm]'
	@touch $@
