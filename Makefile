# Each target sets up what it needs in .venv by itself. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
ECOSYSTEM := .venv-ecosystem
RUN := $(VENV)/bin/python
ARGS ?=
.DEFAULT_GOAL := help

.NOTPARALLEL:

# $(call make-venv,DIRECTORY)
define make-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo 'skdistill needs Python 3.11 or later: make PYTHON=/path/to/python3' >&2; \
    exit 1; }
@$(PYTHON) -m venv --clear $(1) || { rm -rf $(1); \
    echo 'python3 could not make a virtual environment; on Debian:' \
    'apt install python3-venv' >&2; exit 1; }
@touch $@
endef

# $(call install,DIRECTORY,CONSTRAINTS,EXTRA): editable, all versions pinned. pip reads
# the first variable or the second for the build's own environment, by its version.
define install
@echo 'Installing skdistill[$(3)] in $(1) (minutes, the first time)'
@PIP_CONSTRAINT='$(2)' PIP_BUILD_CONSTRAINT='$(2)' PIP_DISABLE_PIP_VERSION_CHECK=1 \
    $(1)/bin/python -m pip install -qq --editable '.[$(3)]'
@touch $@
endef

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

# The test workers share the cores already.
test fuzz lowest ecosystem: export OMP_NUM_THREADS ?= 1

.PHONY: demo
demo: $(VENV)/.installed-plot ## distill a forest into a small student, and plot it
	@$(RUN) examples/first_steps/plot_quickstart.py

.PHONY: test
test: $(VENV)/.installed-test ## run the tests and the doctests; ARGS= goes to pytest
	@$(RUN) -m pytest -n auto $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.installed-test ## run the slow tests, and try random tables, for an hour
	@$(RUN) -m pytest -n auto -m slow $(ARGS)
	@$(RUN) -m pytest -n auto --hypothesis-profile=fuzz tests/integration/test_fuzz.py $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## check style and types
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy

.PHONY: docs
docs: $(VENV)/.installed-docs ## build the documentation in docs/_build/html
	@$(RUN) -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@$(RUN) docs/check_site.py docs/_build/html
	@echo 'Open docs/_build/html/index.html'

.PHONY: bench
bench: $(VENV)/.installed-test ## measure time and memory, in a few minutes
	@$(RUN) benchmarks/import_time.py
	@$(RUN) benchmarks/threads.py --repetitions 3 --widths 64 256
	@$(RUN) benchmarks/fit_time.py
	@$(RUN) benchmarks/checksum_time.py
	@$(RUN) benchmarks/search_time.py --rows 4000 --trees 100 --epochs 10
	@$(RUN) benchmarks/memory.py --data array

.PHONY: bench-full
bench-full: bench ## measure the quality of students too, in some hours
	@$(RUN) benchmarks/quality.py
	@$(RUN) benchmarks/quality.py --target numbers
	@$(RUN) benchmarks/labels.py
	@$(RUN) benchmarks/missing.py
	@$(RUN) benchmarks/peers.py
	@$(RUN) benchmarks/peers.py --target numbers
	@$(RUN) benchmarks/losses.py
	@$(RUN) benchmarks/memory.py --fits default
	@OMP_NUM_THREADS=1 $(RUN) benchmarks/deploy.py
	@$(RUN) benchmarks/int8.py

.PHONY: lowest
lowest: $(LOWEST)/.installed-test ## run the tests with the lowest versions supported
	@$(LOWEST)/bin/python -m pytest -n auto $(ARGS)

.PHONY: ecosystem
ecosystem: $(ECOSYSTEM)/.installed-test,ecosystem ## run the tests with MLflow, SHAP and other packages
	@$(ECOSYSTEM)/bin/python -m pytest tests/ecosystem docs/howto $(ARGS)

.PHONY: package
package: $(VENV)/.installed-dev ## build the wheel and the sdist, and try both
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" .ci/package

.PHONY: clean
clean: ## remove the environments and all that was built
	@rm -rf $(VENV) $(LOWEST) $(ECOSYSTEM) build dist docs/_build docs/auto_examples docs/generated \
	    docs/sg_execution_times.rst quickstart.png examples/quickstart.png \
	    .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	$(call make-venv,$(VENV))

$(LOWEST)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	    echo 'The lowest versions need Python 3.11: make lowest PYTHON=python3.11' >&2; \
	    exit 1; }
	$(call make-venv,$(LOWEST))

$(VENV)/.installed-%: pyproject.toml constraints.txt $(VENV)/.created
	$(call install,$(VENV),constraints.txt,$*)

$(LOWEST)/.installed-%: pyproject.toml constraints-lowest.txt $(LOWEST)/.created
	$(call install,$(LOWEST),constraints-lowest.txt,$*)

$(ECOSYSTEM)/.created:
	$(call make-venv,$(ECOSYSTEM))

$(ECOSYSTEM)/.installed-%: pyproject.toml constraints.txt constraints-ecosystem.txt \
    $(ECOSYSTEM)/.created
	$(call install,$(ECOSYSTEM),constraints.txt constraints-ecosystem.txt,$*)
