# `make` alone lists the targets. The files in scripts/ do the longer work.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run stack up test test-long test-quick coverage soak bench curves lint format hooks dashboards lock clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

# pip's builds take their exact versions from the constraints as well (two names: older and newer pip).
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
# Empty is unset: where an environment forbids bytecode caches (containers' often do), each start of a gate compiles
# the application, a third more work, and tests start hundreds of them.
export PYTHONDONTWRITEBYTECODE :=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed ## Make .venv and install the gate in it

run: $(VENV)/.installed ## Install, then serve in the foreground
	@exec $(BIN)/tidegate serve

stack: $(VENV)/.installed ## The gate with Prometheus and Alertmanager, without containers; Ctrl-C stops it
	@scripts/system-packages prometheus:prometheus prometheus-alertmanager:prometheus-alertmanager
	@exec $(BIN)/python scripts/stack.py

up: ## The whole stack in containers, Grafana included (docker compose)
	@scripts/secrets
	@docker compose up --detach --build --wait

test: $(VENV)/.installed-dev ## Run all tests (installs missing system packages where it may)
	@scripts/system-packages
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.installed-dev ## Run the tests that `make test` leaves out for their time: every fault, through every network
	@scripts/system-packages
	@scripts/system-packages buildah:buildah mmdebstrap:mmdebstrap
	@$(BIN)/python -m pytest -m long -n 2

QUICK := tests/unit -m 'not server and not slow' -n 3

test-quick: $(VENV)/.installed-dev ## Run the unit tests that start no server: under a minute
	@$(BIN)/python -m pytest $(QUICK)

coverage: $(VENV)/.installed-dev ## The same, and tell which branches of app/ they take
	@$(BIN)/python -m pytest $(QUICK) -q --cov --cov-report=term:skip-covered

MINUTES := 60
soak: $(VENV)/.installed-dev ## Does memory stay flat? MINUTES=60, CONSUMER=1: beside a consumer, LEAK_MB_PER_HOUR=20: has to fail
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) --leak $(or $(LEAK_MB_PER_HOUR),0) $(if $(CONSUMER),--consumer)

bench: $(VENV)/.installed-dev ## Tidegate beside its rivals, every row of the README's table (some 23 minutes)
	@$(BIN)/python -m benchmarks.bench $(BENCH)

curves: $(VENV)/.installed-dev ## How cost grows with batches, connections, entries, payload, duplicates, rate (some 38 minutes)
	@$(BIN)/python -m benchmarks.curves $(CURVES)

lint: $(VENV)/.installed-dev ## Check style, formatting, types, layers, shape and docstrings
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/shape.py
	@$(BIN)/python scripts/docstrings.py

format: $(VENV)/.installed-dev ## Format the code and apply the safe fixes
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

hooks: $(VENV)/.installed-dev ## Let git run the checks before each commit
	@$(BIN)/pre-commit install

dashboards: $(VENV)/.installed-dev ## Write grafana/dashboards/*.json from the Python sources, and their ConfigMaps
	@$(BIN)/python -m grafana.build
	@$(BIN)/python scripts/dashboard_configmaps.py

lock: ## Renew constraints.txt from the newest versions
	@scripts/lock constraints.txt

clean: ## Remove the environment, caches and build output
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis \
		.import_linter_cache .coverage
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# Both stamps follow the two files, and the second waits for the first: pip never runs twice at a time.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Tidegate in $(VENV)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.installed
	@echo "Installing the development tools in $(VENV)"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(BIN)/pip:
	@python=$$(scripts/find-python) && "$$python" -m venv $(VENV)
