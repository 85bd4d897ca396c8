# Rollcall's commands. Each sets itself up: a fresh clone needs nothing but Python 3.11.

PYTHON ?= python3
BIN := .venv/bin
PURE := registrations/records.py registrations/values.py registrations/intervals.py registrations/waves.py \
	registrations/landing.py registrations/windows.py registrations/draining.py registrations/incidents registrations/binding.py \
	registrations/keeping.py registrations/explaining.py registrations/sip \
	registrations/redundancy.py registrations/report.py registrations/plan.py registrations/course.py \
	registrations/errands.py registrations/agent.py registrations/judging.py registrations/resuming.py registrations/recovery.py \
	registrations/trace fleet/formats

.DEFAULT_GOAL := help
.PHONY: help run test lint compile interpreted bench simulate fuzz chaos vendor setup setup-dev python-here

help:
	@echo "make run     start Rollcall on http://127.0.0.1:8000 (PORT=... for another port)"
	@echo "make test    everything that must hold: style, types, layers, migrations, tests"
	@echo "make lint    the same without the tests"
	@echo "make compile  the worker's hot rooms as machine code: the same, much cheaper (needs gcc)"
	@echo "make interpreted  undo that"
	@echo "make bench   measure the hot paths on this machine"
	@echo "make simulate  100,000 handsets through a hard day in virtual time (minutes; all cores)"
	@echo "make fuzz    random networks and operators against the agent's invariants, and millions of"
	@echo "             torn messages against all that reads SIP (hours)"
	@echo "make chaos   every fault on 2,000 handsets; writes docs/reliability.md (most of an hour)"
	@echo "make vendor  fetch the front-end files named in package.json again (needs npm)"

setup: python-here
	@$(PYTHON) fleet/config/bootstrap.py

setup-dev: python-here
	@$(PYTHON) fleet/config/bootstrap.py --dev

python-here:
	@command -v $(PYTHON) >/dev/null || { echo "Rollcall needs Python 3.11 or newer and finds no \
	'$(PYTHON)' here; install it, or name it: make ... PYTHON=/path/to/python3.11" >&2; exit 1; }

run: setup
	@DEMO=$${DEMO:-1} exec $(BIN)/python manage.py up

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python manage.py check
	$(BIN)/mypy $(PURE)
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

test: lint
	$(BIN)/pytest

compile: setup-dev
	@$(BIN)/python .ci/compile.py

interpreted:
	@$(PYTHON) .ci/compile.py --undo

bench: compile
	$(BIN)/python -m benchmarks $(BENCH)

simulate: setup-dev
	$(BIN)/python -m benchmarks.simulate $(SIMULATE)

fuzz: setup-dev
	HYPOTHESIS_PROFILE=long $(BIN)/pytest --timeout=0 tests/registrations/test_agent_invariants.py \
		tests/registrations/sip/test_fuzz.py

chaos: setup-dev
	$(BIN)/python -m benchmarks.chaos $(CHAOS)

vendor:
	@$(PYTHON) .ci/vendor.py
