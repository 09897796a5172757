# Each target sets itself up: `make book` is all that a fresh clone needs.

.DEFAULT_GOAL := help
.PHONY: help book pages pdf zip downloads notebooks twice test fuzz test-oldest test-newest test-browser lab bench claims \
  claims-of-the-week links pictures audit sbom check-tag pins clean .venv-newest/.ready

BIN := .venv/bin
READY := .venv/.ready
TESTED := .venv/.tested

# TensorFlow writes about processors and missing GPUs; the debugger about frozen modules.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PYDEVD_DISABLE_FILE_VALIDATION ?= 1
# Memory that a step gives back is kept for the next one, which saves most of the page faults.
export MALLOC_TRIM_THRESHOLD_ ?= 2000000000
export MALLOC_MMAP_THRESHOLD_ ?= 2000000000
# The notebooks run in .venv, whatever kernels the home folder has.
export JUPYTER_PREFER_ENV_PATH := 1

# Notebooks run in their own folder, where a relative path would mean something else.
ifneq ($(VAE_DATA_DIR),)
ifeq ($(findstring ^/,^$(VAE_DATA_DIR)),)
override VAE_DATA_DIR := $(CURDIR)/$(VAE_DATA_DIR)
endif
export VAE_DATA_DIR
endif

help:
	@echo "make book         run every notebook and build the book in _build/html"
	@echo "make pages        the same while writing: run only notebooks that have changed"
	@echo "make pdf          print the built book to _build/posterior-collapse.pdf (needs Chromium)"
	@echo "make zip          pack the built book into _build/posterior-collapse-html.zip"
	@echo "make downloads    both, and put them beside the pages, to be published with them"
	@echo "make notebooks    only run the notebooks, or some of them: NOTEBOOKS=notebooks/01_theory.ipynb"
	@echo "make twice        run all cells of every notebook twice in one kernel, or of some: NOTEBOOKS=…"
	@echo "make test         check the package, the repository and every notebook (runs are kept for make pages)"
	@echo "make fuzz         call the public functions with random and bad arguments, more than 12,000 cases (make test: about 900)"
	@echo "make test-oldest  check the package with the oldest versions that it supports"
	@echo "make test-newest  the same with the newest versions"
	@echo "make test-browser test the built book in Chromium and Firefox: every slider, and the playground"
	@echo "make lab          open the notebooks in JupyterLab"
	@echo "make bench        measure the speed, and that of PyTorch and JAX (installs both; needs MNIST, Chromium and npm; hours),"
	@echo "                  and our part of the published results; or some of this: PARTS='steps book'"
	@echo "make claims       count how often each claim holds on other seeds, SEEDS=10 of them (hours; can be resumed); an error if one failed"
	@echo "make claims-of-the-week  count the claims of one notebook anew, a different one each week"
	@echo "make pictures     take new screenshots of the built book for the README and the live page (needs Chromium)"
	@echo "make links        check the links on the book's pages (needs a network)"
	@echo "make audit        look for known vulnerabilities in the packages and the pages' scripts (needs a network)"
	@echo "make sbom         list what the book was built with, in _build/sbom.json (CycloneDX)"
	@echo "make check-tag    check that package, citation and CHANGELOG.md have the version of a release, TAG=v0.2.0"
	@echo "make pins         update requirements.txt and requirements-test.txt to the newest versions"
	@echo "make clean        remove what the other targets made, including the environment"
	@echo
	@echo "LAB=--no-browser        options for JupyterLab (make lab LAB=...)"
	@echo "PYTHON=python3.12       install with this Python, by its name or path"
	@echo "CHROMIUM=/path/to/it    use this browser (pdf, test-browser, bench, pictures)"
	@echo "VAE_DATA_DIR=folder     take mnist.npz from this folder"
	@echo "VAE_DATASET=digits      use the digits that come with scikit-learn (or: mnist)"
	@echo "VAE_SEED=1              use another seed in every notebook"

# The old pages go, so that every notebook runs and no page is left over; but not for a typing error.
book: $(READY) .venv/.scripts
	@$(check)
	rm -rf _build .venv/fresh
	$(call build,$(CURDIR)/.venv/fresh)

# What is kept belongs to this package, these versions, this data and this seed.
pages: $(READY) .venv/.scripts
	@$(check)
	$(call build,$(CURDIR)/.venv/kept/$$( $(FINGERPRINT)))

# All chapters on paper; and all pages for a reader without a network.
pdf: $(TESTED)
	$(BIN)/python -m tools.pdf _build/html _build/posterior-collapse.pdf

zip: $(READY)
	$(BIN)/python -m tools.zipped _build/html _build/posterior-collapse-html.zip

# Both beside the pages, where the first page links to them.
downloads:
	rm -f _build/html/posterior-collapse*
	$(MAKE) zip pdf
	cp _build/posterior-collapse-html.zip _build/posterior-collapse.pdf _build/html

notebooks: $(READY)
	@$(check)
	$(BIN)/python -m tools.execute .venv/kept/$$( $(FINGERPRINT)) $(NOTEBOOKS)

