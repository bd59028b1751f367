"""The fake TensorRT in place of the real one, and the modules of ours that import it."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.tensorrt import fake_tensorrt, real
from tests.tensorrt.fake_gpu import FakeGpu
from tests.tensorrt.real import Real
from ugatit_fast.backends import gpu

OURS = ("backends.trt", "export.tensorrt_engine", "export.tensorrt_plugin", "export.timing_cache")
"""Modules that import TensorRT; imported afresh under the fake, and again afterwards."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    for name in OURS:
        monkeypatch.delitem(sys.modules, f"ugatit_fast.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    monkeypatch.setattr(gpu, "TorchGpu", FakeGpu)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for settings in (fake_tensorrt.Faults, fake_tensorrt.Counts):
        for name, value in vars(settings).items():
            if not name.startswith("_"):
                monkeypatch.setattr(settings, name, value)
    gpu.open_gpu.cache_clear()
    monkeypatch.setattr(import_module("ugatit_fast.export.tensorrt_engine"), "register_plugins", lambda: None)
    yield fake_tensorrt
    gpu.open_gpu.cache_clear()
    for name in OURS:
        sys.modules.pop(f"ugatit_fast.{name}", None)


@pytest.fixture(scope="session")
def real_tensorrt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real.real_tensorrt(tmp_path_factory.mktemp("real-tensorrt")) as found:
        yield found


@pytest.fixture(scope="session")
def real_rtx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real.real_rtx(tmp_path_factory.mktemp("real-rtx")) as found:
        yield found
