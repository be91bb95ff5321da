# A fresh machine needs Python 3.11 or newer, make and git. Begin with `make run`.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SHELLFLAGS := -eu -c

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; choose another one with PYTHON=.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
# Many tests wait for servers, so there may be more of them at once than cores.
PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')
COMPILE = $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --quiet \
	--custom-compile-command "make lock"
# Sources of the pages, and of their generated types.
SITE := api/site/ops.html
PAGES := $(wildcard web/*.html web/*.ts web/*.js) web/package.json web/package-lock.json \
	$(shell find web/src web/public -type f ! -name '*.test.ts' ! -name schema.d.ts)
DESCRIBED := $(shell find api services db -name '*.py')
TYPES := web/src/api/schema.d.ts

.PHONY: access pictures help run setup web test check bench chaos load rabbitmq lock clean develop peers peer-swift peer-clients peer-packages

help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

run: setup ## Set up, process a sample (or FILE=talk.mp4), then serve at http://127.0.0.1:8000 until Ctrl-C
	@$(BIN)/snuggles up --demo $(if $(FILE),--file '$(FILE)') $(ARGS)

# A failed build of the pages does not stop the setup, because everything else works without them.
setup: $(VENV)/.installed ## Install the command as .venv/bin/snuggles
	@$(MAKE) --no-print-directory web || echo 'The pages for browsers were not built (see above); all else works. Try again: make web' >&2

web: $(SITE) ## Build the pages for browsers

develop: $(VENV)/.installed-dev web/node_modules/.installed-dev ## Install the tools for development

test: develop web ## Run all tests; ARGS= for pytest
	@$(MAKE) --no-print-directory -j 3 peers
	@web/npm run --silent test
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

# What tests talk to that no package of ours brings; packages of the system are installed one after the other.
peers: peer-swift peer-clients peer-packages

peer-swift peer-clients: | develop
	@tests/venv.sh $(@:peer-%=%)

peer-packages:
	@tests/oldest_postgres.sh
	@tests/rabbitmq.sh
	@tests/chromium.sh

check: develop $(TYPES) ## Check lint, format, types and imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@web/npm run --silent types
	@web/npm run --silent lint

access: develop ## Write docs/access.md from the schema and the routes
	@PYTHONPATH=tests $(BIN)/python -m support.access

pictures: develop web ## Take the pictures of the README again
	@$(BIN)/pytest -n 0 -q tests/browser/test_app.py -k 'fits and 1280-light'
	@cp .cache/pictures/recording-1280-light.png docs/images/recording.png

bench: $(subst _,-,$(patsubst bench/bench_%.py,bench-%,$(wildcard bench/bench_*.py))) bench-highlights ## Run all benchmarks, or bench-NAME for one

bench-highlights: develop
	@$(BIN)/python bench/highlights/bench_highlights.py $(ARGS)

bench-%: develop
	@PYTHONPATH=tests $(BIN)/python bench/bench_$(subst -,_,$*).py $(ARGS)

load: develop ## Open 600 rooms in a minute at URL= with Artillery; TOKEN= is of a user whose tier has rooms
	@URL='$(or $(URL),http://127.0.0.1:8000)' ARTILLERY_DISABLE_TELEMETRY=true \
		web/npm exec --yes --ignore-scripts --package=artillery@2.0.21 -- artillery run ../bench/rooms.artillery.yml

chaos: develop ## Run long chaos tests; CHAOS_SEED= repeats a storm, CHAOS_SEEDS=20 runs twenty
	@tests/venv.sh swift
	@tests/rabbitmq.sh
	@CHAOS=$${CHAOS-long} $(BIN)/pytest -n 0 tests/chaos tests/browser/test_recording_rooms.py $(ARGS)
	@BILLING_EXAMPLES=2000 $(BIN)/pytest -n 0 tests/integration/test_billing_permutations.py $(ARGS)

rabbitmq: develop ## Run the tests with RabbitMQ as the broker
	@tests/rabbitmq.sh
	@$(BIN)/pytest -n 0 tests/chaos/test_rabbitmq.py $(ARGS)

lock: develop ## Lock the newest versions that pyproject.toml allows
	@$(COMPILE) --upgrade --group build pyproject.toml -o requirements.lock
	@$(COMPILE) --group build --group dev --constraints requirements.lock pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --upgrade --group pyproject.toml:web -o requirements-web.lock
	@web/npm update --package-lock-only

clean: ## Remove generated files; data in .snuggles stay
	@rm -rf $(VENV) .cache api/site web/node_modules web/openapi.json $(TYPES)
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each step runs again only when its sources change.
$(VENV)/.made:
	@if [ -z '$(PYTHON)' ]; then echo 'Python 3.11 or newer is missing; install it, or name one with PYTHON=.' >&2; exit 3; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null; \
		else \
			echo 'The module venv of Python is missing; on Debian and Ubuntu: sudo apt-get install python3-venv' >&2; exit 3; \
		fi; \
	fi
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.made
	@echo 'installing into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo 'installing development tools into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The tools that build the pages, and with -dev those that check them. `npm ci` empties the folder, so the stamps are in it.
# The pages depend on the lock file and not on a stamp, so that installing tools does not cause another build.
web/node_modules/.installed: web/package-lock.json web/.npmrc | $(VENV)/.installed
	@echo 'installing what builds the pages into web/node_modules'
	@web/npm ci --omit=dev --loglevel=error >/dev/null
	@touch $@

web/node_modules/.installed-dev: web/package-lock.json web/.npmrc | $(VENV)/.installed
	@echo 'installing what builds and checks the pages into web/node_modules'
	@web/npm ci --loglevel=error >/dev/null
	@touch web/node_modules/.installed $@

$(SITE): $(PAGES) | web/node_modules/.installed
	@echo 'building the pages'
	@web/npm run --silent build -- --logLevel warn
	@touch $@

$(TYPES): $(DESCRIBED) web/package-lock.json | web/node_modules/.installed-dev
	@$(BIN)/python -m api.describe web/openapi.json web/src/api/room_events.ts
	@web/npm run --silent describe
	@touch $@
