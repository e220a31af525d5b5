# Every target makes its own environment: each works as the first command on a fresh machine with Python 3.11-3.14.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# pip compiles nothing: a file is compiled when it is first imported, and most of 17,000 files never are.
export PIP_COMPILE := 0
# Containers often say that it shall not be kept. The tests start hundreds of commands, each of which would compile anew.
unexport PYTHONDONTWRITEBYTECODE
# A file's tests stay with one worker, which has their fixtures; those that fork are one file (tests/shared_out.py).
SHARED := --dist loadfile --no-loadscope-reorder
# The files with tests of a mark: collecting all of them takes every worker 10 s of imports.
marked = $$(grep -rl 'mark\.$(1)' tests --include='test_*.py')

.PHONY: help dev demo test slowest test-targets test-runtimes test-gpu test-ray test-architectures test-browser docs docs-links pictures test-long test-release test-newest sbom fuzz fuzz-graphs lint bench false-pass schema clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

dev: $(VENV)/.ready ## Make the virtual environment

demo: $(VENV)/.ready ## An unfair model is blocked and a fair one shipped, on 299,285 real people
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/census/demo.sh

test: $(VENV)/.ready ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto $(SHARED)

slowest: $(VENV)/.ready ## Run the tests, and list those that take most processor time, with their files
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(SHARED) -p tests.processor_time

test-targets: $(VENV)/.ready ## Run the tests that need QEMU, an OpenSSH server or a container engine
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m 'target and not long and not gpu' $(call marked,target)

$(VENV)/.runtimes: $(VENV)/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,runtimes]'
	@touch $@

test-runtimes: $(VENV)/.runtimes ## Install the other runtimes that fit beside ours, and run the tests that need one
	@if command -v npm && command -v chromium; then $(BIN)/edgefair target prepare web:wasm; fi >/dev/null || true
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m 'runtimes and not long and not gpu' $(call marked,runtimes)

test-gpu: ## Run the tests that need an NVIDIA GPU, with the PyTorch for CUDA that PYTHON has
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) $(PYTHON) -m pytest -n 4 -m gpu $(call marked,gpu)

test-ray: $(VENV)/.ready ## Install Ray, and run the tests of studies on it; a node of it needs two idle cores to start
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,ray]'
	OMP_NUM_THREADS=1 $(BIN)/pytest -m ray $(call marked,ray)

test-architectures: $(VENV)/.ready ## Export the architectures that take seconds each, beyond those of `make test`
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m long tests/exporters/test_hub_architectures.py tests/training/networks/test_networks_by_name.py

test-long: $(VENV)/.ready ## Run the tests and the long simulations
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto $(SHARED) -m 'not gpu and not release and not ray'

test-release: $(VENV)/.ready ## Build the wheel and the sdist, and use each in clean environments: base alone, and with extras
	$(BIN)/pytest -m release tests/platforms/release

# PyTorch stays where it is: a newer one is tested before pyproject.toml allows it, and one of an index may bring
# gigabytes of CUDA. optimum goes, as it holds transformers below 4.58; its tests are skipped then.
NEWEST_TORCH ?= torch==2.13.0
test-newest: ## Run the tests with the newest of everything, whatever constraints.txt says; for a nightly job
	$(PYTHON) -m venv --clear $(VENV)-newest
	$(VENV)-newest/bin/pip install --quiet --upgrade --upgrade-strategy eager $(NEWEST_TORCH) --editable '.[dev]'
	$(VENV)-newest/bin/pip uninstall --quiet --yes optimum-onnx optimum
	$(VENV)-newest/bin/pip install --quiet --upgrade --upgrade-strategy eager transformers
	$(VENV)-newest/bin/pip freeze --exclude-editable
	OMP_NUM_THREADS=1 $(VENV)-newest/bin/pytest -n auto $(SHARED)

# What an SBOM is of: nothing (the base), or an extra in brackets.
SBOM_EXTRA ?=
sbom: ## Write sbom.json (CycloneDX), what a clean installation consists of; SBOM_EXTRA='[torch]' for an extra
	$(PYTHON) -m venv --clear $(VENV)-sbom
	$(VENV)-sbom/bin/pip install --quiet --constraint constraints.txt '.$(SBOM_EXTRA)'
	$(PYTHON) -m venv --clear $(VENV)-cyclonedx
	$(VENV)-cyclonedx/bin/pip install --quiet 'cyclonedx-bom>=7.5,<8'
	$(VENV)-cyclonedx/bin/cyclonedx-py environment --output-reproducible --validate --of JSON --sv 1.6 -o sbom.json $(VENV)-sbom

test-browser: $(VENV)/.ready ## Look at the HTML report in chromium, with axe-core; needs node and chromium
	npm ci --silent --prefix tests/browser
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## Build the documentation into docs/_build; a warning is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build

docs-links: $(VENV)/.docs ## Ask every address that the documentation links to whether it is still there
	$(BIN)/python -m sphinx --quiet -b linkcheck docs docs/_build/links

pictures: $(VENV)/.ready ## Picture the verdicts of `make demo` for the README; needs node and chromium
	npm ci --silent --prefix tests/browser
	node tests/browser/picture.mjs examples/census/demo/report.html docs/pictures/report.png
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/terminal_picture.py docs/pictures/blocked.svg \
		--folder examples/census/demo -- edgefair report dist/plain.blocked.json

fuzz: $(VENV)/.ready ## Give 20,000 damaged inputs to every place that reads something; findings go to fuzz-findings/
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.fuzz_harness --inputs 20000

fuzz-graphs: $(VENV)/.ready ## Compare 2,000 random graphs with their INT8 form
	GRAPHS=2000 OMP_NUM_THREADS=1 $(BIN)/pytest tests/compress/quantization/test_differential.py

lint: $(VENV)/.ready ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready ## Run every benchmark's quick form
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script --quick || exit 1; done
	$(BIN)/python -m benchmarks.false_pass --quick

schema: $(VENV)/.ready ## Regenerate the JSON Schemas in docs/: of the config, of results, and of the plan of a study
	$(BIN)/edgefair init --schema > docs/edgefair.schema.json
	$(BIN)/edgefair report --schema > docs/report.schema.json
	$(BIN)/edgefair report --schema compare > docs/compare.schema.json
	$(BIN)/edgefair report --schema study-report > docs/study-report.schema.json
	$(BIN)/edgefair study schema > docs/study-plan.schema.json

false-pass: $(VENV)/.ready ## Play audits of unfair models in every configuration; goes on where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.false_pass --processes $$(nproc) --json false-pass.jsonl

clean: ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) $(VENV)-newest $(VENV)-sbom $(VENV)-cyclonedx sbom.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache examples/census/demo
