# `make` sets up .venv with the pinned versions and runs the embedded experiment. `make test` runs the tests.
# `make miniature` draws every figure of the paper in small. `make bench` measures the engine for benchmarks/README.md.
# `make generated` updates what the code determines: docs/keys.md, config/schema.json, tests/defaults.json, lists, tables.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run miniature test bench generated clean

run: .venv/ready
	$(BIN)/landscape run config/default.yaml

# For every job that ended, Snakemake looks for new ones once in each span. With hundreds of jobs and its default of one
# second, this takes a fifth of a core. With 20 s it also ends 20 s after the last job.
miniature: .venv/ready
	$(BIN)/landscape run config/miniature.yaml --max-jobs-per-timespan 1000/20s

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

generated: .venv/ready
	$(BIN)/python -m landscape.experiment.documentation

clean:
	rm -rf .venv

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev,slurm]'
	@touch $@
