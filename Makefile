# Every target makes the virtual environment it needs: Python 3.11 or newer and git are enough.
#
#   make ops      build specs/ into generated/ and verify every op
#   make test     run all tests
#   make check    what CI runs: format, lint, types, tests, and whether generated/ is what specs/ makes
#   make example  train a small network and a small GPT on generated ops
#   make numerics write the tables of docs/numerics.md anew
#   make bench    time the generated ops beside their peers, and write docs/benchmarks.md anew
#   make format   rewrite the source in the project's format
#   make clean    remove what the other targets made

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help ops test check example numerics bench format clean format-check lint types generated-check

help:
	@sed -n 's/^#   //p' Makefile

# What Python compiles is kept in the environment made here: else every process would compile all of torch again.
unexport PYTHONDONTWRITEBYTECODE

# Reinstalled whenever what is to be installed has changed; Python compiles what is imported, pip would compile all.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	touch $@

ops: $(INSTALLED)
	$(BIN)/tensorgrad-gen build specs --out generated --jobs $(JOBS)
	$(BIN)/tensorgrad-gen verify specs --quick --jobs $(JOBS)

# One thread a process: torch's own threads would compete with the other processes.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: format-check lint types test generated-check

format-check: $(INSTALLED)
	$(BIN)/ruff format --check .

lint: $(INSTALLED)
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

generated-check: $(INSTALLED)
	$(BIN)/tensorgrad-gen check

example: $(INSTALLED)
	$(BIN)/python examples/train_digits.py
	$(BIN)/python examples/train_gpt.py

numerics: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.numerics $(if $(JAX),--jax $(JAX))

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks --keep $(if $(JAX),--jax $(JAX))

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