# As a reader does who runs all cells again.
twice: $(TESTED)
	@$(check)
	rm -rf .venv/twice
	$(BIN)/python -m tools.twice .venv/twice $(NOTEBOOKS)
	$(PARALLEL) --nbmake --nbmake-timeout=3600 $(if $(NOTEBOOKS),,$(call record,twice) --all-try "a notebook run twice in one kernel") \
	  .venv/twice/*.ipynb

# Settings in another folder look for the extension from there.
HERE := s|: tools\([,}]\)|: $(CURDIR)/tools\1|g

# Notebooks that the folder doesn't hold run first, two at a time; jupyter-book then finds all of them.
define build
	kept="$(1)" && $(BIN)/python -m tools.execute "$$kept" && \
	sed "$(HERE); s|execute_notebooks: *force|execute_notebooks: cache|; s|cache: *\"\"|cache: $$kept|" _config.yml > .venv/pages.yml
	@echo "Building the pages: a minute or two. Only warnings are shown."
	$(BIN)/jupyter-book build . --config .venv/pages.yml --quiet --warningiserror --nitpick --keep-going
	@echo
	@echo "The book: $(CURDIR)/_build/html/index.html"
endef

# Tests share the cores; and what was tried is written down for the page on these tests.
PARALLEL = $(BIN)/python -m pytest -n $$( $(BIN)/python -m tools.cpu_share) --maxschedchunk=1
record = -p tools.record_faults --record-faults benchmarks/faults/$(1).json

test: $(TESTED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	@$(check)
	$(PARALLEL) --nbmake --nbmake-timeout=3600 \
	  -p tools.keep_notebooks --keep-notebooks .venv/kept/$$( $(FINGERPRINT)) \
	  $(call record,test) --durations 25 --doctest-modules notebooks tests vae_utils
	@echo "Left out: the built book in a browser (make book test-browser)."

# Other cases each time; those of `make test` are the same each time.
fuzz: $(TESTED)
	FUZZ=1 $(PARALLEL) $(call record,fuzz) tests/test_fuzz.py

# Without notebooks and the book. What other versions warn of is theirs, if our code is not the reason.
test-oldest test-newest: BIN = .venv-$(@:test-%=%)/bin
test-oldest test-newest: test-%: .venv-%/.ready
	$(PARALLEL) $(call record,$@) --all-try "the package's tests with the $* versions" \
	  -o filterwarnings="$$(printf '%s\n' default error::RuntimeWarning error::DeprecationWarning:vae_utils \
	    error::PendingDeprecationWarning:vae_utils error::FutureWarning:vae_utils)" $(PACKAGE_TESTS)

ALONE := tests_browser/test_live_alone.py

# What `make book` built, in Debian's Chromium or in what CHROMIUM names; the live page in Firefox, too.
test-browser: $(TESTED)
	$(BIN)/python -m pytest -n $$( $(BIN)/python -m tools.cpu_share) --dist loadfile $(call record,test-browser) --ignore $(ALONE) tests_browser
	$(BIN)/python -m pytest $(ALONE)

# For this machine alone, and with a token, as is the default.
lab: $(READY)
	$(BIN)/jupyter-lab --ServerApp.ip=127.0.0.1 --KernelManager.transport_encryption=auto --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_theory.ipynb $(LAB)

# PARTS="steps quality growth seeds live book literature": some of the measurements, in place of all.
bench: .venv/.bench
	$(BIN)/python -m benchmarks $(PARTS)

# All notebooks, or NOTEBOOKS="...", on both data sets; a second call runs what is missing.
# The exit status tells whether a claim failed, in this call or in an earlier one.
SEEDS := 10
claims: $(READY)
	$(BIN)/python -m tools.claims $(SEEDS) $(NOTEBOOKS)

# By the number of the week. Of this chapter the record is emptied, or nothing would run.
CHAPTERS := $(sort $(wildcard notebooks/*.ipynb))
OF_THE_WEEK = $(word $(shell expr $$(date +%s) / 604800 % $(words $(CHAPTERS)) + 1),$(CHAPTERS))
claims-of-the-week: $(READY)
	$(BIN)/python -c "from tools.claims import forget; forget('$(basename $(notdir $(OF_THE_WEEK)))')"
	$(MAKE) claims NOTEBOOKS="$(OF_THE_WEEK)"

# Of what `make book` built.
pictures: $(TESTED)
	$(BIN)/python -m tools.screenshots book/assets

# Without running the notebooks: only their links count here.
links: $(READY)
	sed '$(HERE); s/execute_notebooks: *force/execute_notebooks: "off"/' _config.yml > .venv/links.yml
	$(BIN)/jupyter-book build . --config .venv/links.yml --builder linkcheck --path-output .venv/links

# Both query a database of vulnerabilities, the one of PyPI and the one of npm. A query that fails is
# an error: without --strict, pip-audit would then find no vulnerability.
SCRIPTS := from tools.fetch_scripts import PACKAGES; print(*(package for package, _, _ in PACKAGES))
UNKNOWN := { echo "make audit: the lines above name a vulnerability, or say why the database could not be queried." >&2; exit 1; }
audit: $(TESTED)
	$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes -r requirements-test.txt || $(UNKNOWN)
	rm -rf .venv/audit && mkdir .venv/audit
	npm install --silent --prefix .venv/audit --package-lock-only --ignore-scripts $$( $(BIN)/python -c '$(SCRIPTS)')
	npm audit --prefix .venv/audit || $(UNKNOWN)

sbom: $(TESTED)
	$(BIN)/python -m tools.bill _build/sbom.json

# A release is called what it contains.
check-tag:
	@for place in "__version__ = \"$(TAG:v%=%)\"|vae_utils/__init__.py" "version: $(TAG:v%=%)|CITATION.cff" "## $(TAG:v%=%)|CHANGELOG.md"; do \
	  grep -qxF "$${place%|*}" "$${place#*|}" || { echo "$${place#*|} has no line '$${place%|*}'" >&2; exit 1; }; \
	done

# The newest versions that go together on all systems and Pythons, one of each package, and the hashes
# of their files.
# No code of a package runs while it is installed: only wheels.
LOCK := $(BIN)/uv --no-config pip compile pyproject.toml --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
  --generate-hashes --only-binary :all: --emit-build-options --no-annotate --custom-compile-command "make pins" \
  --extra cpu --extra notebook --group book
pins: $(TESTED)
	$(LOCK) --output-file requirements.txt
	$(LOCK) --extra cluster --group test --constraints requirements.txt --output-file requirements-test.txt

clean:
	rm -rf _build .venv .venv-oldest .venv-newest .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -prune -exec rm -rf {} +

# ---- the environment ---------------------------------------------------------

# The data and the seed that the variables ask for; or one line that says why not.
define CHECK
import sys
import vae_utils
try:
    images = vae_utils.load_images()
    open(".venv/data", "w").write(images.name)
    vae_utils.seed_from_environment(default=0)
except ValueError as error:
    sys.exit(f"{error}")
endef
export CHECK
check = $(BIN)/python -c "$$CHECK" 2> .venv/check.log || { cat .venv/check.log >&2; exit 1; }

FINGERPRINT := { cat $$(find vae_utils -name '*.py' | sort) requirements.txt .venv/data; echo "$(VAE_DATA_DIR) $(VAE_DATASET) $(VAE_SEED)"; } \
  | $(BIN)/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])'

# TensorFlow 2.21 has no packages for other versions of Python.
SUPPORTED := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Each file has the checksum that is written beside its version.
PINNED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(READY): requirements.txt pyproject.toml
	@python=; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$candidate -c '$(SUPPORTED)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "This needs Python 3.11, 3.12 or 3.13 with its venv module, but found: $$(python3 --version 2>&1)." >&2; \
	  echo "On Debian and Ubuntu, venv is in the package python3-venv." >&2; \
	  echo "If Python is somewhere else: make book PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "Installing requirements.txt into .venv: once, a few minutes, about 2.2 GB."; \
	$$python -m venv --clear .venv
	@$(PINNED) -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What readers do without: the tests, browsers' drivers, Dask, ONNX, JAX.
$(TESTED): requirements-test.txt $(READY)
	@echo "Installing requirements-test.txt into .venv: once, a minute or two."
	@$(PINNED) -r requirements-test.txt
	@touch $@

# The lower bounds of pyproject.toml on the oldest Python; nothing of requirements.txt.
OLDEST_PYTHON := 3.11
PACKAGE_TESTS := $(filter-out $(patsubst %,tests/test_%.py,benchmarks bill burda claims execute exercises export figures \
  killed_tools lab late_sliders ledger numbers order pdf pictures playground quick_pages record record_faults repository \
  scripts sliders),\
  $(sort $(wildcard tests/test_*.py)))

.venv-oldest/.ready: oldest.txt pyproject.toml
	@echo "Installing oldest.txt into .venv-oldest: once, a minute or two."
	$(or $(PYTHON),python$(OLDEST_PYTHON)) -m venv --clear .venv-oldest
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c oldest.txt -e '.[cluster,tensorflow]' hypothesis pytest pytest-xdist
	@touch $@

# What the newest Python gets today, so always anew.
NEWEST_PYTHON := 3.13
.venv-newest/.ready:
	@echo "Installing the newest versions into .venv-newest: a minute or two."
	$(or $(PYTHON),python$(NEWEST_PYTHON)) -m venv --clear .venv-newest
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check \
	  -e '.[cluster,cpu]' hypothesis pytest pytest-xdist
	@.venv-newest/bin/python -m pip freeze --exclude-editable

# The scripts of the pages, so that they need no other host; from their CDN where npm is missing.
.venv/.scripts: tools/fetch_scripts.py $(READY)
	@$(BIN)/python tools/fetch_scripts.py .venv/scripts
	@test ! -d .venv/scripts || touch $@

# The peers of the benchmarks are large, and nothing else needs them.
.venv/.bench: $(TESTED)
	$(BIN)/python -m pip freeze --exclude-editable > .venv/pins.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .venv/pins.txt -e '.[bench]'
	@touch $@
