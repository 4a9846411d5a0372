# Two commands for a newcomer: `make demo` and `make test`. Both need Python 3.10 or newer and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# One thread per process: small models gain nothing from more, and two runs then share two cores fairly.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	$(BIN)/python recipes/Generated/train.py recipes/Generated/hparams/demo.yaml

test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/yamllint recipes hparams

# Made again when the requirements change.
$(VENV)/.installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[opensmile,dev]'
	touch $@

clean:
	rm -rf $(VENV)
