"""Whatever TensorRT or the driver under it refuses leaves as one line that is an error of ours."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.backends.troubles import TORCH, TROUBLES, is_told, raises, works_again
from tests.conftest import random_pictures
from tests.tensorrt.fake_gpu import FakeGpu
from ugatit_fast import build_engine
from ugatit_fast.backends.border import DRIVER, FAILED, LOST, MEMORY, Trouble
from ugatit_fast.backends.gpu_parts import GpuError, OutOfGpuMemory
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import EngineError
from ugatit_fast.export.options import TensorRTOptions

GPU = {
    MEMORY: OutOfGpuMemory("CUDA says cudaErrorMemoryAllocation"),
    LOST: GpuError("CUDA says cudaErrorECCUncorrectable"),
    FAILED: GpuError("CUDA says cudaErrorIllegalAddress"),
}


@pytest.fixture
def engine(fake: ModuleType, light_checkpoint: Path, tmp_path: Path) -> Path:
    options = TensorRTOptions(kernels="native")
    path = tmp_path / "light.engine"
    return build_engine(light_checkpoint, path, backend="tensorrt", size=(16, 16), batch=(1, 2), tensorrt=options).path


def loaded(engine: Path) -> Any:
    from ugatit_fast.backends.trt import TrtBackend

    return TrtBackend(engine, read_spec(engine))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_running(
    monkeypatch: pytest.MonkeyPatch,
    fake: ModuleType,
    engine: Path,
    trouble: Trouble,
) -> None:
    backend, pictures = loaded(engine), random_pictures(5, 16, 16)
    before, _ = backend.run(pictures)
    for error in (GPU[trouble], TORCH[trouble]):
        with monkeypatch.context() as patch, is_told(engine, trouble, error):
            patch.setattr(FakeGpu, "copy", raises(error))
            backend.run(pictures)
        works_again(backend, pictures, before)


def test_tensorrt_refuses(
    monkeypatch: pytest.MonkeyPatch,
    fake: ModuleType,
    engine: Path,
) -> None:
    backend = loaded(engine)
    monkeypatch.setattr(fake.IExecutionContext, "execute_async_v3", lambda *_: False)
    backend.log.log(fake.ILogger.ERROR, "Cuda Runtime (an illegal memory access was encountered)")
    with pytest.raises(EngineError, match=r"TensorRT refused to run: Cuda Runtime \(an illegal memory"):
        backend.run(random_pictures(1, 16, 16))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_loading(
    monkeypatch: pytest.MonkeyPatch,
    fake: ModuleType,
    engine: Path,
    trouble: Trouble,
) -> None:
    for error in (GPU[trouble], TORCH[trouble]):
        with monkeypatch.context() as patch, is_told(engine, trouble, error):
            patch.setattr(FakeGpu, "memory", raises(error))
            loaded(engine)


def test_a_driver_that_is_too_old(
    monkeypatch: pytest.MonkeyPatch,
    fake: ModuleType,
    engine: Path,
) -> None:
    error = TypeError("pybind11::init(): factory function returned nullptr")
    loaded(engine)
    monkeypatch.setattr(fake, "Runtime", raises(error))
    with is_told(engine, DRIVER, error):
        loaded(engine)
