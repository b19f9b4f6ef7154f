# Needs make and Python 3.11 or later with venv; all else goes into .venv, from the hashed locks.

PYTHON ?= python3
BIN := .venv/bin
CHECKOV := .venv/checkov
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install
# The locks hold every extra: `make demo`, `make test` and the image use all of them.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
PEERS := benchmarks/peers/requirements
# The processes that tests start share compiled files.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest
LOCKED := \# Made by `make lock` from pyproject.toml.

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-long test-rabbitmq4 crash chaos check-alerts check-image check-k8s lint bench-polling bench-rate-limits bench-bulk bench-storage bench-waiting \
	bench-peers bench-scaling contract new-command lock clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name what; \
		do printf '  %-18s %s\n' "$$name" "$$what"; done

demo: .venv/run.stamp ## Run a job at all three vendors' stand-ins; FILE=my.csv takes your own records
	@$(BIN)/kyb demo $(if $(FILE),"$(FILE)")

test: .venv/dev.stamp ## Run the tests on real RabbitMQ and PostgreSQL (4 minutes); ARGS='-k word' are pytest's
	@$(BIN)/python -m tests.testbed
	@$(PYTEST) -n 3 -m "not long" $(ARGS)

test-fast: .venv/dev.stamp ## Run the unit tests that need no server (a minute)
	@$(PYTEST) -n auto -m "not services and not long" tests/unit $(ARGS)

test-long: .venv/dev.stamp ## Run the tests that `make test` leaves out (3 minutes)
	@$(BIN)/python -m tests.testbed
	@$(PYTEST) -n 2 -m long $(ARGS)

crash: .venv/dev.stamp ## Kill a worker at every single boundary of every command (some minutes)
	@$(BIN)/python -m tests.testbed
	@KYB_TEST_EVERY_BOUNDARY=1 $(BIN)/pytest tests/crash $(ARGS)

test-rabbitmq4: .venv/dev.stamp ## Run what has to do with RabbitMQ on 4.0 and 4.3, fetched from later Debians
	@$(BIN)/python -m tests.testbed --rabbitmq4
	@$(BIN)/python -m tests.testbed.rabbitmq4 4.0 4.3
	@for version in 4.0 4.3; do KYB_TEST_RABBITMQ_VERSION=$$version $(BIN)/pytest -n 2 tests/integration/broker \
		tests/integration/cli/test_broker.py tests/end_to_end/test_interventions.py $(ARGS) || exit; done

chaos: .venv/dev.stamp ## Disturb whole installations in every way (about an hour); writes docs/explanation/reliability.md
	@$(BIN)/python -m tests.testbed --rabbitmq4 --clocks
	@$(BIN)/python -m tests.testbed.rabbitmq4 4.3
	@$(BIN)/python -m tests.chaos --rabbitmq system,4.3 --report docs/explanation/reliability.md $(ARGS)

check-image: .venv/dev.stamp ## Build the image and run it locked down, on real parts (root; 2 minutes, more the first time)
	@$(BIN)/python -m tests.testbed
	@$(BIN)/pytest -q tests/deployment/image/check_image.py $(ARGS)

check-k8s: .venv/checkov.stamp ## Check the production manifests with checkov; `make test` checks the rest
	@$(BIN)/kubectl kustomize k8s/prod > .venv/prod.yaml
	@$(CHECKOV)/bin/checkov --skip-download --framework kubernetes --compact --quiet --file .venv/prod.yaml \
		--skip-check CKV_K8S_15,CKV_K8S_43  # a release replaces the tag of the placeholder by a digest

check-alerts: .venv/dev.stamp ## Check alerts, dashboard and a real scrape with promtool
	@$(BIN)/python -m tests.deployment.alerts

lint: .venv/dev.stamp ## Check format, rules, layers, types and words
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/python .ci/prose.py

.PHONY: format docs
format: .venv/dev.stamp ## Format the code, and fix what ruff can fix
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

