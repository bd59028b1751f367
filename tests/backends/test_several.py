"""Engines on a GPU by its number, and on several."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from tests.backends.fake_cuda import fake_cuda
from tests.conftest import random_pictures
from tests.translate.fake_translator import SPEC
from ugatit_fast import build_engine
from ugatit_fast.backends import ort
from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.cuda import CudaBackend
from ugatit_fast.backends.providers import CUDA_PROVIDER
from ugatit_fast.backends.several import SeveralGpus, shared_out
from ugatit_fast.backends.styles import Style
from ugatit_fast.choices import Loading, places_of
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import InputError
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.translator.kinds import is_on_gpu


class Inverting:
    """A backend that inverts colours, and keeps what it was given."""

    def __init__(self, name: str, before: Callable[[], None] = lambda: None, *, heatmap: bool = True) -> None:
        self.spec, self.device, self.before, self.heatmap = SPEC, name, before, heatmap
        self.given: list[Images] = []
        self.styles: list[Style | None] = []
        self.closed = False

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        self.before()
        self.given.append(images)
        self.styles.append(style)
        return 255 - images, images[:, ::4, ::4].mean(axis=3, dtype=np.float32) if self.heatmap else None

    def close(self) -> None:
        self.closed = True


# What people type ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "gpus"),
    [("auto", "auto", ()), ("cpu", "cpu", ()), ("cuda", "cuda", ()), ("cuda:1", "cuda", (1,)),
     ("cuda:3,cuda:0", "cuda", (3, 0))],
)  # fmt: skip
def test_devices(text: str, kind: str, gpus: tuple[int, ...]) -> None:
    assert places_of(text) == (kind, gpus)
    assert Loading(device=text).device == text


@pytest.mark.parametrize(
    "text", ["", "tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "cuda:0,cuda:0", "cuda:0,cpu", "0,1", "cuda,cuda:1"]
)
def test_devices_that_there_cannot_be(text: str) -> None:
    with pytest.raises(InputError, match=r"device must be one of auto, cpu, cuda, a GPU by its number"):
        places_of(text)
    with pytest.raises(InputError):
        Loading(device=text)


def test_the_command_line_refuses_them(light_engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(light_engine), "x.jpg", "--device", "cuda:0,cuda:0"]) != 0
    assert "cuda:0,cuda:1" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert main(["serve", str(light_engine), "--on", "ray", "--device", "cuda:1"]) == 1
    assert "--gpus-per-replica" in capsys.readouterr().err
    RayOptions(device="cuda")


# Sharing out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "among", "parts"), [(1, 3, [1]), (2, 3, [1, 1]), (7, 3, [2, 2, 3]), (32, 2, [16, 16])]
)
def test_shares_are_whole_and_even(count: int, among: int, parts: list[int]) -> None:
    shares = shared_out(count, among)
    assert [where.stop - where.start for where in shares] == parts
    assert [i for where in shares for i in range(count)[where]] == list(range(count))


def test_all_draw_in_the_style_that_is_asked_for() -> None:
    backends = [Inverting(name) for name in "ab"]
    style = np.ones(8, np.float32)
    SeveralGpus(backends).run(random_pictures(3, 16, 16), style)
    assert [backend.styles for backend in backends] == [[style], [style]]


@pytest.mark.parametrize("heatmap", [True, False])
def test_a_batch_comes_back_in_its_order(heatmap: bool) -> None:
    backends = [Inverting(name, heatmap=heatmap) for name in "abc"]
    several = SeveralGpus(backends)
    pictures = random_pictures(7, 16, 16)
    translated, heatmaps = several.run(pictures)
    np.testing.assert_array_equal(translated, 255 - pictures)
    if heatmap:
        assert heatmaps is not None
        np.testing.assert_allclose(heatmaps, pictures[:, ::4, ::4].mean(axis=3))
    else:
        assert heatmaps is None
    assert sorted(len(one) for backend in backends for one in backend.given) == [2, 2, 3]
    several.close()
    assert all(backend.closed for backend in backends)


def test_all_compute_at_once() -> None:
    """Each waits until the others have begun."""
    meeting = threading.Barrier(3, timeout=20)
    several = SeveralGpus([Inverting(name, meeting.wait) for name in "abc"])
    assert len(several.run(random_pictures(6, 16, 16))[0]) == 6


def test_callers_at_once_go_where_the_least_is_in_hand() -> None:
    meeting = threading.Barrier(3, timeout=20)
    backends = [Inverting(name, meeting.wait) for name in "abc"]
    several = SeveralGpus(backends)
    pictures = random_pictures(3, 16, 16)
    with ThreadPoolExecutor(3) as callers:
        results = list(callers.map(lambda one: several.run(one[None])[0][0], pictures))
    np.testing.assert_array_equal(results, 255 - pictures)
    assert [len(backend.given) for backend in backends] == [1, 1, 1]
    assert several.in_hand == [0, 0, 0]


def test_what_a_gpu_raises_is_raised_when_all_are_done() -> None:
    def broken() -> None:
        raise InputError("lost")

    sound = Inverting("b")
    several = SeveralGpus([Inverting("a", broken), sound])
    with pytest.raises(InputError, match="lost"):
        several.run(random_pictures(4, 16, 16))
    assert [len(one) for one in sound.given] == [2]
    assert several.in_hand == [0, 0]


def test_the_largest_batch_is_as_many_times_as_large() -> None:
    """So that what sends batches sends enough for all."""
    several = SeveralGpus([Inverting("H100 A"), Inverting("H100 B")])
    assert several.spec.batch_sizes == (2,)  # of an engine for any number, which is sent one at a time
    assert several.device == "H100 A and H100 B"


# Each runtime --------------------------------------------------------------------------------------------------------


def test_the_cuda_engine_computes_on_its_own(
    light_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build_engine(
        light_checkpoint, tmp_path / "e.safetensors", backend="cuda", size=(32, 32), batch=(1, 2)
    ).path
    current: list[tuple[int, bool]] = []
    here = threading.current_thread()

    def device(number: int) -> nullcontext[None]:
        current.append((number, threading.current_thread() is here))
        return nullcontext()

    with fake_cuda(monkeypatch):
        monkeypatch.setattr(torch.cuda, "device", device)
        backends = [CudaBackend(engine, read_spec(engine), "cudnn", gpu=number) for number in (0, 3)]
        assert set(current) == {(number, where) for number in (0, 3) for where in (True, False)}, (
            "where it captures, too"
        )
        several = SeveralGpus(backends)
        pictures = random_pictures(4, 32, 32)
        current.clear()
        translated, _ = several.run(pictures)
        assert sorted(number for number, _ in current) == [0, 3]
        np.testing.assert_array_equal(translated, backends[0].run(pictures)[0])
        several.close()


def test_onnxruntime_is_told_the_number(light_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    def session(model: Any, options: Any, *, providers: list[Any], **_: object) -> Any:
        asked.extend(providers)
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "choose_provider", lambda *_: CUDA_PROVIDER)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    backend = ort.OrtBackend(light_engine, read_spec(light_engine), device="cuda", gpu=2)
    assert asked == [(CUDA_PROVIDER, {"device_id": 2})]
    assert backend.device == "NVIDIA GPU 2 through ONNX Runtime"


def test_a_tensor_on_another_gpu_goes_through_the_host() -> None:
    class OnGpu(torch.Tensor):
        is_cuda, device = True, torch.device("cuda:1")

    tensor = torch.zeros(1).as_subclass(OnGpu)
    assert [is_on_gpu(tensor, number) for number in (None, 1, 0)] == [True, True, False]
