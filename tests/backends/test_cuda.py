"""The cuda engine: what can be shown without a GPU, and what needs one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.backends.fake_cuda import fake_cuda
from tests.conftest import random_pictures
from ugatit_fast import Translator, build_engine
from ugatit_fast.backends import cuda
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.choices import Tune
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import BackendUnavailable, EngineError, InputError
from ugatit_fast.export.verify import verify

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA GPU here")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens where there is no GPU")


@pytest.fixture(scope="module")
def engine(light_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cuda") / "light.safetensors"
    return build_engine(light_checkpoint, path, backend="cuda", size=(32, 32), batch=(4, 1, 4), heatmap=True).path


def test_an_engine_is_built_without_a_gpu(engine: Path) -> None:
    spec = read_spec(engine)
    assert (spec.kind, spec.precision, spec.batch_sizes, spec.any_size) == ("cuda", "fp16", (1, 4), False)
    with safe_open(engine, "pt") as file:
        assert file.get_tensor("stem.weight").dtype == torch.float16
        assert file.get_tensor("decoder.0.0.rho").dtype == torch.float32


def test_full_generator_and_float32(full_checkpoint: Path, tmp_path: Path) -> None:
    built = build_engine(full_checkpoint, tmp_path / "full.safetensors", backend="cuda", precision="fp32")
    assert built.difference.max_abs < 1e-5
    assert built.spec.batch_sizes == (1, 4, 16)


@without_gpu
def test_running_without_a_gpu_says_what_is_missing(engine: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"light\.safetensors runs on an NVIDIA GPU: .*--backend onnxruntime"):
        Translator(engine)
    with pytest.raises(BackendUnavailable, match="onnxruntime engine"):
        Translator(engine, device="cpu")


def test_one_thread_captures_what_all_callers_run(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's graphs could be of other algorithms, which cuDNN's search finds once a thread."""
    threads: list[str] = []

    class Lane(cuda.Lane):
        def __init__(self, *of: Any) -> None:
            threads.append(threading.current_thread().name)
            super().__init__(*of)

    with fake_cuda(monkeypatch):
        monkeypatch.setattr(cuda, "Lane", Lane)
        backend = cuda.CudaBackend(engine, read_spec(engine), "cudnn")
        with backend.lanes.lane(), backend.lanes.lane():
            assert len(threads) == 2
    assert set(threads) == {"cuda-capture_0"}


