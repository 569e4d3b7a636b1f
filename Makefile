# make book · make pdf · make archive · make report · make verify · make check · make test · make test-slow · make bench · make notebooks · make reference · make sweep · make sensitivity · make explore · make cluster-test · make cluster-bench · make lint · make lock     (each sets up .venv itself)

# PYTHON names the Python 3.11 that .venv is made with; without it, it is the first on PATH
PROFILE ?= paper
OUT := $(if $(filter paper,$(PROFILE)),,_build/$(PROFILE)/)_build
# No step takes a program from PATH that .venv has, and no rule names the folder of the checkout, which may have blanks
VENV := .venv
RUN := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONPATH :=
export PYTHONUTF8 := 1
unexport PYTHONHOME
# Snakemake, pooch and numba keep something in the home, unless that cannot be written to
ifeq (,$(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache" 2> /dev/null && test -w "$$cache" && echo yes))
export XDG_CACHE_HOME := $(CURDIR)/_build/home/cache
endif
# The rest is in profiles/default
SNAKEMAKE := $(RUN) -m snakemake --cores all

ifneq (,$(findstring :,$(CURDIR)))
$(error $(CURDIR) has a colon, which separates folders in PATH: move the checkout)
endif

.PHONY: anew book pdf archive report verify check test test-slow bench notebooks reference sweep sensitivity explore cluster-test cluster-bench lint lock install chromium clean

book: install
	@$(RUN) -m legc_utils.datasets
	@$(SNAKEMAKE) --config profile=$(PROFILE)
	@echo "$$PWD/$(OUT)/html/index.html"

# The whole book as one PDF, to print or to read on the train
pdf: book chromium
	@$(RUN) $(VENV)/bin/jupyter-book build $(OUT)/stage --path-output $(OUT)/print --builder custom --custom-builder singlehtml -q
	@$(shell command -v chromium chromium-browser google-chrome | head -1) --headless --no-sandbox --disable-gpu \
	 --virtual-time-budget=60000 --print-to-pdf="$$PWD/$(OUT)/legcnet.pdf" "$$PWD/$(OUT)/print/_build/singlehtml/index.html"
	@echo "$$PWD/$(OUT)/legcnet.pdf"

# Results, executed notebooks and what computes them as one RO-Crate, judged by an independent validator
archive: book
	@$(RUN) book/build/archive.py $(PROFILE) $(OUT)/legcnet.zip
	@$(RUN) book/build/validate.py $(OUT)/legcnet.zip $(OUT)/legcnet.txt
	@cat $(OUT)/legcnet.txt

# The same of the quick book, and what the validator says becomes what the page "How to cite" shows
report:
	@$(MAKE) --no-print-directory archive PROFILE=quick
	cp _build/quick/_build/legcnet.txt book/archive.txt

# The files of an archive, and one of its pages computed again: make verify ARCHIVE=legcnet.zip CHAPTER=01_sdic/iris-published
CHAPTER ?= 04_ft_vs_pt/iris-published
verify: install
	@$(RUN) book/build/verify.py "$(ARCHIVE)" "$(CHAPTER)"

# One thread a process: two processes share two cores, and threads that wait for each other cost more than they give.
# Numba's count as well: its threads are OpenMP's, and so torch's.
check test test-slow notebooks verify: export OMP_NUM_THREADS = 1
check test test-slow notebooks verify: export NUMBA_NUM_THREADS = 1
# Each file by one worker, in the order of conftest.py: what takes longest begins first
PYTEST := $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval-cell-timeout 600

# Before a commit, a minute and a half at most: the tests of what changed, and one notebook
check: install lint
	@what=$$($(RUN) book/build/changed.py) && echo "$$what" && $(PYTEST) -m 'not slow and not whole' --nbval $$what

# Everything but what takes many minutes, in one go, in which the browser's tests wait for the quick book
test: install chromium lint
	$(PYTEST) --doctest-modules --doctest-glob=README.md --nbval tests notebooks/05_baselines.ipynb legc_utils book/study README.md

# Builds and sweeps that are killed many times over, every notebook by nbval, what else tests leave out; half an hour
test-slow: install
	$(PYTEST) -m slow tests
	$(PYTEST) --nbval notebooks

# The core against its peers, on this machine; writes benchmarks/results, which the page "Performance" shows
bench: install
	$(RUN) -m benchmarks

# Store the outputs that nbval compares (quick profile: the notebooks' own defaults)
notebooks: install
	$(RUN) book/build/refresh.py

# Keep the results of the quick profile as what tests compare a fresh run with
reference: install
	rm -rf book/executed/quick tests/reference
	@$(MAKE) --no-print-directory book PROFILE=quick
	cd book/executed/quick/results && find [0-9]* evidence -name '*.csv' -exec install -D -m 644 {} ../../../../tests/reference/{} ';'

# Every combination of the parameters in config.yaml (section sweep); killed or stopped, it goes on where it was
sweep: install
	@$(SNAKEMAKE) sweep
	@echo "$$PWD/_build/sweep/table.csv"
	@echo "$$PWD/_build/sweep/page/_build/_page/sensitivity/html/sensitivity.html"

# The same, and what came out becomes what the page "Sensitivity" shows
sensitivity: sweep
	cp _build/sweep/specifications.csv book/sensitivity.csv
	cp _build/sweep/specifications.json book/sensitivity.json

# What the page "Explore" lets a reader choose from, computed anew where it is not there
explore: install
	@$(RUN) -m study.choices

# A sweep through a real Slurm on this one machine, as root: installed by apt where it is missing, started, stopped
cluster-test: install
	tests/cluster/run.sh

# What a job costs here and through that Slurm; writes benchmarks/results/cluster, which "Running on a cluster" shows
cluster-bench: install
	tests/cluster/with_slurm.sh $(RUN) -m benchmarks.cluster

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) book/build/check_prose.py

install: $(VENV)/installed

# Made anew if it has another version of Python or belongs to another checkout
$(VENV)/installed: requirements.txt pyproject.toml $(shell $(RUN) -I book/build/environment.py check 2> /dev/null || echo anew)
	@python=$$(sh book/build/find_python.sh "$(PYTHON)") && "$$python" book/build/environment.py

# Debian's browser, for the tests that open the rendered book
chromium:
	@command -v chromium chromium-browser google-chrome > /dev/null || sh tests/install_chromium.sh

# Resolve pyproject.toml and write down every version with its checksums; needs PyTorch's CPU wheels in pip's reach
lock:
	python=$$(sh book/build/find_python.sh "$(PYTHON)") && "$$python" -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install -qq uv
	.venv-lock/bin/python book/build/lock.py
	rm -r .venv-lock

clean:
	rm -rf _build book/executed .snakemake
