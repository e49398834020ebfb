# make demo   install, train a small potential, relax and run MD with the embedded one; results in demo_output/
# make test   install, run the tests
# make lint   install, ruff and mypy
# Another interpreter: make demo PYTHON=python3.12. Options of pytest: make test PYTEST_ARGS="-k eos -x".
# With the tests that need phono3py and DGL (Python 3.11 or older): make test EXTRAS=test,dgl,conductivity.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint clean

# Small tensors: one thread a process is fastest, and leaves a core to the other test worker.
export OMP_NUM_THREADS ?= 1

help:
	@sed -n 's/^# //p' Makefile | head -5

demo: $(VENV)/installed-demo
	$(VENV)/bin/python examples/demo.py

test: $(VENV)/installed-$(EXTRAS)
	$(VENV)/bin/python -m pytest -n logical --maxprocesses 8 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy alignn_ff

# What was installed for one purpose, and when; a change of the files on the right installs anew.
INPUTS := setup.cfg pyproject.toml constraints.txt

$(VENV)/installed-demo: $(INPUTS) | $(VENV)/bin/pip
	$(call install,.)
	@touch $@

$(VENV)/installed-dev: $(INPUTS) | $(VENV)/bin/pip
	$(call install,.[dev])
	@touch $@ $(VENV)/installed-test $(VENV)/installed-demo

$(VENV)/installed-%: $(INPUTS) | $(VENV)/bin/pip
	$(call install,.[$*])
	@touch $@ $(VENV)/installed-demo

install = $(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '$(1)'

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.10 to 3.13 is needed: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) demo_output
