"""Whose convolutions a cuda engine takes: measured, kept, and never a reason not to start. Here, times are told."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')

from tests.backends.fake_cuda import fake_cuda
from tests.conftest import random_pictures
from ugatit_fast import Translator, build_engine
from ugatit_fast.backends import cuda, tuning
from ugatit_fast.backends.convolutions import CUDNN, Choices, Layer
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.choices import Tune
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.errors import InputError
from ugatit_fast.fold import fold
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.kernels.schedule import Gpu
from ugatit_fast.model import Generator, GeneratorConfig

H200 = Gpu((9, 0), 132, 228 * 1024)
TURING = Gpu((7, 5), 40, 64 * 1024)
Ways = Mapping[str, Callable[[], Tensor]]


@pytest.fixture(scope="module")
def engine(light_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuning") / "light.safetensors"
    return build_engine(light_checkpoint, path, backend="cuda", size=(16, 16), batch=(1, 2)).path


@pytest.fixture(scope="module")
def spec(engine: Path) -> EngineSpec:
    return read_spec(engine)


@pytest.fixture(scope="module")
def folded(engine: Path, spec: EngineSpec) -> FoldedGenerator:
    return cuda.load_folded(engine, spec).aligned()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An H200, as far as choosing asks, with an empty cache; ours is twice as fast for one image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tuning, "times_of", told_times)
    with fake_cuda(monkeypatch, H200):
        yield


def told_times(ways: Ways) -> dict[str, float]:
    images = len(ways[CUDNN]())
    return {name: 10.0 if name == CUDNN else 5.0 * images**2 for name in ways}


def choose(folded: FoldedGenerator, spec: EngineSpec, tune: Tune = "auto") -> tuple[Choices | None, list[str]]:
    lines: list[str] = []
    return tuning.choose(folded, spec, tune, lines.append), lines


def ours(choices: Choices | None) -> int:
    assert choices is not None
    return sum(way is not None for way in choices.ways.values())


def kept() -> Path:
    path = tuning.place_of("NVIDIA H200")
    assert path is not None
    return path


def fails(ways: Ways) -> dict[str, float]:
    raise AssertionError("nothing should be timed")


def test_layers_of_the_light_network_at_256() -> None:
    with torch.device("meta"):
        network = fold(Generator(GeneratorConfig(light=True))).half_precision().aligned()
    layers = tuning.layers_of(network, 1, 256, 256)
    able = [layer for layer in layers if layer.tiles(H200)]
    assert len(layers) == 20  # the stem among them, whose eight channels are too few
    assert len(able) == 16 + 1 + 2  # the trunk, the attention, and both up-samplings
    assert len(set(able)) == 5
    assert able[0].name == "1x256x66x66 by 256x256x3x3, instance norm, float16"
    assert {layer.tiles(TURING) for layer in layers} == {()}


@pytest.mark.usefixtures("gpu")
def test_a_layer_takes_the_faster_and_the_file_remembers(
    folded: FoldedGenerator, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices, lines = choose(folded, spec)
    assert choices is not None
    by_size = [{layer: way for layer, way in choices.ways.items() if layer.x[0] == n} for n in (1, 2)]
    assert all(way is not None for way in by_size[0].values())
    assert all(way is None for way in by_size[1].values())
    assert len(lines) == 2
    assert lines[0] == "convolutions: timing ours and cuDNN's, once on this GPU, at batch 1 and 2"
    assert lines[1].startswith("convolutions: ours 11 of 12 at batch 1, 0 of 12 at batch 2, measured in ")
    assert lines[1].endswith(f"kept in {kept()}")

    monkeypatch.setattr(tuning, "times_of", fails)
    again, lines = choose(folded, spec)
    assert again == choices
    assert lines == [f"convolutions: ours 11 of 12 at batch 1, 0 of 12 at batch 2, as measured before ({kept()})"]


@pytest.mark.usefixtures("gpu")
def test_only_what_is_new_is_measured(folded: FoldedGenerator, spec: EngineSpec) -> None:
    choose(folded, spec)
    content = json.loads(kept().read_text())
    gone = [name for name in content["layers"] if name.startswith("2x")]
    for name in gone:
        del content["layers"][name]
    kept().write_text(json.dumps(content))
    _, lines = choose(folded, spec)
    assert lines[0].endswith("at batch 2")
    assert set(gone) <= set(json.loads(kept().read_text())["layers"])


def damaged(content: dict[str, Any]) -> dict[str, bytes]:
    """What may be found in place of the file."""
    name = next(iter(content["layers"]))
    changed: dict[str, Any] = {
        "another GPU": {**content, "facts": content["facts"] | {"gpu": "NVIDIA A100"}},
        "another PyTorch": {**content, "facts": content["facts"] | {"torch": "1.0"}},
        "another fact": {**content, "facts": content["facts"] | {"driver": "1"}},
        "no facts": {"layers": content["layers"]},
        "facts that are none": {**content, "facts": "H200"},
        "a list": [content],
        "a number": 3,
        "layers that are a list": {**content, "layers": list(content["layers"])},
        "times that are words": {**content, "layers": {name: {"cudnn": "fast"}}},
        "times that are a number": {**content, "layers": {name: 3}},
        "a negative time": {**content, "layers": {name: {"cudnn": -1.0}}},
        "no number": {**content, "layers": {name: {"cudnn": float("nan")}}},
        "nothing for a time": {**content, "layers": {name: {"cudnn": None}}},
    }
    text = json.dumps(content).encode()
    return {why: json.dumps(one).encode() for why, one in changed.items()} | {
        "nothing": b"", "half of it": text[: len(text) // 2], "no text": b"\xff\xfe\x00", "deep": b"[" * 100_000,
    }  # fmt: skip


DAMAGED = damaged({"facts": {"gpu": "", "torch": ""}, "layers": {"a layer": {"cudnn": 1.0}}})


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("why", list(DAMAGED))
def test_a_file_that_is_damaged_or_anothers_is_made_anew(why: str, folded: FoldedGenerator, spec: EngineSpec) -> None:
    first, _ = choose(folded, spec)
    whole = json.loads(kept().read_text())
    kept().write_bytes(damaged(whole)[why])
    again, lines = choose(folded, spec)
    assert again == first
    assert len(lines) == 2
    assert json.loads(kept().read_text()) == whole


@pytest.mark.usefixtures("gpu")
def test_a_way_that_is_no_longer_there_is_passed_over(folded: FoldedGenerator, spec: EngineSpec) -> None:
    choose(folded, spec)
    content = json.loads(kept().read_text())
    content["layers"] = {name: {"7x7": 0.1, **times} for name, times in content["layers"].items()}
    kept().write_text(json.dumps(content))
    assert ours(choose(folded, spec)[0]) == 5


@pytest.mark.usefixtures("gpu")
def test_a_cache_that_cannot_be_written_keeps_nothing_from_starting(
    folded: FoldedGenerator, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        choices, lines = choose(folded, spec)
        assert ours(choices) == 5
        assert "not kept: cannot write" in lines[1]
    kept_is_a_folder = tmp_path / "other"
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept_is_a_folder))
    kept().mkdir(parents=True)
    assert "not kept" in choose(folded, spec)[1][1]


@pytest.mark.usefixtures("gpu")
def test_who_has_no_home_keeps_nothing(
    folded: FoldedGenerator, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(tuning, "cache_folder", homeless)
    choices, lines = choose(folded, spec)
    assert ours(choices) == 5
    assert lines[1].endswith("not kept: there is no home folder")


@pytest.mark.usefixtures("gpu")
def test_asked_for_nothing_is_measured(
    folded: FoldedGenerator, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "times_of", fails)
    assert choose(folded, spec, "cudnn") == (None, [])
    choices, lines = choose(folded, spec, "ours")
    assert ours(choices) == 10
    assert lines == ["convolutions: ours 11 of 12 at batch 1, 11 of 12 at batch 2, as asked for"]
    assert not kept().exists()


@pytest.mark.usefixtures("gpu")
def test_where_there_is_no_choice_nothing_is_said(
    folded: FoldedGenerator, spec: EngineSpec, light_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "times_of", fails)
    exact = build_engine(light_checkpoint, tmp_path / "a.safetensors", backend="cuda", size=(16, 16), precision="fp32")
    assert choose(cuda.load_folded(exact.path, exact.spec), exact.spec) == (None, [])
    monkeypatch.setattr(tuning, "gpu_of", lambda device: TURING)
    assert choose(folded, spec) == choose(folded, spec, "ours") == (None, [])


def replay_of(run: Callable[[], Tensor]) -> Callable[[], Any]:
    run()
    return run


def test_ours_must_run_and_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = torch.randn(4, 4).half()

    def broken() -> Tensor:
        raise ValueError("out of resource")

    monkeypatch.setattr(tuning, "repeated", replay_of)
    monkeypatch.setattr(tuning, "microseconds", lambda replay: 1.0)
    ways: dict[str, Callable[[], Tensor]] = {
        CUDNN: lambda: expected,
        "right": lambda: expected * (1 + 2**-10),
        "wrong": lambda: expected * 1.1,
        "no number": lambda: expected * torch.nan,
        "broken": broken,
    }
    assert set(tuning.times_of(ways)) == {CUDNN, "right"}


def test_times_are_medians_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    times = iter([9.0, 1.0, 3.0, 1.0] + [3.0, 2.0] * tuning.ROUNDS)

    def microseconds(replay: Callable[[], str]) -> float:
        turns.append(replay())
        return next(times)

    monkeypatch.setattr(tuning, "repeated", lambda run: run)
    monkeypatch.setattr(tuning, "microseconds", microseconds)
    same = torch.ones(1)
    ways: dict[str, Callable[[], Tensor]] = {CUDNN: lambda: same, "128x64": lambda: same}
    assert tuning.times_of(ways) == {CUDNN: 3.0, "128x64": 2.0}
    assert len(turns) == 2 * tuning.ROUNDS


@pytest.mark.usefixtures("gpu")
def test_too_little_memory_leaves_a_batch_to_cudnn(
    folded: FoldedGenerator, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(ways: Ways) -> dict[str, float]:
        if len(ways[CUDNN]()) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return told_times(ways)

    monkeypatch.setattr(tuning, "times_of", full)
    choices, lines = choose(folded, spec)
    assert ours(choices) == 5
    assert "0 of 12 at batch 2" in lines[1]


@pytest.mark.parametrize("tune", ["auto", "cudnn", "ours"])
def test_pictures_are_those_of_plain_pytorch_whoever_convolves(
    tune: Tune, engine: Path, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The whole start and a run, with everything queued happening at once; times are the CPU's own."""
    pictures, lines = random_pictures(3, 16, 16), []
    images, _ = PlainBackend(engine, spec).run(pictures)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with fake_cuda(monkeypatch, H200):
        backend = cuda.CudaBackend(engine, spec, tune, lines.append)
        translated, _ = backend.run(pictures)
        backend.close()
    assert np.abs(translated.astype(int) - images).max() <= 2
    assert len(lines) == {"auto": 2, "cudnn": 0, "ours": 1}[tune]


def test_a_choice_that_there_is_not_is_refused(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="tune must be one of auto, cudnn, ours, got 'fast'"):
        Translator(engine, tune="fast")  # type: ignore[arg-type]


def test_names_tell_layers_apart() -> None:
    one = Layer("AdaLIN", (1, 256, 66, 66), (256, 256, 3, 3), False, torch.float16)
    other = Layer("AdaLIN", (1, 256, 66, 66), (256, 256, 3, 3), False, torch.bfloat16)
    assert one.name != other.name
