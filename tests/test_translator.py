import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import random_pictures
from ugatit_fast import Translator
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.kernels.image import image_of, unit_range
from ugatit_fast.translator.kinds import tensor_like, tensor_to_images, to_images, to_unit_range


@pytest.fixture(scope="module")
def translator(light_engine: Path) -> Iterator[Translator]:
    with Translator(light_engine) as translator:
        yield translator


def test_uint8_numpy_comes_back_as_uint8_numpy(translator: Translator) -> None:
    pictures = random_pictures(3, 32, 32)
    kept = pictures.copy()

    translated = translator.run(pictures)

    assert isinstance(translated, np.ndarray)
    assert (translated.dtype, translated.shape) == (np.uint8, pictures.shape)
    assert np.array_equal(pictures, kept)
    assert not np.array_equal(translated, pictures)


def test_every_kind_carries_the_same_pictures(translator: Translator) -> None:
    pictures = random_pictures(2, 32, 36)
    expected = translator.run(pictures)
    unit = to_unit_range(pictures)

    kinds: list[Any] = [
        unit,
        unit.astype(np.float64),
        torch.from_numpy(pictures),
        torch.from_numpy(unit),
        torch.from_numpy(unit).double(),
        torch.from_numpy(unit).to(memory_format=torch.channels_last),
        torch.from_numpy(unit).requires_grad_(),
    ]
    for batch in kinds:
        result = translator.run(batch)
        assert type(result) is type(batch)
        assert result.dtype == batch.dtype
        assert result.shape == batch.shape
        array = np.asarray(result)
        assert np.array_equal(array if array.dtype == np.uint8 else to_images(array.astype(np.float32)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_batches(translator: Translator, dtype: torch.dtype) -> None:
    batch = (torch.rand(1, 3, 32, 32) * 2 - 1).to(dtype)

    result = translator.run(batch)

    assert result.dtype == dtype
    assert result.abs().max() <= 1


@pytest.mark.parametrize("n", [0, 1, 5])
def test_any_number_of_images(translator: Translator, n: int) -> None:
    assert translator.run(random_pictures(n, 32, 32)).shape == (n, 32, 32, 3)


def test_a_batch_is_its_images(translator: Translator) -> None:
    pictures = random_pictures(4, 32, 32)

    together = translator.run(pictures).astype(int)
    apart = np.concatenate([translator.run(picture[None]) for picture in pictures])

    assert np.abs(together - apart).max() <= 1


def test_non_contiguous_batches(translator: Translator) -> None:
    pictures = random_pictures(2, 32, 64)
    view = pictures[::-1, :, ::2]

    assert np.array_equal(translator.run(view), translator.run(view.copy()))


def test_the_result_is_the_callers_to_keep(translator: Translator) -> None:
    first = translator.run(random_pictures(1, 32, 32, seed=1))
    kept = first.copy()
    translator.run(random_pictures(1, 32, 32, seed=2))

    assert np.array_equal(first, kept)
    first[:] = 0  # writable


def test_every_way_to_and_from_unit_range_agrees_on_every_level() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    in_unit_range = unit_range(torch.from_numpy(levels), torch.float32)
    assert np.array_equal(to_unit_range(levels), in_unit_range.numpy())
    assert np.array_equal(image_of(in_unit_range).numpy(), levels)
    for dtype in (torch.float32, torch.float64, torch.float16):
        batch = tensor_like(torch.empty(1, 3, 16, 16, dtype=dtype), torch.from_numpy(levels))
        assert batch.is_contiguous()
        assert np.array_equal(to_images(batch), levels)
        assert np.array_equal(tensor_to_images(batch).numpy(), levels)


def test_heat_maps_on_request(light_engine: Path) -> None:
    with Translator(light_engine, heatmap=True) as translator:
        images, heatmaps = translator.run(random_pictures(2, 32, 40))
        assert (heatmaps.dtype, heatmaps.shape) == (np.float32, (2, 8, 10))
        assert heatmaps.min() >= 0
        assert images.shape == (2, 32, 40, 3)
        _, as_tensor = translator.run(torch.zeros(1, 3, 32, 32))
        assert isinstance(as_tensor, torch.Tensor)
        assert translator.run(random_pictures(0, 32, 32))[1].shape == (0, 8, 8)


def test_translate_gives_heatmaps_only_where_they_were_asked_for(light_engine: Path) -> None:
    pictures = random_pictures(2, 32, 40)
    with Translator(light_engine, heatmap=True) as asked, Translator(light_engine) as not_asked:
        with_maps, without = asked.translate(pictures), not_asked.translate(pictures)
        assert without.heatmaps is None
        assert with_maps.heatmaps is not None
        assert with_maps.heatmaps.shape == (2, 8, 10)
        assert np.array_equal(with_maps.pictures, without.pictures)
        assert np.array_equal(without.pictures, not_asked.run(pictures))
        with pytest.raises(InputError, match="cannot translate"):
            not_asked.translate(pictures[:, :30])


def test_heat_maps_of_an_engine_without(full_engine: Path) -> None:
    with pytest.raises(EngineError, match="--heatmap"):
        Translator(full_engine, heatmap=True)


@pytest.mark.parametrize(("batch_sizes", "expected"), [((), [1]), ((1, 4), [1, 4])])
def test_warmup_runs_an_empty_picture_of_each_batch_size(
    translator: Translator, monkeypatch: pytest.MonkeyPatch, batch_sizes: tuple[int, ...], expected: list[int]
) -> None:
    spec = replace(translator.spec, batch_sizes=batch_sizes)
    seen: list[npt.NDArray[np.uint8]] = []
    monkeypatch.setattr(translator, "spec", spec)
    monkeypatch.setattr(translator, "backend", SimpleNamespace(run=seen.append))
    translator.warmup()
    assert [pictures.shape for pictures in seen] == [(size, spec.height, spec.width, 3) for size in expected]
    assert not any(pictures.any() for pictures in seen)
    assert {pictures.dtype for pictures in seen} == {np.dtype(np.uint8)}


def test_threads_share_a_translator(translator: Translator) -> None:
    pictures = [random_pictures(1, 32, 32, seed=i) for i in range(6)]
    expected = [translator.run(picture) for picture in pictures]
    wrong: list[int] = []

    def work(i: int) -> None:
        wrong.extend(i for _ in range(5) if not np.array_equal(translator.run(pictures[i]), expected[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (np.zeros((32, 32), np.uint8), r"\(32, 32\)"),
        (np.zeros((1, 3, 32, 32), np.uint8), r"colours last"),
        (np.zeros((1, 32, 32, 3), np.float32), r"\(n, 3, h, w\).*\(1, 32, 32, 3\)"),
        (np.zeros((1, 32, 32, 4), np.uint8), r"\(1, 32, 32, 4\)"),
        (np.zeros((1, 32, 32, 3), np.int64), "int64"),
        (np.full((1, 3, 32, 32), 255, np.float32), r"\[-1, 1\], got \[255, 255\]"),
        (np.full((1, 3, 32, 32), np.nan, np.float32), "nan"),
        (np.zeros((1, 30, 32, 3), np.uint8), "multiples of 4"),
        (np.zeros((1, 4, 4, 3), np.uint8), "at least 8"),
        ([[1, 2]], "NumPy array or a torch tensor; got list"),
        (torch.zeros(1, 32, 32, 3), r"\(n, 3, h, w\)"),
    ],
)
def test_a_wrong_batch_says_what_came_and_what_was_expected(translator: Translator, batch: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        translator.run(batch)


def test_a_full_generator_serves_its_size_only(full_engine: Path) -> None:
    with Translator(full_engine) as translator, pytest.raises(InputError, match="32x32 images only"):
        translator.run(random_pictures(1, 64, 64))


def test_an_unknown_device(light_engine: Path) -> None:
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        Translator(light_engine, device="tpu")  # type: ignore[arg-type]


def test_spec_is_public(light_engine: Path) -> None:
    with Translator(light_engine) as translator:
        assert translator.spec == read_spec(light_engine)


@given(st.integers(0, 2**32 - 1))
def test_levels_survive_the_unit_range(seed: int) -> None:
    pictures = random_pictures(1, 3, 5, seed)
    assert np.array_equal(to_images(to_unit_range(pictures)), pictures)


@given(st.integers(0, 2**32 - 1))
def test_the_device_path_converts_as_the_host_does(seed: int) -> None:
    unit = np.random.default_rng(seed).uniform(-1, 1, (2, 3, 5, 4)).astype(np.float32)
    images = tensor_to_images(torch.from_numpy(unit))
    assert np.array_equal(images.numpy(), to_images(unit))
    assert np.array_equal(tensor_like(torch.from_numpy(unit), images).numpy(), to_unit_range(images.numpy()))
    assert tensor_to_images(images) is images
    assert tensor_like(images, images) is images


@pytest.mark.parametrize(
    "batch", [torch.zeros(1, 32, 32, 3), torch.full((1, 3, 8, 8), 2.0), torch.zeros(2, 3, 4, 5, dtype=torch.int32)]
)
def test_the_device_path_checks_as_the_host_does(batch: torch.Tensor) -> None:
    with pytest.raises(InputError) as host:
        to_images(batch)
    with pytest.raises(InputError) as device:
        tensor_to_images(batch)
    assert str(host.value) == str(device.value)


# From its beginning to its end ------------------------------------------------------------------------------------

USES: dict[str, Callable[[Translator], object]] = {
    "run": lambda translator: translator.run(random_pictures(1, 32, 32)),
    "run of nothing": lambda translator: translator.run(random_pictures(0, 32, 32)),
    "translate": lambda translator: translator.translate(random_pictures(1, 32, 32)),
    "warmup": lambda translator: translator.warmup(),
    "with": lambda translator: translator.__enter__(),
    "pickle": pickle.dumps,
    "copy": copy.deepcopy,
}


@pytest.mark.parametrize("use", USES)
def test_after_closing_there_is_one_clear_error(light_engine: Path, use: str) -> None:
    translator = Translator(light_engine)
    translator.close()
    translator.close()
    with pytest.raises(EngineError, match=r"was closed; load it again: Translator\(") as raised:
        USES[use](translator)
    assert str(light_engine) in str(raised.value)
    assert "onnxruntime" in str(translator.spec)


def test_closing_within_a_block(light_engine: Path) -> None:
    with Translator(light_engine) as translator:
        translator.close()


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), copy.copy, copy.deepcopy])  # noqa: S301
def test_a_copy_loads_the_file_anew(
    light_engine: Path, monkeypatch: pytest.MonkeyPatch, again: Callable[[Translator], Translator]
) -> None:
    monkeypatch.chdir(light_engine.parent)
    with Translator(light_engine.name, heatmap=True, threads=1) as translator:
        expected = translator.translate(random_pictures(2, 32, 32))
        monkeypatch.chdir("/")
        copied = again(translator)
    found = copied.translate(random_pictures(2, 32, 32))
    assert np.array_equal(found.pictures, expected.pictures)
    assert np.array_equal(found.heatmaps, expected.heatmaps)  # type: ignore[arg-type]
    assert copied.device == "CPU, 1 thread"


def test_a_copy_without_its_file(tmp_path: Path, light_engine: Path) -> None:
    engine = tmp_path / "e.onnx"
    engine.write_bytes(light_engine.read_bytes())
    sent = pickle.dumps(Translator(engine))
    engine.unlink()
    with pytest.raises(EngineError, match="cannot read the engine"):
        pickle.loads(sent)  # noqa: S301
