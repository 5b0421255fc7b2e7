# Sparekey: what one types. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .sparekey
CLIENTS := tests/e2e/compatibility
SOURCES = $(wildcard src tests bench docs/conf.py)

.DEFAULT_GOAL := help
.PHONY: help setup up test test-long test-clients compatibility pictures check bench docs lock clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sparekey needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing Sparekey into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements/test.txt
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

setup: $(VENV)/run.stamp ## install into .venv; the command is .venv/bin/sparekey

up: setup ## start the platform: demo account, three keys, a live market
	@$(BIN)/sparekey up --data $(DATA)

test: $(VENV)/test.stamp ## run the tests, side by side (under five minutes)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-long: $(VENV)/test.stamp ## run the tests that take minutes
	@$(BIN)/python -m pytest -m long --timeout 1200

$(VENV)-freqtrade/stamp: requirements/freqtrade.txt
	@echo "Installing freqtrade into $(VENV)-freqtrade …"
	@test -x $(VENV)-freqtrade/bin/python || $(PYTHON) -m venv $(VENV)-freqtrade
	@$(VENV)-freqtrade/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)-nautilus/stamp: requirements/nautilus.txt
	@echo "Installing nautilus_trader into $(VENV)-nautilus …"
	@test -x $(VENV)-nautilus/bin/python || $(PYTHON) -m venv $(VENV)-nautilus
	@$(VENV)-nautilus/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)-unicorn/stamp: requirements/unicorn.txt
	@echo "Installing unicorn-binance-* into $(VENV)-unicorn …"
	@test -x $(VENV)-unicorn/bin/python || $(PYTHON) -m venv $(VENV)-unicorn
	@$(VENV)-unicorn/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CLIENTS)/node/node_modules/stamp: $(CLIENTS)/node/package-lock.json
	@command -v npm >/dev/null || { echo "node and npm are missing. On Debian: apt install nodejs npm"; exit 1; }
	@echo "Installing the Node client into $(CLIENTS)/node …"
	@cd $(CLIENTS)/node && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

test-clients: $(VENV)/test.stamp $(VENV)-freqtrade/stamp $(VENV)-nautilus/stamp $(VENV)-unicorn/stamp $(CLIENTS)/node/node_modules/stamp ## run clients as they come against a server, held against docs/compatibility.md
	@SPAREKEY_FREQTRADE=$(VENV)-freqtrade/bin SPAREKEY_NAUTILUS=$(VENV)-nautilus/bin SPAREKEY_UNICORN=$(VENV)-unicorn/bin $(BIN)/python -m pytest -m clients $(ARGS)

compatibility: ## (maintainers) run the clients and write docs/compatibility.md
	@SPAREKEY_COMPATIBILITY=renew $(MAKE) test-clients

pictures: $(VENV)/test.stamp ## (maintainers) take the console's pictures in docs/screenshots anew; look at each
	@SPAREKEY_PICTURES=renew $(BIN)/python -m pytest -m long tests/e2e/console/test_pictures.py

check: $(VENV)/test.stamp ## lint, types, import directions
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "Run: $(BIN)/ruff format $(SOURCES)"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

$(VENV)-bench/stamp: requirements/bench.txt
	@echo "Installing the FastAPI peer into $(VENV)-bench …"
	@test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench: $(VENV)/test.stamp $(VENV)-bench/stamp ## measure, with peers in the same run (ARGS="--only gate --quick")
	@$(BIN)/python -m bench --fastapi $(VENV)-bench/bin/python $(ARGS)

$(VENV)-docs/stamp: requirements/docs.txt
	@test -x $(VENV)-docs/bin/python || $(PYTHON) -m venv $(VENV)-docs
	@$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

docs: $(VENV)-docs/stamp ## build the documentation into docs/_build/html
	@$(VENV)-docs/bin/sphinx-build -q -W -b html docs docs/_build/html

# The tests' lock comes first and binds the user's, so that nobody runs a version that no test has seen.
UV ?= uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate $(UPGRADE)
lock: ## (maintainers) compile the lock files; needs uv; UPGRADE=--upgrade takes the newest
	$(COMPILE) -o requirements/test.txt pyproject.toml --group test
	$(COMPILE) -o requirements/run.txt pyproject.toml --group build --constraints requirements/test.txt
	$(COMPILE) -o requirements/docs.txt --group docs
	$(COMPILE) -o requirements/bench.txt --group bench
	$(COMPILE) -o requirements/freqtrade.txt --group freqtrade
	$(COMPILE) -o requirements/nautilus.txt --group nautilus
	$(COMPILE) -o requirements/unicorn.txt --group unicorn
	cd $(CLIENTS)/node && npm install --package-lock-only --silent

clean: ## remove environments and caches
	@rm -rf $(VENV) $(VENV)-freqtrade $(VENV)-nautilus $(VENV)-unicorn $(CLIENTS)/node/node_modules $(VENV)-docs $(VENV)-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis docs/_build
