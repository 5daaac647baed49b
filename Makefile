# The commands of this project. Each sets up what it needs; nothing is installed outside .venv and the cache folder.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-cluster serve test check bench lock

help:
	@echo "make demo          the whole product on this machine, without any account"
	@echo "make demo-cluster  the same, against a real Kubernetes API server built for the tests"
	@echo "make test          all tests that this machine has the parts for"
	@echo "make check         format, lint, layers, types, drift"
	@echo "make serve         the service, configured by the environment (see README)"
	@echo "make bench         times, each as a ratio to a bare baseline"

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with 'make PYTHON=python3.13 …'."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python's venv module is incomplete here; install it (Debian: python3-venv)."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/incident-resolver demo $(ARGS)

demo-cluster: setup
	$(BIN)/python -m tests.servers.demo $(ARGS)

serve: setup
	$(BIN)/incident-resolver serve $(ARGS)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m tests.drift
	$(BIN)/deptry .

bench: setup
	$(BIN)/python -m tests.benchmarks

# Needs uv; run after changing dependencies in pyproject.toml.
lock: requirements-build.in
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q pyproject.toml \
		-o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q pyproject.toml \
		--extra demo --group dev -o requirements-dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q requirements-build.in \
		-c requirements-dev.lock -o requirements-build.lock
