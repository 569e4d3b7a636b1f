# make book · make pdf · make test · make bench · make notebooks · make reference · make sweep · make sensitivity · make cluster-test · make cluster-bench · make lint · make lock     (each sets up .venv itself)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROFILE ?= paper
OUT := $(CURDIR)$(if $(filter paper,$(PROFILE)),,/_build/$(PROFILE))
VENV := $(CURDIR)/.venv
export PATH := $(VENV)/bin:$(PATH)
export PYTHONPATH :=
# The rest is in profiles/default
SNAKEMAKE := snakemake --cores all

.PHONY: book pdf test bench notebooks reference sweep sensitivity cluster-test cluster-bench lint lock install chromium clean

book: install
	@python -m legc_utils.datasets
	@$(SNAKEMAKE) --config profile=$(PROFILE)
	@echo $(OUT)/_build/html/index.html

# The whole book as one PDF, to print or to read on the train
pdf: book chromium
	@jupyter-book build $(OUT)/_build/stage --path-output $(OUT)/_build/print --builder custom --custom-builder singlehtml -q
	@$(shell command -v chromium chromium-browser google-chrome | head -1) --headless --no-sandbox --disable-gpu \
	 --virtual-time-budget=60000 --print-to-pdf=$(OUT)/_build/legcnet.pdf $(OUT)/_build/print/_build/singlehtml/index.html
	@echo $(OUT)/_build/legcnet.pdf

# One thread a process: two processes share two cores, and threads that wait for each other cost more than they give.
# Numba's count as well: its threads are OpenMP's, and so torch's.
test notebooks: export OMP_NUM_THREADS = 1
test notebooks: export NUMBA_NUM_THREADS = 1
test: install chromium lint
	pytest -n 2 --dist loadfile tests --ignore tests/test_book.py
	pytest -n 2 --doctest-modules --doctest-glob=README.md legc_utils book/study README.md
	pytest -n 2 --dist loadfile --nbval --nbval-cell-timeout 600 notebooks
	pytest tests/test_book.py

# The core against its peers, on this machine; writes benchmarks/results, which the page "Performance" shows
bench: install
	python -m benchmarks

# Store the outputs that nbval compares (quick profile: the notebooks' own defaults)
notebooks: install
	python book/build/refresh.py

# Keep the results of the quick profile as what tests compare a fresh run with
reference: install
	rm -rf book/executed/quick tests/reference
	@$(MAKE) --no-print-directory book PROFILE=quick
	cd book/executed/quick/results && find [0-9]* evidence -name '*.csv' -exec install -D -m 644 {} $(CURDIR)/tests/reference/{} ';'

# Every combination of the parameters in config.yaml (section sweep); killed or stopped, it goes on where it was
sweep: install
	@$(SNAKEMAKE) sweep
	@echo $(CURDIR)/_build/sweep/table.csv
	@echo $(CURDIR)/_build/sweep/page/_build/_page/sensitivity/html/sensitivity.html

# The same, and what came out becomes what the page "Sensitivity" shows
sensitivity: sweep
	cp _build/sweep/specifications.csv book/sensitivity.csv
	cp _build/sweep/specifications.json book/sensitivity.json

# A sweep through a real Slurm on this one machine, as root: installed by apt where it is missing, started, stopped
cluster-test: install
	tests/cluster/run.sh

# What a job costs here and through that Slurm; writes benchmarks/results/cluster, which "Running on a cluster" shows
cluster-bench: install
	tests/cluster/with_slurm.sh $(VENV)/bin/python -m benchmarks.cluster

lint: install
	ruff check .
	ruff format --check .
	python book/build/check_prose.py

install: $(VENV)/installed

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	python -m pip install -qq -r requirements.txt
	python -m pip install -qq --no-deps --no-build-isolation -e .
	touch $@

# Debian's browser, for the tests that open the rendered book
chromium:
	@command -v chromium chromium-browser google-chrome > /dev/null || sh tests/install_chromium.sh

# Resolve pyproject.toml anew and write down every version
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install -qq '.[book,test,bench]'
	(echo '# The lock: every package that is installed, at one version. Written by `make lock` from pyproject.toml.'; \
	 .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude legc-utils | sed 's/+cpu$$//' | sort -f) > requirements.txt
	rm -r .venv-lock

clean:
	rm -rf _build book/executed .snakemake
