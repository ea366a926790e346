# Works with GNU make 3.81 (macOS) and later. PYTHON=… chooses another interpreter, ARGS=… goes to mcode or pytest.

PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input

.PHONY: help demo test lint clean
.NOTPARALLEL:

help: ## show this text (the default)
	@sed -n 's/^\([a-z]*\):[^#]*## /make \1:/p' Makefile | awk -F: '{ printf "%-12s%s\n", $$1, $$2 }'

demo: .venv/.demo ## set everything up and solve the packaged tasks with their own reference solutions
	@$(BIN)/mcode bench smoke --model reference --sandbox process $(ARGS)

test: .venv/.dev ## set everything up and run the tests; ARGS='-k name' goes to pytest
	@$(BIN)/python -m pytest $(ARGS)

lint: .venv/.dev ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean: ## remove the environment and all caches, but no results
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second call instant; pyproject.toml names all that is installed.
.venv/.demo: pyproject.toml | $(BIN)/python
	@echo 'Installing mCode in .venv; the first time takes a minute or two.'
	@$(PIP) install -e .
	@touch $@

.venv/.dev: pyproject.toml | $(BIN)/python
	@echo 'Installing mCode and its development tools in .venv; the first time takes a minute or two.'
	@$(PIP) install -e '.[dev]'
	@touch .venv/.demo $@

# The newest Python that serves. Where Debian has split ensurepip off (python3-venv), the system's own pip fills in.
$(BIN)/python:
	@old=; bare=; \
	for python in $(PYTHON); do \
	  "$$python" -c '' 2>/dev/null || continue; \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old="$$python"; continue; }; \
	  if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    exec "$$python" -m venv --clear .venv; \
	  elif "$$python" -c 'import pip, venv' 2>/dev/null; then \
	    "$$python" -m venv --clear --without-pip .venv && exec "$$python" -m pip -qq --python $@ install pip; \
	    exit 1; \
	  fi; \
	  bare="$$python"; \
	done; \
	if [ "$$bare" ]; then \
	  echo "$$bare has neither venv nor pip: install them (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	else \
	  echo "mCode needs Python 3.11 or newer, and there is none on the PATH$${old:+ ($$old is older)}." >&2; \
	fi; \
	exit 1
