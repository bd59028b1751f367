"""Checkpoints of PyTorch and our own: what is read, and every kind of file that isn't one."""

import json
import pickle
import re
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.conftest import LIGHT, random_generator
from ugatit_fast.checkpoint import (
    SuspiciousWeightsWarning,
    check_pictures,
    facts_of,
    load_generator,
    read_checkpoint,
    save_generator,
)
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.files import METADATA_KEY
from ugatit_fast.fold import fold
from ugatit_fast.model import GeneratorConfig

State = dict[str, Tensor]
TINY = GeneratorConfig(ch=2, n_res=1, light=True)
SMALLEST_FULL = replace(TINY, light=False, img_size=96)
OLD = {"_use_new_zipfile_serialization": False}
"""What PyTorch wrote before 1.6."""


def tiny_state(seed: int = 0) -> State:
    return dict(random_generator(TINY, seed).state_dict())


def six_networks(config: GeneratorConfig = TINY) -> dict[str, State]:
    discriminator = {"model.1.weight_orig": torch.zeros(2, 3, 4, 4), "model.1.bias": torch.zeros(2)}
    generators = {"genA2B": random_generator(config, 1), "genB2A": random_generator(config, 2)}
    names = ("disGA", "disGB", "disLA", "disLB")
    return {name: g.state_dict() for name, g in generators.items()} | dict.fromkeys(names, discriminator)


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def assert_same(tensors: Any, state: State) -> None:
    assert set(tensors) == set(state)
    for name, tensor in state.items():
        assert torch.equal(tensors[name], tensor), name


# What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("config", [TINY, LIGHT, SMALLEST_FULL, replace(TINY, n_res=0)], ids=repr)
@pytest.mark.parametrize(("direction", "network"), [(None, "genA2B"), ("A2B", "genA2B"), ("B2A", "genB2A")])
def test_published_file_of_six_networks(
    tmp_path: Path, config: GeneratorConfig, direction: Direction | None, network: str, options: dict[str, bool]
) -> None:
    networks = six_networks(config)
    path = saved(tmp_path / "x_params_0001000.pt", networks, **options)

    checkpoint = read_checkpoint(path, direction)

    assert checkpoint.config == (replace(config, img_size=256) if config.light else config)
    assert checkpoint.direction == (direction or "A2B")
    assert checkpoint.directions == ("A2B", "B2A")
    assert set(checkpoint.dropped) == set(networks) - {network}
    assert checkpoint.step == 1000
    assert_same(checkpoint.tensors, networks[network])


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        OrderedDict,
        lambda state: {"state_dict": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
        lambda state: {name: tensor.t() if tensor.dim() == 2 else tensor for name, tensor in transposed(state).items()},
    ],
    ids=["dict", "ordered", "nested", "parallel", "parameters", "double", "strided"],
)
def test_generator_alone(tmp_path: Path, wrap: Callable[[State], Any], options: dict[str, bool]) -> None:
    state = tiny_state()
    path = saved(tmp_path / "generator.pt", wrap(state), **options)
    checkpoint = read_checkpoint(path, "B2A")
    assert (checkpoint.direction, checkpoint.dropped) == ("B2A", ())
    assert any("before 2019-08-27" in note for note in checkpoint.notes) is (options == OLD)
    assert_same(checkpoint.tensors, state)
    assert_same(checkpoint.generator().state_dict(), state)


def transposed(state: State) -> State:
    return {name: tensor.t().contiguous() if tensor.dim() == 2 else tensor for name, tensor in state.items()}


def test_old_file_saved_from_a_gpu(tmp_path: Path) -> None:
    path = saved(tmp_path / "cuda.pt", tiny_state(), **OLD)
    content = path.read_bytes()
    assert b"ctorch\nFloatStorage" in content
    path.write_bytes(content.replace(b"ctorch\nFloatStorage", b"ctorch.cuda\nFloatStorage"))
    assert_same(read_checkpoint(path).tensors, tiny_state())


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    path = saved(tmp_path / "half.pt", {name: tensor.half() for name, tensor in tiny_state().items()}, **OLD)
    generator = load_generator(path)
    assert next(generator.parameters()).dtype == torch.float32
    assert not generator.training
    assert not any(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("config", [TINY, replace(TINY, bias=True, affine_encoder=True, unbiased=False)], ids=repr)
def test_own_file_gives_back_what_was_saved(tmp_path: Path, config: GeneratorConfig) -> None:
    generator = random_generator(replace(config, img_size=64))
    save_generator(tmp_path / "g.safetensors", generator, "B2A")
    checkpoint = read_checkpoint(tmp_path / "g.safetensors")
    assert checkpoint.config == generator.config
    assert checkpoint.direction == "B2A"
    assert_same(checkpoint.generator().state_dict(), dict(generator.state_dict()))
    assert fold(checkpoint.generator()).unbiased is config.unbiased


def test_bare_safetensors(tmp_path: Path) -> None:
    save_file(tiny_state(), tmp_path / "g.safetensors")
    assert_same(read_checkpoint(tmp_path / "g.safetensors", "B2A").tensors, tiny_state())


def test_facts(tmp_path: Path) -> None:
    facts = facts_of(read_checkpoint(saved(tmp_path / "x.pt", six_networks())))
    assert facts["direction"] == "A2B"
    assert facts["directions_in_it"] == "A2B, B2A"
    assert facts["ch"] == TINY.ch
    assert facts["would_be_dropped"] == "genB2A, disGA, disGB, disLA, disLB"


# What isn't one ---------------------------------------------------------------------------------------------------


class RunsCode:
    """Unpickled carelessly, it would end this process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (1,)


class ShadowsItems:
    """An ordered dictionary whose `items` is set to something that can't be called."""

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), {"items": 1}


