"""NVIDIA's real parser and builder, which need no GPU, in processes of their own.

The package index has the libraries of TensorRT for RTX as well as its Python binding. TensorRT's own binding loads over
the same libraries under the names of its own: so our code for TensorRT meets the parser, the network's validation and
the builder. That is a harness for tests and nothing to ship; only plugins differ (test_real_plugins.py).
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from shutil import which
from typing import ParamSpec, TypeVar

import pytest

from tests.tensorrt.bindings import HERE, ROOT, installed

P = ParamSpec("P")
T = TypeVar("T")
LIBRARIES = "tensorrt-rtx-0.5.0/onnxruntime_ep_nv_tensorrt_rtx"
RTX_BINDINGS = "tensorrt-rtx-1.7.1.116/tensorrt_rtx_bindings"
TENSORRT_VERSION = "11.4.0.106"
VERSION = "1.7.1"
"""Of TensorRT for RTX."""
BUILDER, PARSER = (f"lib{name}.so.{VERSION}" for name in ("tensorrt_rtx", "tensorrt_onnxparser_rtx"))


class Real:
    """A process in which an import of TensorRT is the real thing."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def call(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What a function of a module gives there; what it raises."""
        return self.pool.submit(function, *arguments, **options).result()


@contextmanager
def real_tensorrt(folder: Path) -> Iterator[Real]:
    """`import tensorrt` is TensorRT's own binding. Skips where that can't be."""
    libraries, bindings, compiler = found(LIBRARIES), installed(TENSORRT_VERSION), which("cc")
    if bindings is None:
        pytest.skip(f"tensorrt-cu13-bindings {TENSORRT_VERSION} is not in .venv; `make test` installs it")
    if compiler is None:
        pytest.skip("no C compiler (cc) for the stub of TensorRT's plugin library")
    major = TENSORRT_VERSION.split(".")[0]
    for name, library in ((f"libnvinfer.so.{major}", BUILDER), (f"libnvonnxparser.so.{major}", PARSER)):
        (folder / name).symlink_to(libraries / library)
    (folder / "libtensorrt_rtx.so.1").symlink_to(libraries / BUILDER)
    stub = folder / f"libnvinfer_plugin.so.{major}"
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", stub, HERE / "plugin_stub.c"], check=True)
    (folder / "tensorrt").symlink_to(bindings, target_is_directory=True)
    with process(folder) as real:
        yield real


@contextmanager
def real_rtx(folder: Path) -> Iterator[Real]:
    """`import tensorrt_rtx` is TensorRT for RTX, as `pip install tensorrt-rtx` gives it. Skips where that can't be."""
    libraries, bindings = found(LIBRARIES), found(RTX_BINDINGS)
    for name, library in (("libtensorrt_rtx.so.1", BUILDER), ("libtensorrt_onnxparser_rtx.so.1", PARSER)):
        (folder / name).symlink_to(libraries / library)
    (folder / "tensorrt_rtx_bindings").symlink_to(bindings, target_is_directory=True)
    module = folder / "tensorrt_rtx" / "__init__.py"
    module.parent.mkdir()
    module.write_text("from tensorrt_rtx_bindings import *\nfrom tensorrt_rtx_bindings import __version__\n")
    with process(folder) as real:
        yield real


def found(package: str) -> Path:
    """A folder that `make test` installs. Skips where it is missing."""
    folder = ROOT / ".venv" / package
    if not folder.is_dir():
        pytest.skip(f"{package} is not in .venv: `make test` installs it where there is a wheel (Linux x86-64)")
    return folder


@contextmanager
def process(folder: Path) -> Iterator[Real]:
    """A process that finds libraries and modules in a folder first."""
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=look_first_in, initargs=(str(folder),))
    with pytest.MonkeyPatch.context() as patch, pool:
        # the loader reads it when a process begins
        patch.setenv("LD_LIBRARY_PATH", f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":"))
        pool.submit(os.getpid).result()
        patch.undo()
        yield Real(pool)


def look_first_in(folder: str) -> None:
    """For modules."""
    sys.path.insert(0, folder)
