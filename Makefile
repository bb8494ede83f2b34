# One door: make app, make test, make lint, make bench. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8501
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: app test lint bench bench-influence setup setup-dev sample screenshots clean

app: setup
	QUADRANT_DATA="$(DATA)" $(PY) -m streamlit run app.py --server.port $(PORT)

test: setup-dev lint
	$(PY) -m pytest -q $(TESTS)

lint: setup-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

bench: setup-dev
	$(PY) -m benchmarks

# Beside bergson, dattri, kronfluence, captum and LESS, each in an environment of its own below .venv/peers (about 1 GB each).
bench-influence: setup-dev
	$(PY) -m benchmarks.peers.install
	$(PY) -m benchmarks influence

sample: setup
	$(PY) sample_data/make.py

screenshots: setup-dev
	$(PY) docs/guide/screenshots.py

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

# torch 2.13.0 is asked for by name first, so that a CPU build at hand is taken and nothing pulls in a CUDA build later. On a machine with
# a GPU, `make app TORCH=torch` takes the newest build that the platform offers.
TORCH ?= torch==2.13.0
$(VENV)/.installed: requirements.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --upgrade pip
	$(PY) -m pip install -q --disable-pip-version-check "$(TORCH)"
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(PY) -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
