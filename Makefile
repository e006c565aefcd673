# Two commands: `make up` runs Endcap on this machine, `make test` tests it. Both need Python 3.12 or newer and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

# A `python3.12` on PATH may be a shim that does not run: each candidate is asked to import what we need.
define FIND_PYTHON
for candidate in "$$PYTHON" python3.12 python3.13 python3.14 python3 \
    "$$HOME"/.pyenv/versions/3.1[2-9]*/bin/python "$$HOME"/.local/share/uv/python/cpython-3.1[2-9]*/bin/python3 \
    /opt/homebrew/bin/python3.1[2-9] /usr/local/bin/python3.1[2-9]; do \
  if [ -n "$$candidate" ] && "$$candidate" -c 'import ctypes, ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; \
  then echo "$$candidate"; exit 0; fi; \
done; \
echo "Endcap needs Python 3.12 or newer with venv, and none was found that runs." >&2; \
echo "Install one (Debian 13, Ubuntu 24.04: apt-get install python3 python3-venv; macOS: brew install python@3.12;" >&2; \
echo "elsewhere: pyenv install 3.12), or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1
endef
export PYTHON

# What is started here starts processes of its own. Where the environment forbids bytecode, each of them would compile
# 1,300 files anew, which doubles the time that it takes to start; so bytecode is kept, in a place of its own.
ifdef PYTHONDONTWRITEBYTECODE
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
endif

.PHONY: help up reset demo test lint fmt lock bench gate browser clean

help: ## Show what can be made
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv, itself from the lock, installs in seconds what takes pip a minute; pip is the way out where uv cannot reach its
# index (it knows nothing of pip's configuration). Both accept only what has the digest in the lock.
$(READY): requirements.lock
	@$(PY) -c '' 2>/dev/null || { python="$$($(FIND_PYTHON))" && "$$python" -m venv --clear $(VENV); }
	@awk '/^uv==/{found=1} found{print; if ($$0 !~ /\\$$/) exit}' requirements.lock > $(VENV)/uv.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock
	@$(VENV)/bin/uv pip install --quiet --system-certs --python $(PY) --no-deps --require-hashes -r requirements.lock \
	  || { echo "uv could not install: trying pip, which takes about a minute" >&2; \
	       $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; }
	@printf '#!/bin/sh\nexec "%s/$(PY)" "%s/cli.py" "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(VENV)/bin/endcap
	@chmod +x $(VENV)/bin/endcap
	@touch $@

up: $(READY) ## Run Endcap here: servers, console, mailbox, a day of real retail data (ENDCAP_DEMO=off: empty)
	@exec $(PY) cli.py up

reset: $(READY) ## Delete all state of `make up`
	@$(PY) cli.py reset

demo: $(READY) ## Replay the demo's day against the running Endcap once more
	@$(PY) cli.py demo

# Chromium is Debian's, where we may install it, without windows where Debian has it so; elsewhere the browser tests fail and say what is missing.
browser: $(READY)
	@command -v chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then as=; \
	  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then as=sudo; \
	  else echo "Chromium is missing (Debian: apt-get install chromium): the browser tests will fail." >&2; exit 0; fi; \
	  $$as apt-get update -qq; \
	  program=chromium-headless-shell; apt-cache show $$program >/dev/null 2>&1 || program=chromium; \
	  $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$program >/dev/null; }
	@command -v npm >/dev/null || [ -d .cache ] || \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null; fi
	@$(PY) -m tests.assets || true

# Two processes, each with servers of its own, share the files of tests; in their order, so that the long ones start
# early. ARGS="-n 0 ..." runs them in one process, which a debugger needs.
test: $(READY) browser ## Run all tests, on real servers started for the purpose (ARGS="-k queue" for some)
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY) ## Style, types, walls between the rooms, templates, spelling, security, API description
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint --quiet --lint web/templates
	$(VENV)/bin/codespell
	$(VENV)/bin/bandit --quiet --recursive --configfile pyproject.toml .
	$(PY) -m web.openapi --check

fmt: $(READY) ## Format the code
	$(VENV)/bin/ruff check --fix-only --quiet .
	$(VENV)/bin/ruff format .

lock: $(READY) ## Write requirements.lock anew from pyproject.toml: versions and digests, no addresses
	$(VENV)/bin/uv pip compile --quiet --system-certs pyproject.toml --extra demo --extra test --universal \
	  --python-version 3.12 --generate-hashes --no-header --no-annotate --no-emit-index-url $(ARGS) -o requirements.lock

# pgbench comes with the embedded server; where another server is used, it is Debian's.
bench: $(READY) ## Measure, each figure beside a limit measured in the same run (ROWS=S1,S2 for some)
	@$(PY) -c 'from bench.pgbench import program; program()' 2>/dev/null || \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql-contrib >/dev/null; \
	  fi
	ROWS="$(ROWS)" $(PY) -m bench

gate: $(READY) lint ## Everything that must hold before a release: faults, attacks, known faults of dependencies
	@table=0; $(PY) -m tests.gate || table=1; $(PY) -m tests.advisories && exit $$table

clean: ## Delete the virtual environment and caches; the state of `make up` stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
