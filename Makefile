# `make` alone lists the targets. A fresh machine needs Python 3.10 or newer, its venv module, and make.

PYTHON ?= python3
OUT ?= out/demo

# "3.11" of the interpreter that was asked for; empty where it cannot be run.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
RUNTIME := .venv-runtime-$(VERSION)

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --constraint constraints.txt
STAMP := installed-for-$(VERSION)
# A file of tests stays on one process, which shares its fixtures.
PARALLEL := -n auto --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test quick test-runtime test-boards test-power-cuts test-faults test-signals test-fuzz test-fuzz-planted test-mutants test-networks test-keras judge gstreamer docs audit dist lint format clean python

help: ## this list
	@echo "make TARGET [PYTHON=python3.12]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv-demo/$(STAMP) ## see it work: faces, tracks and emotions of a generated video, in out/demo
	.venv-demo/bin/emotion-edge demo --out $(OUT)

test: lint ## everything: lint, types and all tests (installs PyTorch)
	.venv/bin/python -m pytest $(PARALLEL) -m "not boards"

quick: lint ## a change in a minute: lint, types and the tests of what differs from the last commit
	.venv/bin/python -m pytest -q -x -m "not boards and not slow" $$(.venv/bin/python tests/helpers/changed.py)

test-runtime: $(RUNTIME)/$(STAMP) ## what a board runs, without PyTorch; try PYTHON=python3.10
	$(RUNTIME)/bin/python -m pytest $(PARALLEL) -m "not export and not boards" $(PYTEST_ARGS)

test-boards: .venv/$(STAMP) ## the software of boards: picamera2, V4L2 on arm64, systemd (root, minutes); SHORT=1 leaves out what takes an hour
	.venv/bin/python -m pytest -m "boards$(if $(SHORT), and not slow)"

test-power-cuts: .venv/$(STAMP) ## the power of an emulated board is cut 20 times in an installation, 20 in an upgrade (root, hours); COUNT=2 for fewer, ARCH=amd64 for a PC
	.venv/bin/python tests/boards/power_cuts.py $(if $(COUNT),--count $(COUNT)) $(if $(ARCH),--arch $(ARCH))

test-faults: .venv/$(STAMP) ## a camera that dies by the hundred, 15 minutes; FULL=1 for the full counts
	.venv/bin/python tests/faults.py $(if $(FULL),--full)

test-signals: .venv/$(STAMP) ## 1,000 ending signals at random moments, an hour; COUNT=100 for fewer
	.venv/bin/python tests/helpers/random_signals.py $(if $(COUNT),--count $(COUNT))

test-fuzz: .venv-fuzz/$(STAMP) ## fuzzing of all that is read, an hour; MINUTES=5 or RUNS=9000 for less, KEEP=1 adds to the corpus
	.venv-fuzz/bin/python tests/fuzz/run.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(KEEP),--keep) $(if $(RUNS),--runs $(RUNS))

test-fuzz-planted: .venv-fuzz/$(STAMP) ## planted faults that fuzzing must find, each within a minute; SECONDS=120 for more time
	.venv-fuzz/bin/python tests/fuzz/planted.py $(if $(SECONDS),--seconds $(SECONDS))

test-mutants: .venv/$(STAMP) ## 100,000 mutants of whole bundles, two hours, goes on where it ended; COUNT=200 HOURS=1
	.venv/bin/python tests/fuzz/mutants.py $(if $(COUNT),--count $(COUNT)) $(if $(HOURS),--hours $(HOURS))

gstreamer: .venv/$(STAMP) ## GStreamer's Python bindings, for the tests of CSI cameras; built in a minute
	.venv/bin/python $(PIP_INSTALL) pygobject==3.50.0 pycairo==1.29.2

judge: .venv/$(STAMP) ## TensorRT-RTX and ptxas (140 MB, no GPU needed): they judge int8-trt and the kernels in the tests
	.venv/bin/python $(PIP_INSTALL) tensorrt-rtx==1.7.1.116 polygraphy==0.53.6 nvidia-cuda-nvcc==13.5.37

test-networks: .venv/$(STAMP) ## 500 random networks, each made a step or refused by its cause, an hour; COUNT=100 for fewer
	.venv/bin/python tests/any_network.py $(if $(COUNT),--count $(COUNT))

test-keras: .venv/$(STAMP) .venv-keras/installed ## windows from Keras; installs TensorFlow (300 MB) beside the rest
	.venv/bin/python -m pytest tests/export/graph/test_keras.py

.venv-keras/installed: | python
	@echo "Installing Keras with TensorFlow into .venv-keras; it takes minutes"
	@$(PYTHON) -m venv .venv-keras
	@.venv-keras/bin/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	  tensorflow-cpu==2.21.0 tf2onnx==1.17.0
	@touch $@

docs: .venv/$(STAMP) ## docs/settings.md and the tables of the pages, from those of the program
	.venv/bin/python tests/helpers/generated.py

audit: .venv-audit/installed ## known holes in the versions of constraints.txt; asks PyPI, so it needs a network
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

.venv-audit/installed: | python
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore pip-audit==2.10.1
	@touch $@

dist: .venv/$(STAMP) ## sdist and wheel, in dist
	.venv/bin/python -m build --outdir dist

lint: .venv/$(STAMP) ## ruff, mypy and bandit
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/bandit --quiet --recursive --configfile pyproject.toml edge export calibration benchmarks

format: .venv/$(STAMP) ## let ruff rewrite the sources
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## remove the environments, caches and output
	rm -rf .venv .venv-audit .venv-demo .venv-fuzz .venv-keras .venv-runtime-* out build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment per purpose; it is kept while its Python is the same, and installed into again when a
# requirement changes.
.venv-demo/$(STAMP): EXTRAS := cpu,demo
.venv/$(STAMP): EXTRAS := test
.venv-fuzz/$(STAMP): EXTRAS := fuzz
$(RUNTIME)/$(STAMP): EXTRAS := test-runtime
SAME_PYTHON := -c 'import pip, sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(VERSION)")'

%/$(STAMP): pyproject.toml constraints.txt | python
	@echo "Installing [$(EXTRAS)] into $(@D) for Python $(VERSION); the first time takes minutes"
	@$(@D)/bin/python $(SAME_PYTHON) 2>/dev/null || { rm -rf $(@D) && $(PYTHON) -m venv $(@D); }
	@$(@D)/bin/python $(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	@$(@D)/bin/python -m compileall -q edge export calibration benchmarks # the programs write no bytecode
	@touch $@

python:
	@test -n "$(VERSION)" || { echo "$(PYTHON) cannot be run; install Python 3.10 or newer," \
	  "or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is Python $(VERSION);" \
	  "3.10 or newer is needed; name another one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module; install it:" \
	  "sudo apt install python3-venv (for a second Python: python$(VERSION)-venv)"; exit 1; }