@without_gpu
def test_auto_says_why_it_passes_cuda_over(light_checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    built = build_engine(light_checkpoint, tmp_path / "auto.onnx", size=(16, 16), say=lines.append)
    assert built.spec.kind == "onnxruntime"
    assert any("not cuda" in line for line in lines)


def test_a_truncated_engine(engine: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(engine.read_bytes()[:-1000])
    with pytest.raises(EngineError, match="truncated or damaged"):
        cuda.load_folded(cut, read_spec(cut))


def test_an_engine_that_lacks_a_tensor(engine: Path, tmp_path: Path) -> None:
    tensors = load_file(engine)
    del tensors["style.heads"]
    lacking = tmp_path / "lacking.safetensors"
    save_file(tensors, lacking)
    with pytest.raises(EngineError, match=r"has no tensor 'style\.heads'"):
        cuda.load_folded(lacking, read_spec(engine))


@pytest.mark.parametrize("batch", [(0,), (-1, 2), (5000,)])
def test_batch_sizes_that_make_no_sense(light_checkpoint: Path, batch: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="from 1 to 1024"):
        build_engine(light_checkpoint, backend="cuda", batch=batch)


def test_batch_sizes_are_for_gpu_engines(light_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="leave --batch out"):
        build_engine(light_checkpoint, backend="onnxruntime", batch=(1,))


@pytest.mark.parametrize("heatmap", [False, True])
@pytest.mark.parametrize("n", [1, 4, 6])
def test_one_piece_and_several_are_what_plain_pytorch_makes(
    n: int, heatmap: bool, light_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the graphs' own operations, with everything queued happening at once."""
    path = build_engine(
        light_checkpoint, tmp_path / "a.safetensors", backend="cuda", size=(16, 16), batch=(1, 4), heatmap=heatmap
    ).path
    spec, pictures = read_spec(path), random_pictures(n, 16, 16)
    images, heatmaps = PlainBackend(path, spec).run(pictures)
    with fake_cuda(monkeypatch):
        backend = cuda.CudaBackend(path, spec)
        found = [backend.run(pictures) for _ in range(2)]
        found += [tuple(map(as_array, backend.run_on_device(torch.from_numpy(pictures))))]
        backend.close()
    for translated, found_heatmaps in found:
        assert np.abs(translated.astype(int) - images).max() <= 2
        assert (found_heatmaps is None) == (not heatmap)
        if heatmap:
            np.testing.assert_allclose(found_heatmaps, heatmaps, rtol=0.02, atol=0.02)


def as_array(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.numpy()


@pytest.mark.gpu
@needs_gpu
class TestOnGpu:
    @pytest.fixture(scope="class")
    def translator(self, engine: Path) -> Iterator[Translator]:
        with Translator(engine, heatmap=True) as translator:
            yield translator

    def test_passes_the_gate(self, engine: Path, light_checkpoint: Path) -> None:
        assert verify(engine, light_checkpoint).passes("fp16")

    @pytest.mark.parametrize("tune", ["auto", "cudnn", "ours"])
    def test_passes_the_gate_whoever_convolves(
        self, tune: Tune, engine: Path, light_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        lines: list[str] = []
        assert verify(engine, light_checkpoint, tune=tune, say=lines.append).passes("fp16")
        assert len(lines) == {"auto": 2, "cudnn": 0, "ours": 1}[tune], lines

    @pytest.mark.parametrize("n", [0, 1, 3, 4, 9, 23])
    def test_any_number_of_pictures(self, translator: Translator, n: int) -> None:
        pictures = random_pictures(n, 32, 32)
        together, heatmaps = translator.run(pictures)
        assert heatmaps.shape == (n, 8, 8)
        for i in range(n):
            apart, heatmap = translator.run(pictures[i : i + 1])
            assert np.abs(together[i].astype(int) - apart[0].astype(int)).max() <= 2
            assert np.allclose(heatmaps[i], heatmap[0], rtol=0.02, atol=0.02)

    def test_runs_repeat_bit_for_bit(self, translator: Translator) -> None:
        pictures = random_pictures(5, 32, 32)
        first, _ = translator.run(pictures)
        assert all(np.array_equal(translator.run(pictures)[0], first) for _ in range(50))

    def test_tensors_stay_on_the_gpu(self, translator: Translator) -> None:
        pictures = random_pictures(6, 32, 32)
        on_gpu, heatmaps = translator.run(torch.from_numpy(pictures).cuda())
        assert on_gpu.is_cuda
        assert heatmaps.is_cuda
        assert np.array_equal(on_gpu.cpu().numpy(), translator.run(pictures)[0])

    def test_callers_at_once_get_their_own_pictures(self, translator: Translator) -> None:
        pictures = [random_pictures(n, 32, 32) for n in (1, 4, 2, 9, 1, 4)]
        expected = [translator.run(batch)[0] for batch in pictures]
        with ThreadPoolExecutor(len(pictures)) as callers:
            for _ in range(20):
                found = callers.map(lambda batch: translator.run(batch)[0], pictures)
                assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))

    def test_several_translators_on_one_gpu(self, engine: Path) -> None:
        pictures = random_pictures(4, 32, 32)
        with Translator(engine) as one, Translator(engine) as other:
            assert np.array_equal(one.run(pictures), other.run(pictures))

    def test_memory_that_runs_out(self, engine: Path) -> None:
        full = torch.OutOfMemoryError("CUDA out of memory")
        with (
            patch.object(cuda, "CapturedBatch", side_effect=full),
            pytest.raises(BackendUnavailable, match="would fit"),
        ):
            Translator(engine)
