# Needs Python 3.11 or newer and make: the first call of any target sets up .venv. `make e2e` and `make lab` need Go,
# and root for Debian packages and a network namespace.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p) 2>/dev/null),$(p))))
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test sweep e2e rollout lab lint bench

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no python3 found; install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; set PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python e2e/demo.py

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: lint
	@$(BIN)/python -m pytest -q

sweep: $(READY)
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m sweep tests

# Real servers come from PROVIDER: lab (built here from source), kind (Docker), kubeconfig (the cluster of KUBECONFIG).
PROVIDER ?= lab
e2e: $(READY) $(if $(filter lab,$(PROVIDER)),lab)
	@MESHUP_E2E_PROVIDER=$(PROVIDER) PYTHON=$(BIN)/python e2e/run.sh

# The whole main job on a real cluster, under callers that never stop; `make e2e` has it too.
rollout: $(READY) lab
	@$(BIN)/python -m pytest -q -s -m rollout e2e/rollout

lab: $(READY)
	@$(BIN)/python -m e2e.lab build
	@$(BIN)/python -m e2e.lab images

bench: $(READY)
	@$(BIN)/python e2e/bench/run.py
