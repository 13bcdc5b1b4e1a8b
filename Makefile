# Two commands matter: `make demo` runs the main job, `make test` every test that needs no GPU and no long training. Both build .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-slow test-gpu lint types docs browser-tools browser-tests screenshots benchmarks record pictures clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Exit code 1 says that some claims did not reproduce: a result, not a failure of the demo.
demo: $(INSTALLED)
	$(BIN)/firstlight reproduce formula --preset quick || [ $$? -eq 1 ]

# Two processes on two cores; more than four would not be quicker.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

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

# Into site/; the variable silences the theme's own notice.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

benchmarks: $(INSTALLED)
	$(BIN)/python -m benchmarks

# Keeps the small files of a real run in results/, and shows its claims in the README and docs/reproducibility.md.
PRESET ?= standard
EXPERIMENTS ?=
record: $(INSTALLED)
	$(BIN)/firstlight reproduce $(EXPERIMENTS) --preset $(PRESET) --data cifar10 --out firstlight-out/$(PRESET) || [ $$? -eq 1 ]
	$(BIN)/python -m tools.record firstlight-out/$(PRESET) results README.md docs

# Every picture of the README and the docs, from results/.
pictures: $(INSTALLED)
	$(BIN)/python -m tools.pictures results docs/figures

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
