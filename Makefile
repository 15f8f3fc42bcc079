# `make` or `make help` lists the targets. Everything is installed into .venv; nothing outside this folder is changed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first supported interpreter that starts. `make PYTHON=/path/to/python3.12 setup` overrides it.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLEAN := build/clean
PACKAGES := kerastickets plugins cli
SOURCES := $(PACKAGES) tests benchmarks examples saved_models
# Two workers, because each imports TensorFlow and keeps its compiled trainers: about 1.5 GB per worker.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
BENCHMARKS := $(filter-out benchmarks/_% benchmarks/against.py,$(wildcard benchmarks/*.py))
# What `make against` compares this checkout with.
BASE ?= HEAD~1
# How many inputs of each kind `make hostile` tries, from seed SEED on.
COUNT ?= 1000
SEED ?= 0

.PHONY: help setup run test test-slow test-peers test-browser hostile kills models doctest check format format-check lint types wheel bench against gpu-check \
	saved-models constraints clean distclean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## create .venv and install the project with its development tools

$(BIN)/python:
	@if [[ -z "$(PYTHON)" ]] || ! "$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "Error: Python 3.11, 3.12 or 3.13 is needed. Received: PYTHON=$(PYTHON)." >&2; \
		echo "Install one of them, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; fi
	"$(PYTHON)" -m venv $(VENV)

# The build leaves metadata in the checkout. Python run in this folder would read it instead of the installed metadata,
# and it would become outdated, so it is removed. The links let mypy find the packages under their import names.
$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	rm -rf kerastickets.egg-info
	mkdir -p $(VENV)/types
	ln -sfn ../../cli $(VENV)/types/kerastickets_cli
	ln -sfn ../../plugins $(VENV)/types/kerastickets_plugins
	touch $@

run: $(READY)  ## find a lottery ticket on real data (handwritten digits); writes runs/first-ticket
	$(BIN)/kt prune --model lenet-300-100 --dataset digits --criterion magnitude --levels 5 --out runs/first-ticket

test: $(READY)  ## run the fast tests
	$(PYTEST) tests

test-slow: $(READY)  ## run the tests that take minutes
	$(BIN)/python -m pytest -q -m slow --timeout 3600 tests

test-peers: $(READY)  ## run the comparisons with torch.nn.utils.prune (installs torch, which is large)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,peers]"
	rm -rf kerastickets.egg-info
	$(BIN)/python -m pytest -q -m peers --timeout 3600 tests

test-browser: $(READY)  ## run the tests that open reports in headless Chromium; without Chromium they skip and say why
	$(BIN)/python -m pytest -q -m browser tests

hostile: $(READY)  ## try damaged and forged tickets, folders, arrays, images and models: make hostile COUNT=1000
	$(BIN)/python -m tests.hostile --count $(COUNT) --seed $(SEED) --jobs $(WORKERS)

kills: $(READY)  ## kill every command that writes at random moments, and run it again: make kills COUNT=100
	$(BIN)/python -m tests.hostile.kills --count $(COUNT) --seed $(SEED)

models: $(READY)  ## try the models of keras.applications and keras-hub with everything; writes docs/models.md (an hour)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,models]"
	rm -rf kerastickets.egg-info
	$(BIN)/python -m tests.matrix

doctest: $(READY)  ## run the fast tests and every example in a docstring
	$(PYTEST) --doctest-modules tests $(PACKAGES)

check: format-check lint types wheel doctest  ## run everything that must pass before a commit (.ci/run calls it)

format: $(READY)  ## reformat the sources
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

format-check: $(READY)
	$(BIN)/ruff format --check $(SOURCES)

lint: $(READY)  ## check the sources with ruff
	$(BIN)/ruff check $(SOURCES)

types: $(READY)  ## check the types of the core and the command line with mypy
	$(BIN)/mypy

# The clean environment contains only the wheel. It borrows the dependencies through a .pth file. Folders in a .pth file are
# searched last, and .pth files inside them do not run, so that the editable install stays out. FROM_WHEEL checks this.
PURELIB := import sysconfig; print(sysconfig.get_path("purelib"))
FROM_WHEEL := import sys, importlib.util as find; \
	paths = [find.find_spec(name).origin for name in ("kerastickets", "kerastickets_cli", "kerastickets_plugins")]; \
	strangers = [path for path in paths if not path.startswith(sys.prefix)]; \
	sys.exit(f"Error: not from the wheel: {strangers}" if strangers else 0)
wheel: $(READY)  ## build the wheel, install it into a clean environment, and run it from another folder
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . > /dev/null
	rm -rf kerastickets.egg-info
	$(BIN)/python -m venv --without-pip $(CLEAN)
	$(BIN)/python -m pip --python $(CLEAN)/bin/python install -q --no-deps --no-index dist/*.whl
	$(BIN)/python -c '$(PURELIB)' > "$$($(CLEAN)/bin/python -c '$(PURELIB)')/dependencies.pth"
	kt="$$PWD/$(CLEAN)/bin"; cd "$$(mktemp -d)"; "$$kt/python" -c '$(FROM_WHEEL)'; \
		"$$kt/kt" --version; "$$kt/kt" --help > out.txt; "$$kt/kt" plugins; \
		"$$kt/kt" doctor --group criteria --group operations --group datasets > out.txt || { cat out.txt; exit 1; }; rm out.txt; rmdir "$$PWD"

bench: $(READY)  ## measure every speed claim (installs PyTorch and JAX, which are large); writes benchmarks/results
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,bench]"
	rm -rf kerastickets.egg-info
	for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

against: $(READY)  ## training speed and ticket bytes of this checkout against another revision: make against BASE=REV
	$(BIN)/python benchmarks/against.py $(BASE)

gpu-check: $(READY)  ## measure training on the GPU that TensorFlow finds (on the CPU where there is none)
	$(BIN)/python benchmarks/gpu.py

saved-models: $(READY)  ## rebuild the examples in saved_models/
	$(BIN)/python saved_models/make.py

constraints: $(READY)  ## pin the installed versions in constraints.txt
	{ grep '^#' constraints.txt; \
		$(BIN)/python -m pip freeze --all --exclude pip --exclude torch --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^/@]+$$'; \
		printf '%s\n' jax==0.10.2 jaxlib==0.10.2 optax==0.2.8 torch==2.13.0; } | sort -u -t= -k1,1 > build.constraints
	mv build.constraints constraints.txt

clean:  ## remove build results and caches (keeps .venv and runs)
	rm -rf build dist kerastickets.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## also remove .venv
	rm -rf $(VENV)
