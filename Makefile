# Everything is installed into .venv from requirements.lock (hashes checked); nothing else is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check bench shots docs lock clean help

help:            ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort

demo: $(STAMP)   ## open the console on the embedded sandbox
	@$(BIN)/mailtui demo $(ARGS)

test: $(STAMP)   ## run the tests
	$(BIN)/pytest -n 2 $(ARGS)

check: $(STAMP)  ## lint, types, import contracts
	$(BIN)/ruff check mailtui tests lab
	$(BIN)/ruff format --check mailtui tests lab
	$(BIN)/mypy
	# programs run in the lab's hosts, by their Python and an untyped pika
	$(BIN)/mypy lab tests/lab --exclude '^lab/programs/'
	$(BIN)/lint-imports

bench: $(STAMP)  ## print the ratios
	$(BIN)/python -m tests.bench

shots: $(STAMP)  ## make the README's pictures again
	$(BIN)/python -m docs.shots

docs: $(STAMP)   ## make docs/operations.md again
	$(BIN)/python -m docs.operations

lock:            ## resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-annotate \
	  --no-emit-index-url --python-version 3.11 --upgrade -q -o requirements.lock

clean:           ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: lab lab-down lab-test
lab: $(STAMP)    ## bring the lab up: a platform of real daemons on this machine (root)
	@lab/lab up

lab-test: lab    ## the lab's own tests, then the contract tests on the lab
	MAILTUI_LAB=lab/config.yaml $(BIN)/pytest -m lab tests/lab tests/contract $(ARGS)

lab-down: $(STAMP) ## take the lab down
	@lab/lab down

$(STAMP): requirements.lock pyproject.toml tools/venv.sh
	@tools/venv.sh $(PYTHON) $(VENV)
	@touch $@
