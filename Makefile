# Two commands matter: `make demo` runs the main job, `make test` every test that needs no GPU and no long training. Both build .venv first:
# the demo with what the package needs, everything else with what developing it needs on top.
PYTHON ?= python3
BIN := .venv/bin
RUNS := .venv/.runs
INSTALLED := .venv/.installed
# Empty for the newest version of every dependency: `make test CONSTRAINTS=`.
CONSTRAINTS ?= constraints.txt
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS:%=-c %)

.PHONY: demo test test-rounding test-slow test-gpu lint types hooks docs rooms dist browser-tools browser-tests screenshots benchmarks record pictures notebooks clean

# With the photographs, on which the demo goes on where CIFAR-10 cannot be had.
$(RUNS): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) -e '.[photos]'
	touch $@

$(INSTALLED): $(RUNS)
	$(BIN)/python $(PIP_INSTALL) -e '.[dev]'
	touch $@

demo: $(RUNS)
	$(BIN)/firstlight reproduce formula --preset quick

# Two processes on two cores; more than four would not be quicker. Each has one thread: a second one would wait for a
# core, and spin while it waits.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

# Those that compare recorded texts, numbers and pictures, as a processor that rounds otherwise would compute them.
test-rounding: $(INSTALLED)
	$(BIN)/python -m tests.rounding -n logical --maxprocesses 4 --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# FIRSTLIGHT_GPU=cpu tries them out without one.
test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu

# The report in a real browser: needs Chromium (on the PATH, or `playwright install chromium`) and, once, npm for axe-core.
# `make test` runs these tests, too, where both are there.
browser-tools: $(INSTALLED)
	$(BIN)/python -m tests.browser.axe

browser-tests: browser-tools
	FIRSTLIGHT_BROWSER=1 $(BIN)/python -m pytest tests/browser

# Of every kind of page, into test-screenshots/.
screenshots: $(INSTALLED)
	$(BIN)/python -m tests.browser.screenshots

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m tools.docstrings

types: $(INSTALLED)
	$(BIN)/pyright

# The same before every commit, over what it changes.
hooks: $(INSTALLED)
	$(BIN)/pre-commit install

# Into site/; the variable silences the theme's own notice.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The wheel and the source archive, into dist/: checked, and the wheel installed by itself and run. TAG=v0.1.0 says what
# version it must be.
dist:
	rm -rf dist
	$(PYTHON) -m venv dist/.venv
	dist/.venv/bin/python $(PIP_INSTALL) build twine
	dist/.venv/bin/python -m build --outdir dist
	dist/.venv/bin/twine check --strict dist/*.whl dist/*.tar.gz
	dist/.venv/bin/python $(PIP_INSTALL) dist/*.whl
	dist/.venv/bin/firstlight --version
	test -z "$$TAG" || test "$$(dist/.venv/bin/firstlight --version)" = "firstlight $${TAG#v}"
	rm -rf dist/.venv

benchmarks: $(INSTALLED)
	$(BIN)/python -m benchmarks

# Keeps the small files of a real run in results/, and shows its claims in the README and the docs.
PRESET ?= standard
EXPERIMENTS ?=
record: $(INSTALLED)
	$(BIN)/firstlight reproduce $(EXPERIMENTS) --preset $(PRESET) --data cifar10 --out firstlight-out/$(PRESET)
	$(BIN)/python -m tools.record firstlight-out/$(PRESET) results README.md docs

# Every picture of the README and the docs, from results/.
pictures: $(INSTALLED)
	$(BIN)/python -m tools.pictures results docs/figures

# The notebooks with their outputs, from docs/notebooks/*.py.
notebooks: $(INSTALLED)
	$(BIN)/python -m tools.notebooks

# The drawing of the rooms and their imports in CONTRIBUTING.
rooms: $(INSTALLED)
	$(BIN)/python -m tools.rooms CONTRIBUTING.md

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
