# `make demo` and `make test` need python3 (3.11 or newer), python3-venv, make and pip's network.
# Each makes what it needs in .venv and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test sweep lint typing test-gpu test-wheel test-ccxt docs bench clean
.DEFAULT_GOAL := test

# One stamp an extra: a change of pyproject.toml installs again, nothing else does.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[notify]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.test

demo: $(VENV)/.demo
	$(BIN)/hauberk demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# Every long sweep in full; `make test` runs a seeded tenth of each.
sweep: $(VENV)/.test
	HAUBERK_SWEEP=full $(BIN)/python -m pytest -q -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What a plugin's author is told by mypy: right plugins pass, wrong ones are reported.
typing: $(VENV)/.dev
	$(BIN)/python typing_tests/check.py

# The GPU's kernels: compiled for three architectures, run in a simulator, and on a GPU where one is.
$(VENV)/.gpu: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[test,gpu]'
	@touch $@ $(VENV)/.demo $(VENV)/.test

test-gpu: $(VENV)/.gpu
	$(BIN)/python -m pytest -q -rs tests/plugins/gpu -m gpu

# The distribution as a stranger installs it: built, installed elsewhere, used.
test-wheel: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/packaging -m wheel

# Signing beside ccxt, byte by byte; ccxt has an environment of its own, since it pins much.
PEER := .venv-ccxt
$(PEER)/.made: tests/peer_signing/requirements.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/pip install --quiet --requirement $<
	@touch $@

# The newest ccxt whose lists of endpoints were reviewed, and behind which the clients are tried.
NEWEST := .venv-ccxt-newest
$(NEWEST)/.made: tests/peer_operations/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/pip install --quiet --requirement $<
	$(NEWEST)/bin/pip install --quiet --editable . 'pytest>=8.3'
	@touch $@

test-ccxt: $(VENV)/.test $(PEER)/.made $(NEWEST)/.made
	$(BIN)/python tests/peer_signing/compare.py --peer $(PEER)/bin/python
	$(BIN)/python tests/peer_signing/compare_hyperliquid.py --peer $(PEER)/bin/python
	$(BIN)/python tests/peer_operations/compare.py --peer $(NEWEST)/bin/python
	$(BIN)/python tests/peer_operations/compare.py --peer $(PEER)/bin/python bitmex
	$(NEWEST)/bin/python tests/peer_emergency/ask_with_ccxt.py | cmp - tests/vectors/emergency/ccxt-4.5.90.json
	$(PEER)/bin/python tests/peer_emergency/ask_with_ccxt.py bitmex | cmp - tests/vectors/emergency/ccxt-4.5.81.json
	$(NEWEST)/bin/python tests/peer_orders/ask_with_ccxt.py | cmp - tests/vectors/orders/ccxt-4.5.90.json
	$(PEER)/bin/python tests/peer_orders/ask_with_ccxt.py bitmex | cmp - tests/vectors/orders/ccxt-4.5.81.json
	$(NEWEST)/bin/python -m pytest -q --confcutdir=tests/peer_clients -p no:cacheprovider tests/peer_clients/ccxt_checks.py

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.dev
	@for script in benchmarks/[a-z]*.py; do echo "# $$script" >&2; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) $(PEER) $(NEWEST) build dist docs/_build
