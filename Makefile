# Matrix. `make run` and open the address it prints.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Compiled modules are kept, whatever the shell says: else each of the many processes compiles all it imports again.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
BIN := .venv/bin
T ?= tests
BOOTSTRAP := command -v $(PYTHON) > /dev/null || { \
  echo "matrix: There is no $(PYTHON) here: install Python 3.11 or newer." >&2; exit 1; }; \
  exec $(PYTHON) matrix_app/up/bootstrap.py

##@ Use
.PHONY: run
run: ## Install what is missing, build, start, and print the address and the demo accounts
	@$(BOOTSTRAP)
	@exec $(BIN)/matrix up --with-parent

.PHONY: reset
reset: ## Delete this copy's data (MATRIX_DATA_DIR, else ./data) after asking
	@$(BOOTSTRAP)
	@exec $(BIN)/matrix reset

.PHONY: clean
clean: ## Delete everything made here but the data: packages, compiled pages, caches
	rm -rf .venv .web .web.ready .ruff_cache .pytest_cache .hypothesis .import_linter_cache .venv.lock assets/external
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Work on it
.PHONY: dev
dev:
	@$(BOOTSTRAP) dev

.PHONY: test
test: lint chromium anvil moto ## Everything: lint, types, import and house rules, unit, integration, API and browser tests (T=path for some)
	@# Types take one core for a minute, and news of vulnerabilities come from elsewhere: both are asked for beside the
	@# tests, and told of at the end. House rules are one of the tests. Three at once, because tests wait for processes.
	@said=$$(mktemp); $(BIN)/basedpyright --level error > $$said 2>&1 & types=$$!; \
	news=$$(mktemp); $(BIN)/python -m tests.tools.audit > $$news 2>&1 & audit=$$!; \
	trap 'kill $$types $$audit 2> /dev/null; rm -f $$said $$news' EXIT; trap 'exit 130' INT TERM; \
	$(BIN)/pytest -n 3 $(T); tested=$$?; \
	wait $$audit; audited=$$?; wait $$types; typed=$$?; cat $$news $$said; \
	if [ $$tested -ne 0 ]; then exit $$tested; fi; if [ $$audited -ne 0 ]; then exit $$audited; fi; exit $$typed

.PHONY: test-deep
test-deep: dev chromium anvil moto ## The long runs that `make test` leaves out, about two hours (T=path for some)
	@$(BIN)/pytest -n 2 -m deep $(T)

.PHONY: check
check: rules ## Lint, format, types, import and house rules, known vulnerabilities that a newer version mends
	@$(BIN)/basedpyright --level error

.PHONY: lint
lint: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

.PHONY: rules
rules: lint
	@$(BIN)/python -m tests.tools.house_rules
	@$(BIN)/python -m tests.tools.audit --strict

.PHONY: audit
audit: dev ## Fail if a locked package has a known vulnerability and a fixed version
	@$(BIN)/python -m tests.tools.audit --strict

.PHONY: format
format: dev ## Put every Python file into the one format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: bench
bench: dev chromium ## Benchmarks, as ratios; also saved as JSON
	@$(BIN)/python -m tests.bench

.PHONY: shot
shot: dev chromium ## Pictures of a page in both themes and on a phone (PAGE=/portal)
	@$(BIN)/python -m tests.tools.shot $(PAGE)

.PHONY: pictures
pictures: dev chromium ## Take the gallery's reference pictures anew, to be looked at before they are committed
	@MATRIX_PICTURES=renew $(BIN)/pytest -n 0 -q tests/e2e/test_gallery_pictures.py
	@git status --short tests/e2e/pictures

.PHONY: chromium
chromium:
	@$(BIN)/python -m tests.tools.chromium

.PHONY: anvil
anvil:
	@$(BIN)/python -m tests.tools.anvil

.PHONY: moto
moto:
	@$(BIN)/python -m tests.tools.moto

.PHONY: lock
lock: dev ## Lock the newest versions that requirements*.in allow (U=1 also raises those already locked)
	@for set in uv "" dev; do \
	  name=requirements$${set:+-$$set}; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header $${U:+--upgrade} $$name.in -o $$name.txt || exit 1; \
	done
	@$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-emit-index-url --no-header $${U:+--upgrade} \
	  requirements-model.in -o requirements-model.txt
	@for set in requirements-pkcs11 tests/fakes/kms/requirements; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header $${U:+--upgrade} $$set.in -o $$set.txt || exit 1; \
	done
	@$(BIN)/python -m tests.tools.audit --strict

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nMATRIX_PORT and MATRIX_DATA_DIR choose port and data folder, so that copies run side by side.\n'
