"""OpenVINO: pictures of every size and number, callers at once, and what is kept of a compilation."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.backends.byte_engines import SIDE, noise, small_bytes, write_openvino_engine
from tests.backends.troubles import is_told, raises, works_again
from tests.conftest import FULL, LIGHT
from tests.machines import ABSENT, GPU_MACHINE, FakeMachine, library, torch_build
from ugatit_fast.backends.border import FAILED, MEMORY, Trouble
from ugatit_fast.backends.compiled_file import compiled_file, keep, kept
from ugatit_fast.backends.needs import OPENVINO
from ugatit_fast.backends.runtimes import RUNTIMES, choose_backend
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import BackendUnavailable, EngineError
from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.translator import Translator

openvino = pytest.importorskip("openvino")

from ugatit_fast.backends.openvino_engine import OpenVinoBackend  # noqa: E402

SIZES = [(16, 16), (8, 8), (8, 32), (40, 12), (64, 64), (20, 44)]
"""The smallest, long ones of both kinds, odd quarters, and larger than what was calibrated."""


@pytest.fixture(scope="module")
def eight() -> EightBits:
    return small_bytes()


@pytest.fixture(scope="module")
def engine(eight: EightBits, light_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openvino") / "light.openvino"
    write_openvino_engine(path, light_checkpoint, eight)
    return path


@pytest.fixture
def own_copy(engine: Path, tmp_path: Path) -> Path:
    """Of the engine alone, without what was compiled of it."""
    path = tmp_path / "own.openvino"
    path.write_bytes(engine.read_bytes())
    return path


def backend_of(path: Path) -> OpenVinoBackend:
    return OpenVinoBackend(path, read_spec(path), threads=1)


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.square(first.astype(float) - second).mean(), 1e-9)))


# Pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pictures_of_every_size_are_right(engine: Path, eight: EightBits, size: tuple[int, int]) -> None:
    """A model of open sizes gives 10 to 15 dB here, and one of fixed sizes did once."""
    pictures = noise(2, *size, seed=1)
    translated, heatmaps = backend_of(engine).run(np.stack(pictures))
    assert translated.shape == (2, *size, 3)
    assert psnr(translated, emulate(eight, pictures)) > 35
    assert heatmaps is not None
    assert heatmaps.shape == (2, size[0] // 4, size[1] // 4)


def test_a_picture_does_not_depend_on_its_batch(engine: Path) -> None:
    backend, pictures = backend_of(engine), np.stack(noise(3))
    together, heat = backend.run(pictures)
    alone = [backend.run(picture[None]) for picture in pictures]
    assert np.array_equal(together, np.concatenate([one for one, _ in alone]))
    assert heat is not None
    np.testing.assert_array_equal(heat, np.concatenate([one for _, one in alone if one is not None]))
    assert backend.run(pictures[:0])[0].shape == (0, SIDE, SIDE, 3)


def test_results_are_the_callers_to_keep(engine: Path) -> None:
    backend, (first, second) = backend_of(engine), noise(2)
    kept_picture, _ = backend.run(first[None])
    copied = kept_picture.copy()
    backend.run(second[None])
    assert np.array_equal(kept_picture, copied)


def test_callers_at_once_with_pictures_of_more_sizes_than_are_kept(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugatit_fast.backends.openvino_engine.MOST_SIZES", 2)
    backend = backend_of(engine)
    pictures = [noise(1, *size, seed=seed)[0][None] for size in SIZES[:3] for seed in range(2)]
    expected = [backend.run(picture)[0] for picture in pictures]
    assert list(backend.sizes) == SIZES[1:3]  # the last used
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda picture: backend.run(picture)[0], pictures))
    assert all(np.array_equal(*both) for both in zip(found, expected, strict=True))
    assert len(backend.sizes) == 2
    backend.close()
    assert not backend.sizes


def test_a_picture_of_one_colour_stays_calm(engine: Path, eight: EightBits) -> None:
    """Norms multiply what has no variance by 316."""
    grey = np.full((1, SIDE, SIDE, 3), 77, np.uint8)
    translated, _ = backend_of(engine).run(grey)
    assert psnr(translated, emulate(eight, list(grey))) > 35


def test_a_full_generator_serves_its_size(tmp_path: Path, full_checkpoint: Path) -> None:
    eight, path = small_bytes(replace(FULL, img_size=SIDE)), tmp_path / "full.openvino"
    write_openvino_engine(path, full_checkpoint, eight, heatmap=False)
    pictures = noise(1)
    translated, heatmaps = backend_of(path).run(np.stack(pictures))
    assert heatmaps is None
    assert psnr(translated, emulate(eight, pictures)) > 35


# What is kept of a compilation ------------------------------------------------------------------------------------


def test_the_second_start_compiles_nothing(own_copy: Path) -> None:
    pictures = np.stack(noise(2))
    first = backend_of(own_copy).run(pictures)[0]
    with patch.object(OpenVinoBackend, "compile", side_effect=AssertionError("compiled")):
        backend = backend_of(own_copy)
        assert np.array_equal(backend.run(pictures)[0], first)


def test_what_another_compiled_or_is_damaged_is_compiled_again(own_copy: Path, light_checkpoint: Path) -> None:
    pictures, file = np.stack(noise(1)), compiled_file(own_copy)
    expected = backend_of(own_copy).run(pictures)[0]
    good = file.read_bytes()
    with patch.object(openvino, "get_version", return_value="2026.3.0-1"):
        backend_of(own_copy)
    of_another_version = file.read_bytes()
    middle = len(good) // 2
    damaged = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    for content in (of_another_version, damaged, good[: len(good) // 2], b"", b"x" * 31):
        file.write_bytes(content)
        assert np.array_equal(backend_of(own_copy).run(pictures)[0], expected)
        assert file.read_bytes() != content  # made anew
    write_openvino_engine(own_copy, light_checkpoint, small_bytes(replace(LIGHT, n_res=1)))  # another engine there
    assert not np.array_equal(backend_of(own_copy).run(pictures)[0], expected)


def test_a_folder_that_nothing_can_be_written_to(own_copy: Path) -> None:
    compiled_file(own_copy).mkdir()  # as good as read-only, for root too
    assert backend_of(own_copy).run(np.stack(noise(1)))[0].shape == (1, SIDE, SIDE, 3)


def test_what_is_kept_is_given_back_under_its_key_alone(tmp_path: Path) -> None:
    engine = tmp_path / "x.openvino"
    assert kept(engine, "key") is None
    keep(engine, "key", b"compiled")
    assert kept(engine, "key") == b"compiled"
    assert kept(engine, "other") is None
    assert kept(engine, "keyc") is None


# Where it isn't, or can't be --------------------------------------------------------------------------------------


def machine(version: str | None = "2026.4.1-22982", products: str | None = "AVX-512 VNNI") -> FakeMachine:
    there = {"openvino": library(version) if version else ABSENT}
    return FakeMachine(GPU_MACHINE | {"torch": torch_build(None)} | there, products=products)


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (machine(None), r'needs openvino; .*pip install ".*\[openvino\]"'),
        (machine("2026.3.0-1"), r"OpenVINO >= 2026.4, < 2027 in place of 2026.3.0-1"),
        (machine("2027.0.0"), r"in place of 2027.0.0"),
        (machine(products=None), r"needs a CPU that multiplies bytes .*build an onnxruntime engine"),
    ],
)
def test_what_a_machine_lacks_is_told_in_one_line(here: FakeMachine, reason: str) -> None:
    told = RUNTIMES["openvino"].missing("run", here)
    assert told is not None
    assert "\n" not in told
    with pytest.raises(BackendUnavailable, match=reason):
        choose_backend("openvino", lambda _: None, here)


def test_this_openvino_fits() -> None:
    assert OPENVINO.versions is not None
    assert RUNTIMES["openvino"].missing("run", machine(openvino.__version__)) is None


def test_auto_takes_it_where_eight_bits_are_asked_for_and_nowhere_else() -> None:
    said: list[str] = []
    assert choose_backend("auto", said.append, machine()) == "onnxruntime"
    assert choose_backend("auto", said.append, machine(), precision="int8", device="cpu") == "openvino"
    assert choose_backend("auto", said.append, machine(), fast=True, device="cpu") == "openvino"
    assert choose_backend("auto", said.append, machine(None), precision="int8", device="cpu") == "onnxruntime"
    assert "not openvino: needs openvino" in said[-1]
    assert choose_backend("auto", said.append, machine(products=None), fast=True, device="cpu") == "onnxruntime"


def test_an_engine_says_what_it_is_without_openvino(engine: Path) -> None:
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from ugatit_fast.engine import read_spec\n"
        "from ugatit_fast.errors import BackendUnavailable\n"
        "from ugatit_fast.translator import Translator\n"
        f"assert read_spec({str(engine)!r}).kind == 'openvino'\n"
        f"try: Translator({str(engine)!r})\n"
        "except BackendUnavailable as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert "needs openvino" in done.stdout
    assert "pip install" in done.stdout


def test_a_graphics_card_is_not_what_it_runs_on(engine: Path) -> None:
    with pytest.raises(BackendUnavailable, match="--device cpu"):
        Translator(engine, device="cuda")


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_damaged_engine_is_told(own_copy: Path, share: float) -> None:
    spec, content = read_spec(own_copy), own_copy.read_bytes()
    own_copy.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(EngineError, match=r"own\.openvino is damaged .*build it again"):
        OpenVinoBackend(own_copy, spec, threads=1)


# What it raises ---------------------------------------------------------------------------------------------------

RAISED = {
    MEMORY: RuntimeError("Exception from src/inference/src/cpp/core.cpp:117:\nstd::bad_alloc\n\n"),
    FAILED: RuntimeError(
        "Exception from src/inference/src/cpp/infer_request.cpp:224:\nCheck 'a == b' failed at src/plugins/x.cpp:7:\n"
        "The input tensor size is not equal to the model input type\n\n"
    ),
}


@pytest.mark.parametrize("trouble", RAISED)
def test_what_it_raises_while_running(monkeypatch: pytest.MonkeyPatch, engine: Path, trouble: Trouble) -> None:
    backend, pictures = backend_of(engine), np.stack(noise(2))
    before, _ = backend.run(pictures)
    with monkeypatch.context() as patch, is_told(engine, trouble, RAISED[trouble]):
        patch.setattr(openvino.InferRequest, "infer", raises(RAISED[trouble]))
        backend.run(pictures)
    works_again(backend, pictures, before)


@pytest.mark.parametrize("trouble", RAISED)
def test_what_it_raises_while_loading(monkeypatch: pytest.MonkeyPatch, engine: Path, trouble: Trouble) -> None:
    """At the start, and when a picture of another size comes."""
    backend, larger = backend_of(engine), np.stack(noise(1, 24, 24))
    with monkeypatch.context() as patch:
        for name in ("compile_model", "import_model"):
            patch.setattr(openvino.Core, name, raises(RAISED[trouble]))
        with is_told(engine, trouble, RAISED[trouble]):
            backend_of(engine)
        with is_told(engine, trouble, RAISED[trouble]):
            backend.run(larger)
    assert backend.run(larger)[0].shape == larger.shape
