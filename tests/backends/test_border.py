"""Whatever a runtime raises, while an engine is loaded or run, leaves as one line that is an error of ours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from tests.backends.fake_cuda import FakeGraph, fake_cuda
from tests.backends.troubles import TORCH, TROUBLES, is_told, raises, works_again
from tests.conftest import random_pictures
from ugatit_fast import build_engine
from ugatit_fast.backends.border import DAMAGED, DRIVER, FAILED, LIBRARIES, LOST, MEMORY, Trouble, border, trouble_of
from ugatit_fast.backends.cuda import CudaBackend
from ugatit_fast.backends.eager import EagerBackend
from ugatit_fast.backends.ort import OrtBackend
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import BackendUnavailable, EngineError, InputError
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import Generator

ORT = {
    MEMORY: ort_errors.RuntimeException("Failed to allocate memory for requested buffer of size 12345\nmore"),
    LOST: ort_errors.DeviceReset("device removed"),
    FAILED: ort_errors.Fail("[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node"),
}


@pytest.fixture(scope="module")
def cuda_engine(light_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cuda") / "light.safetensors"
    return build_engine(light_checkpoint, path, backend="cuda", size=(16, 16), batch=(1, 2), heatmap=True).path


@pytest.fixture
def on_fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fake_cuda(monkeypatch):
        yield


@pytest.mark.usefixtures("on_fake_cuda")
class TestCuda:
    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_running(self, monkeypatch: pytest.MonkeyPatch, cuda_engine: Path, trouble: Trouble) -> None:
        backend, pictures = CudaBackend(cuda_engine, read_spec(cuda_engine)), random_pictures(5, 16, 16)
        before, _ = backend.run(pictures)
        for run in (lambda: backend.run(pictures), lambda: backend.run_on_device(torch.from_numpy(pictures))):
            with monkeypatch.context() as patch, is_told(cuda_engine, trouble, TORCH[trouble]):
                patch.setattr(FakeGraph, "fails", raises(TORCH[trouble]))
                run()
            works_again(backend, pictures, before)

    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_loading(self, monkeypatch: pytest.MonkeyPatch, cuda_engine: Path, trouble: Trouble) -> None:
        monkeypatch.setattr("ugatit_fast.backends.cuda.Slot", raises(TORCH[trouble]))
        with is_told(cuda_engine, trouble, TORCH[trouble]):
            CudaBackend(cuda_engine, read_spec(cuda_engine))

    def test_it_computes_what_the_plain_one_does(self, cuda_engine: Path) -> None:
        spec, pictures = read_spec(cuda_engine), random_pictures(5, 16, 16)
        backend = CudaBackend(cuda_engine, spec)
        images, heatmaps = PlainBackend(cuda_engine, spec).run(pictures)
        for found in (backend.run(pictures), backend.run_on_device(torch.from_numpy(pictures))):
            assert np.abs(np.asarray(found[0]).astype(int) - images).max() <= 2
            np.testing.assert_allclose(np.asarray(found[1]), heatmaps, rtol=0.02, atol=0.02)


class TestOnnxRuntime:
    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_running(self, monkeypatch: pytest.MonkeyPatch, light_engine: Path, trouble: Trouble) -> None:
        backend = OrtBackend(light_engine, read_spec(light_engine))
        monkeypatch.setattr(backend.session, "run", raises(ORT[trouble]))
        for n in (1, 3):
            with is_told(light_engine, trouble, ORT[trouble]):
                backend.run(random_pictures(n, 32, 32))

    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_loading(self, monkeypatch: pytest.MonkeyPatch, light_engine: Path, trouble: Trouble) -> None:
        monkeypatch.setattr(onnxruntime, "InferenceSession", raises(ORT[trouble]))
        with is_told(light_engine, trouble, ORT[trouble]):
            OrtBackend(light_engine, read_spec(light_engine))

    def test_a_damaged_file(self, light_engine: Path, tmp_path: Path) -> None:
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(light_engine.read_bytes()[:2000])
        with pytest.raises(EngineError, match=r"cut\.onnx is damaged .*build it again"):
            OrtBackend(cut, read_spec(light_engine))

    def test_every_exception_it_has_is_known(self) -> None:
        kinds = [kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
        assert kinds
        assert all(trouble_of(kind("whatever")) for kind in kinds)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_eager_and_plain(
    monkeypatch: pytest.MonkeyPatch, light_checkpoint: Path, cuda_engine: Path, trouble: Trouble
) -> None:
    eager, plain = EagerBackend(light_checkpoint, device="cpu"), PlainBackend(cuda_engine, read_spec(cuda_engine))
    for backend, path, network in ((eager, light_checkpoint, Generator), (plain, cuda_engine, FoldedGenerator)):
        with monkeypatch.context() as patch, is_told(path, trouble, TORCH[trouble]):
            patch.setattr(network, "forward", raises(TORCH[trouble]))
            backend.run(random_pictures(2, 16, 16))
    with monkeypatch.context() as patch, is_told(light_checkpoint, trouble, TORCH[trouble]):
        patch.setattr(Generator, "to", raises(TORCH[trouble]))
        EagerBackend(light_checkpoint, device="cpu")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), DRIVER),
        (RuntimeError("Triton Error [CUDA]: out of memory"), MEMORY),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), FAILED),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), MEMORY),
        (RuntimeError("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1"), LOST),
        (MemoryError(), MEMORY),
        (ort_errors.InvalidProtobuf("Protobuf parsing failed."), DAMAGED),
        (RuntimeError("Exception from src/x.cpp:105:\nUnable to read the model. Please check"), DAMAGED),
        (RuntimeError("Check 'dim_lb >= 2' failed at src/x.hpp:88:\nREFLECT padding mode requires"), FAILED),
    ],
)  # fmt: skip
def test_what_words_mean(error: Exception, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
        TypeError("unsupported operand"),
        InputError("out of memory"),
        KeyError("CUDA error"),
    ],
)
def test_bugs_and_our_own_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, border("x.onnx"):
        raise error
    assert raised.value is error


def test_every_class_in_the_table_exists() -> None:
    from importlib import import_module

    for table in LIBRARIES.values():
        for name in table:
            module, _, kind = name.rpartition(".")
            assert issubclass(getattr(import_module(module), kind), Exception)


def test_what_takes_less_memory(light_engine: Path, cuda_engine: Path) -> None:
    for path, less in ((light_engine, "--size"), (cuda_engine, "--batch below 2")):
        with pytest.raises(BackendUnavailable, match=less), border(path, read_spec(path)):
            raise MemoryError
