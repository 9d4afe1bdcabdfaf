# make search: set everything up and search NAS-Bench-201 with a predictor in the loop.
# make test:   set everything up and run the tests.
# Both need nothing but Python 3.11+ and make; everything they install goes into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: search test lint clean

search: $(VENV)/user.stamp
	$(BIN)/nasx search

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "nasx needs Python 3.11 or newer; type make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/user.stamp: EXTRAS = nasbench201
$(VENV)/test.stamp: EXTRAS = nasbench201,test
$(VENV)/dev.stamp: EXTRAS = dev
$(VENV)/%.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing nasx[$(EXTRAS)] into $(VENV) (a few minutes the first time)"
	$(PIP) -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
