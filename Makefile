# Start with `make demo` and `make test`. Both need Python 3.10 or newer and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LOCK = requirements.lock
PAGE = akd_toolkit/inference/page
EXTRAS = train,opensmile,av,video,docs,dev
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet
# All extras but tensorrt, whose libraries come from NVIDIA's own index.
LOCKED_EXTRAS = $(addprefix --extra ,train opensmile av video ray live openvino docs dev)
COMPILE = $(BIN)/uv pip compile setup.cfg --quiet --upgrade --no-header --no-annotate --no-emit-index-url
# One thread per process: small models gain nothing from more, and parallel runs do not compete for cores.
export OMP_NUM_THREADS ?= 1

.PHONY: demo page pretrained pretrained-small wheel docs notebook test test-newest test-oldest lint lock clean

demo: $(VENV)/.installed
	$(BIN)/python recipes/Generated/train.py recipes/Generated/hparams/demo.yaml

# ONNX Runtime for browsers, which the page of akd demo loads; needs npm.
page: $(PAGE)/ort/ort-wasm-simd-threaded.wasm

$(PAGE)/ort/ort-wasm-simd-threaded.wasm: tools/page/package-lock.json
	npm ci --silent --prefix tools/page
	mkdir -p $(@D)
	cp $(addprefix tools/page/node_modules/onnxruntime-web/dist/,ort.wasm.bundle.min.mjs $(@F)) $(@D)

# The student of the package, trained again: make pretrained CORPORA=/path/to/corpora (which holds the folder EmoDB).
pretrained: RESULTS = recipes/Combined/results/release
pretrained: $(VENV)/.installed
	cd recipes/Combined && $(abspath $(BIN))/python train.py hparams/release.yaml --data_folder $(abspath $(CORPORA))
	$(BIN)/akd compress $(RESULTS)
	$(BIN)/akd study noise $(RESULTS)
	$(BIN)/akd release $(RESULTS)/compressed/seed17/fold1/1-prune --to akd_toolkit/pretrained --precision int8 --no-weights

# A larger student, which is not in the package: make pretrained-small CORPORA=/path/to/corpora
pretrained-small: RESULTS = recipes/Combined/results/release_small
pretrained-small: $(VENV)/.installed
	cd recipes/Combined && $(abspath $(BIN))/python train.py hparams/release_small.yaml \
		--with ../../hparams/low_rank_small.yaml --data_folder $(abspath $(CORPORA))
	$(BIN)/akd study noise $(RESULTS)
	$(BIN)/akd release $(RESULTS)/seed17/fold1/outer --to $(RESULTS)/release

wheel: $(VENV)/bin/uv page
	$(BIN)/uv build --quiet --wheel --out-dir dist

docs: $(VENV)/.installed-tests
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebook: $(VENV)/.installed-tests
	$(BIN)/python tools/run_notebook.py docs/tutorial_python.ipynb

test: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n auto --dist loadfile $(WARNINGS)

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/yamllint recipes hparams

# The newest and the oldest versions that setup.cfg allows, each in its own environment. Deprecation warnings of old
# packages are not errors.
test-oldest: WARNINGS = $(foreach kind,Deprecation PendingDeprecation Future,-W default::$(kind)Warning)
test-newest test-oldest: test-%:
	rm -f .venv-$*/versions.txt
	$(MAKE) test VENV=.venv-$* LOCK=.venv-$*/versions.txt WARNINGS="$(WARNINGS)"

# Exact versions of all packages, for every Python and platform that setup.cfg allows.
lock: $(VENV)/bin/uv
	$(COMPILE) --universal --python-version 3.10 $(LOCKED_EXTRAS) --output-file $(LOCK)

.venv-newest/versions.txt .venv-oldest/versions.txt: .venv-%/versions.txt: setup.cfg .venv-%/bin/uv
	$(COMPILE) --python $(BIN)/python $(LOCKED_EXTRAS) --resolution $(if $(filter oldest,$*),lowest-direct,highest) \
		--output-file $@

%/bin/uv:
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip --disable-pip-version-check install --quiet uv

# Reinstalled when the requirements change. setuptools comes first, because its locked version builds the package.
$(VENV)/.installed: setup.cfg pyproject.toml $(LOCK)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint $(LOCK) setuptools
	$(PIP) --constraint $(LOCK) --no-build-isolation --editable '.[train]'
	touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(PIP) --constraint $(LOCK) --no-build-isolation --editable '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf site .venv .venv-newest .venv-oldest