docs: .venv/dev.stamp ## Build the documentation into site/; broken links fail it
	@$(BIN)/zensical build --strict --clean

bench-polling: .venv/dev.stamp ## Compare the polling policy with the usual ones and with the optimum (1 to 4 minutes)
	@$(BIN)/python -m benchmarks.polling --write docs/benchmarks

bench-rate-limits: .venv/dev.stamp ## Measure detection delays under a vendor's rate limit (about 18 minutes)
	@$(BIN)/python -m tests.testbed
	@$(BIN)/python -m benchmarks.rate_limits --write docs/benchmarks

bench-waiting: .venv/dev.stamp ## Measure what 100,000 waiting jobs cost, and how late their turns are
	@$(BIN)/python -m tests.testbed
	@$(BIN)/python -m benchmarks.waiting --write docs/benchmarks

new-command: .venv/dev.stamp ## Write the four files of a new command: NAME=data8.archive_dataset
	@$(BIN)/python -m tests.support.new_command "$(NAME)"
	@$(BIN)/ruff check --select I --fix --quiet messages workers/jobs
	@$(BIN)/ruff format --quiet messages workers/jobs tests/commands

contract: .venv/run.stamp ## Update docs/contract and the generated parts of the pages; ends with 1 if a change breaks the contract
	@$(BIN)/kyb contract --check docs/contract --output docs/contract --pages docs/reference --pages README.md

bench-bulk: .venv/dev.stamp ## Move a million rows, 2 GB and 200,000 names, against baseline loops (about 20 minutes)
	@$(BIN)/python -m benchmarks.bulk --write docs/benchmarks

bench-storage: .venv/dev.stamp ## Measure reading and writing on each kind of storage (about 2 minutes)
	@$(BIN)/python -m tests.testbed
	@$(BIN)/python -m benchmarks.storage --write docs/benchmarks

bench-scaling: .venv/dev.stamp ## Measure what a job costs of each resource, and project it to ten million jobs a day
	@$(BIN)/python -m tests.testbed
	@$(BIN)/python -m benchmarks.scaling --write docs/benchmarks

bench-peers: .venv/dev.stamp .venv-peers/stamp ## Run the same jobs with Celery, Dramatiq, TaskIQ and DBOS (about 37 minutes)
	@$(BIN)/python -m tests.testbed
	@$(BIN)/python -m benchmarks.peers --write docs/benchmarks $(ARGS)

lock: ## Write the locks anew after a change of dependencies (needs uv); UPGRADE=--upgrade takes the newest
	@$(LOCK) $(UPGRADE) --all-extras --group build pyproject.toml --output-file requirements.txt >/dev/null
	@$(LOCK) $(UPGRADE) --all-extras --group build --group dev --constraint requirements.txt pyproject.toml \
		--output-file requirements-dev.txt >/dev/null
	@for lock in requirements.txt requirements-dev.txt; \
		do { echo '$(LOCKED)'; grep -v '^#' $$lock; } > $$lock.new && mv $$lock.new $$lock; done
	@$(LOCK) $(UPGRADE) --no-annotate $(PEERS).in --output-file $(PEERS).txt >/dev/null

clean: ## Remove the virtual environment and all caches
	@rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache build site *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or later is needed: make PYTHON=/path/to/python3 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv is missing: install the package python3-venv" >&2; exit 1; }
	@echo 'Setting up .venv (once) …' >&2
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/checkov.stamp: .venv/dev.stamp
	@$(PYTHON) -m venv $(CHECKOV)
	@$(CHECKOV)/bin/pip -qq --disable-pip-version-check install checkov==3.3.30
	@touch $@

.venv/run.stamp: .venv/python.stamp requirements.txt pyproject.toml
	@$(PIP) --require-hashes --requirement requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt
	@$(PIP) --require-hashes --requirement requirements-dev.txt
	@touch $@

.venv-peers/stamp: benchmarks/peers/requirements.txt
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip -qq --disable-pip-version-check install --require-hashes --requirement $<
	@touch $@