def zip_of(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return path


def script(path: Path) -> Path:
    torch.jit.script(nn.Linear(2, 2)).save(path)
    return path


def own(path: Path, **changes: Any) -> Path:
    """Our own file with another description."""
    description = {"kind": "generator", "format_version": 1, "config": asdict(TINY), "direction": "A2B"} | changes
    save_file(tiny_state(), path, metadata={METADATA_KEY: json.dumps(description)})
    return path


def without(state: State, *names: str, **more: Tensor) -> State:
    return {name: tensor for name, tensor in state.items() if name not in names} | more


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot read the checkpoint"),
    "folder": (Path.mkdir, "is a folder without a checkpoint of its own"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (lambda path: path.write_text("hello, world"), "it starts with b'hello, w'"),
    "lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "page": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "a web page"),
    "photo": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(60)), "a JPEG picture"),
    "zip": (
        lambda path: zip_of(path, "a/b.txt"),
        "holds no checkpoint; expected a .safetensors, .pt, .pth",
    ),
    "zip of tf": (lambda path: zip_of(path, "m/x.index"), "the file is damaged or cut short"),
    "cut zip": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(60)), "truncated or damaged"),
    "code": (lambda path: torch.save({"genA2B": RunsCode()}, path), r"Python objects \(sys.exit\)"),
    "code, old": (lambda path: torch.save({"genA2B": RunsCode()}, path, **OLD), r"Python objects \(sys.exit\)"),
    "attributes": (lambda path: torch.save(ShadowsItems(), path, **OLD), "holds no tensors"),
    "bare pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "not one that torch.save wrote"),
    "bare code": (lambda path: path.write_bytes(pickle.dumps(RunsCode())), "not one that torch.save wrote"),
    "another module": (lambda path: torch.save(nn.Linear(2, 2), path), "its first tensors are weight, bias"),
    "script": (script, "TorchScript program"),
    "list": (lambda path: torch.save([1], path), "holds no tensors; expected a generator"),
    "no tensors": (lambda path: torch.save({"step": 3}, path), "holds no tensors"),
    "discriminator": (lambda path: torch.save(six_networks()["disGA"], path), "looks like a discriminator"),
    "cyclegan": (
        lambda path: torch.save({"model.1.weight": torch.zeros(2)}, path),
        "looks like a part of a CycleGAN, pix2pix or CUT network",
    ),
    "other": (lambda path: torch.save({"layer.weight": torch.zeros(2)}, path), "its first tensors are layer.weight"),
    "one way": (
        lambda path: torch.save({"genB2A": tiny_state()}, path),
        "has no genA2B, only genB2A; ask for the other",
    ),
    "missing key": (lambda path: torch.save(without(tiny_state(), "gamma.weight"), path), "lacks gamma.weight"),
    "extra key": (lambda path: torch.save(without(tiny_state(), x=torch.zeros(1)), path), "also has x"),
    "shape": (
        lambda path: torch.save(tiny_state() | {"gmp_fc.weight": torch.zeros(1, 9)}, path),
        r"gmp_fc.weight has shape \(1, 9\); expected \(1, 8\)",
    ),
    "integers": (
        lambda path: torch.save(tiny_state() | {"gmp_fc.weight": torch.zeros(1, 8, dtype=torch.int32)}, path),
        "gmp_fc.weight is torch.int32; expected floating point",
    ),
    "nan": (
        lambda path: torch.save(tiny_state() | {"gmp_fc.weight": torch.full((1, 8), torch.nan)}, path),
        "gmp_fc.weight has NaN or infinite weights",
    ),
    "infinite": (
        lambda path: torch.save(tiny_state() | {"conv1x1.bias": torch.full((8,), -torch.inf)}, path, **OLD),
        "conv1x1.bias has NaN or infinite weights",
    ),
    "style inputs": (
        lambda path: torch.save(tiny_state() | {"FC.0.weight": torch.zeros(8, 100)}, path),
        "takes 100 features; expected 8 .light. or 8 times a square",
    ),
    "without relus": (
        lambda path: torch.save(without(tiny_state(), "FC.2.weight") | {"FC.1.weight": torch.zeros(8, 8)}, path),
        "before 2019-08-07",
    ),
    "giant": (
        lambda path: torch.save(tiny_state() | {"DownBlock.1.weight": torch.zeros(1, 1).expand(9999, 3)}, path),
        "FC.0.weight takes 8 features",
    ),
    "other way": (lambda path: own(path, direction="B2A"), "translates B2A; A2B was asked for"),
    "newer": (lambda path: own(path, format_version=99), "reads up to 2: upgrade it"),
    "engine": (lambda path: own(path, kind="engine"), "is an engine, not a checkpoint"),
    "bad description": (lambda path: own(path, config={"ch": "x"}), "damaged description"),
    "unknown description": (lambda path: own(path, config={"wings": 2}), "damaged description"),
    "listed description": (lambda path: own(path, config=[]), "damaged description"),
    "cut header": (lambda path: path.write_bytes(b"\xff\xff\xff\x7f\0\0\0\0{"), "truncated or damaged"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    path = tmp_path / "file"
    make(path)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_checkpoint(path, "A2B")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unknown_direction(light_checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="direction must be one of A2B, B2A"):
        read_checkpoint(light_checkpoint, "sideways")  # type: ignore[arg-type]


# Damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    return {
        "zip": saved(folder / "zip.pt", six_networks()),
        "before 1.6": saved(folder / "old.pt", six_networks(), **OLD),
        "own": own(folder / "own.safetensors"),
    }


