# make demo, make test: all that is needed on a machine with Python 3.11 or newer, make and git.

PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
# Written last: an interrupted install has none, and the next run starts from an empty .venv.
INSTALLED := .venv/installed
TENSORRT_BINDINGS := 10.16.1.11 11.4.0.106

.PHONY: demo test check bench gpu clean

demo: $(INSTALLED)  ## build an engine and translate the sample photo
	$(BIN)/ugatit-fast demo

test: $(INSTALLED)  ## the whole test suite
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## lint, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(INSTALLED)  ## measure, and record in benchmarks/results/
	$(BIN)/ugatit-fast bench --scaling

gpu:  ## on a machine with a GPU, from a bare checkout: its tests, every kernel and engine against their rivals
	PYTHONPATH=. python3 benchmarks/gpu.py

clean:  ## remove the environment and everything built or cached
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ugatit-fast needs Python 3.11 or newer; name one with make PYTHON=...")'
	@echo "Installing into .venv: a minute or two, 3 GB"
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[cpu,torch,kernels,train,example-data,video,formats,serve,ray,hub,dev]"
	@# TensorRT's Python bindings without its libraries: what tests/tensorrt holds our calls against. Linux x86-64 only.
	@for version in $(TENSORRT_BINDINGS); do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --target .venv/tensorrt-$$version tensorrt-cu13-bindings==$$version || echo "no TensorRT $$version bindings for this machine; its tests skip"; \
	done
	@touch $@