KINDS = st.sampled_from(["zip", "before 1.6", "own"])
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(kind=KINDS, share=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_found_out(sound_files: dict[str, Path], tmp_path: Path, kind: str, share: float) -> None:
    content = sound_files[kind].read_bytes()
    path = tmp_path / "cut"
    length = int(share * len(content))
    path.write_bytes(content[:length])
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointError:
        return
    assert kind == "before 1.6", "only what isn't wanted may be missing"
    assert_same(checkpoint.tensors, six_networks()["genA2B"])


@quick
@given(kind=KINDS, at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), early=st.booleans())
def test_flipped_bytes_never_crash(
    sound_files: dict[str, Path], tmp_path: Path, kind: str, at: float, flip: int, early: bool
) -> None:
    """Values may change unseen where a format has no checksums; anything else is a CheckpointError."""
    content = bytearray(sound_files[kind].read_bytes())
    content[int(at * min(len(content), 4000 if early else len(content)))] ^= flip
    path = tmp_path / "flipped"
    path.write_bytes(content)
    message = ""
    try:
        read_checkpoint(path).generator()
    except CheckpointError as error:
        message = str(error)
    assert "\n" not in message


def test_verify_compares_the_checksums_of_an_archive(sound_files: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(sound_files["zip"].read_bytes())
    weight = six_networks()["genA2B"]["UpBlock2.11.weight"].numpy().tobytes()
    content[content.index(weight)] ^= 1
    path = tmp_path / "flipped.pt"
    path.write_bytes(content)
    read_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"data/\d+ has a wrong checksum"):
        read_checkpoint(path, verify=True)


# Sanity -----------------------------------------------------------------------------------------------------------


def test_a_random_generator_is_not_suspicious(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", dict(random_generator(LIGHT).state_dict())))
    check_pictures(checkpoint, checkpoint.generator())
    assert not recwarn.list


@pytest.mark.parametrize(("scale", "what"), [(0.0, "one even colour"), (1e3, "full and empty colours")])
def test_a_generator_of_no_pictures_is(tmp_path: Path, scale: float, what: str) -> None:
    state = dict(random_generator(LIGHT).state_dict())
    state["UpBlock2.11.weight"] = state["UpBlock2.11.weight"] * scale
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", state))
    with pytest.warns(SuspiciousWeightsWarning, match=f"{what}.*before 2019-08-27"):
        check_pictures(checkpoint, checkpoint.generator())


def test_suspicious_tensorflow_weights_name_smoothing(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", dict(random_generator(LIGHT).state_dict())))
    generator = checkpoint.generator()
    generator.UpBlock2[11].weight.zero_()  # type: ignore[operator, union-attr]
    with pytest.warns(SuspiciousWeightsWarning, match=re.escape("try --smoothing no")):
        check_pictures(replace(checkpoint, smoothing=True), generator)
