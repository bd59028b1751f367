"""The one generator in whatever people's files hold: nested, prefixed, packed anew, unpacked, pickled otherwise.

What is read is compared with the published forward of the same weights, in float64, by what the generator draws.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel
from tests.conftest import random_generator
from tests.tensor_bundle.bundle_writer import write_bundle
from ugatit_fast.checkpoint import Checkpoint, facts_of, read_checkpoint, save_generator
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.cli import main
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.train.checkpoints import read_training

State = dict[str, Tensor]
TINY = GeneratorConfig(ch=2, n_res=1, light=True)
DISCRIMINATOR = {"model.1.weight_orig": torch.zeros(2, 3, 4, 4), "model.1.bias": torch.zeros(2)}
OLD = {"_use_new_zipfile_serialization": False}


def network(seed: int) -> Generator:
    return random_generator(TINY, seed)


def state(seed: int = 1) -> State:
    return dict(network(seed).state_dict())


def six() -> dict[str, State]:
    return {"genA2B": state(1), "genB2A": state(2)} | dict.fromkeys(("disGA", "disGB", "disLA", "disLB"), DISCRIMINATOR)


def prefixed(prefix: str, tensors: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def flat(networks: dict[str, State]) -> State:
    return {f"{name}.{key}": tensor for name, tensors in networks.items() for key, tensor in tensors.items()}


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def assert_is(checkpoint: Checkpoint, seed: int) -> None:
    """By the pictures that it draws, to the last bit of float64."""
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected, found = network(seed).double()(image), checkpoint.generator(torch.float64)(image)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


# Around the names -------------------------------------------------------------------------------------------------


def lightning() -> dict[str, Any]:
    """A record of PyTorch Lightning's, arguments and callbacks and all."""
    return {
        "epoch": 3,
        "global_step": 77,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": flat(six()),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}],
        "hyper_parameters": argparse.Namespace(ch=64, light=True, path=Path("data")),
    }


WRAPPED: dict[str, Callable[[], Any]] = {
    "nothing": six,
    "compiled": lambda: {name: prefixed("_orig_mod.", tensors) for name, tensors in six().items()},
    "compiled in parallel": lambda: {name: prefixed("module._orig_mod.", tensors) for name, tensors in six().items()},
    "parallel compiled": lambda: {name: prefixed("_orig_mod.module.", tensors) for name, tensors in six().items()},
    "flat": lambda: flat(six()),
    "flat, with a prefix": lambda: prefixed("model.", flat(six())),
    "nested": lambda: {"model": six()},
    "deeply nested": lambda: {"a": {"b": {"c": [{"d": six()}]}}},
    "a state_dict each": lambda: {name: {"state_dict": tensors} for name, tensors in six().items()},
    "lightning": lightning,
    "by modules": lambda: {"genA2B": by_modules(state(1)), "genB2A": by_modules(state(2))},
    "ordered": lambda: OrderedDict((name, OrderedDict(tensors)) for name, tensors in six().items()),
    "a default dictionary": lambda: defaultdict(dict, six()),
    "parameters": lambda: {name: {k: nn.Parameter(t) for k, t in tensors.items()} for name, tensors in six().items()},
    "with attributes": lambda: {"genA2B": {k: with_attribute(t) for k, t in state(1).items()}, "genB2A": state(2)},
    "beside a run": lambda: six() | {"args": argparse.Namespace(lr=1), "step": 3, "optimizer": {"state": {}}},
    "whole networks": lambda: {"genA2B": network(1), "genB2A": network(2)},
    "whole networks in parallel": lambda: {"genA2B": nn.DataParallel(network(1)), "genB2A": network(2)},
    "in one network": lambda: nn.ModuleDict({"genA2B": network(1), "genB2A": network(2)}),
    "views of one tensor": lambda: {"genA2B": views(state(1)), "genB2A": state(2)},
}


def by_modules(tensors: State) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *modules, last = name.split(".")
        node = tree
        for module in modules:
            node = node.setdefault(module, {})
        node[last] = tensor
    return tree


def with_attribute(tensor: Tensor) -> Tensor:
    parameter = nn.Parameter(tensor)
    parameter.no_decay = True  # type: ignore[attr-defined]
    return parameter


def views(tensors: State) -> State:
    whole = torch.cat([tensor.flatten() for tensor in tensors.values()])
    pieces = whole.split([tensor.numel() for tensor in tensors.values()])
    return {name: piece.view(tensors[name].shape) for name, piece in zip(tensors, pieces, strict=True)}


@pytest.mark.parametrize("options", [{}, OLD, {"pickle_protocol": 4}], ids=["zip", "before 1.6", "protocol 4"])
@pytest.mark.parametrize("kind", WRAPPED)
def test_both_generators_are_found(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    path = saved(tmp_path / "x.pt", WRAPPED[kind](), **options)
    for direction, seed in ((None, 1), ("B2A", 2)):
        checkpoint = read_checkpoint(path, direction)  # type: ignore[arg-type]
        assert (checkpoint.direction, checkpoint.directions) == (direction or "A2B", ("A2B", "B2A"))
        assert_is(checkpoint, seed)


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        lambda s: prefixed("module.", s),
        lambda s: prefixed("_orig_mod.", s),
        lambda s: prefixed("module._orig_mod.module.", s) | {"n_averaged": torch.tensor(5)},
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"params_ema": s},
        lambda s: {"model": prefixed("net.", s), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
        lambda s: s | {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
        lambda s: [s],
    ],
    ids=["bare", "parallel", "compiled", "averaged", "state_dict", "params_ema", "model", "optimiser", "list"],
)
def test_a_generator_alone(tmp_path: Path, wrap: Callable[[State], Any]) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", wrap(state())))
    assert_is(checkpoint, 1)
    assert "nothing says which way it translates; called A2B" in checkpoint.notes[0]
    assert_is(read_checkpoint(tmp_path / "x.pt", "B2A"), 1)


def test_a_whole_pickled_network(tmp_path: Path) -> None:
    for options in ({}, OLD):
        checkpoint = read_checkpoint(saved(tmp_path / "x.pt", network(1), **options))
        assert_is(checkpoint, 1)
        assert checkpoint.dropped == ()


@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod.", "state_dict."])
def test_the_same_in_safetensors(tmp_path: Path, prefix: str) -> None:
    save_file(prefixed(prefix, flat(six() | {"disGA": {}, "disGB": {}, "disLB": {}})), tmp_path / "x.safetensors")
    for direction, seed in ((None, 1), ("A2B", 1), ("B2A", 2)):
        assert_is(read_checkpoint(tmp_path / "x.safetensors", direction), seed)  # type: ignore[arg-type]
    save_file(prefixed(prefix, state(3)), tmp_path / "one.safetensors")
    assert_is(read_checkpoint(tmp_path / "one.safetensors"), 3)


def test_what_lies_beside_is_named(tmp_path: Path) -> None:
    facts = facts_of(read_checkpoint(saved(tmp_path / "x.ckpt", lightning())))
    assert facts["would_be_dropped"] == "genB2A, disGA, disGB, disLA, disLB, callbacks, optimizer_states"


# Several generators -----------------------------------------------------------------------------------------------


def averaged() -> dict[str, Any]:
    return six() | {"genA2B_ema": state(3), "genB2A_ema": state(4)}


def test_an_average_is_not_passed_over_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "x.pt", averaged())
    checkpoint = read_checkpoint(path)
    assert_is(checkpoint, 1)
    assert "the file also holds genA2B_ema" in checkpoint.notes[0]
    assert "--network NAME" in checkpoint.notes[0]
    for name, seed, direction in (("genA2B_ema", 3, "A2B"), ("genB2A_ema", 4, "B2A"), ("genB2A", 2, "B2A")):
        taken = read_checkpoint(path, network=name)
        assert_is(taken, seed)
        assert taken.direction == direction
    assert main(["inspect", str(path)]) == 0
    assert "genA2B_ema" in capsys.readouterr().out


def test_engines_of_two_networks_are_told_apart(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", averaged())
    digests = {read_checkpoint(path, network=name).sha256 for name in ("genA2B", "genA2B_ema", "genB2A_ema")}
    assert len(digests) == 3
    assert read_checkpoint(path).sha256 == read_checkpoint(path, network="genA2B").sha256


def test_every_command_takes_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "x.pt", averaged())
    small, engine = tmp_path / "small.safetensors", tmp_path / "e.onnx"
    assert main(["convert", str(path), str(small), "--network", "genA2B_ema"]) == 0
    assert_is(read_checkpoint(small), 3)
    build = ["build-engine", str(path), "-o", str(engine), "--size", "16", "--network", "genA2B_ema"]
    assert main([*build, "--backend", "onnxruntime"]) == 0
    assert main(["verify", str(engine), str(path), "--network", "genA2B_ema"]) == 0
    assert main(["verify", str(engine), str(path)]) == 1
    assert "was made from another checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "asked", "message"),
    [
        (lambda: [state(1), state(2)], {}, "holds 2 generators, 0, 1; choose one: --network NAME"),
        (lambda: {"net": six(), "ema": six()}, {}, "holds 2 generators, net.genA2B, ema.genA2B; choose one"),
        (averaged, {"network": "ema"}, "has 2 generators called ema: genA2B_ema, genB2A_ema; name one"),
        (averaged, {"network": "disGA"}, "has no generator disGA, only genA2B, genB2A, genA2B_ema, genB2A_ema"),
        (state, {"network": "x"}, "holds one generator, which has no name there; leave --network out"),
        (
            lambda: {"genA2B": state()},
            {"direction": "B2A"},
            "has no genB2A, only genA2B; ask for the other --direction",
        ),
    ],
)
def test_a_choice_that_is_open(tmp_path: Path, content: Any, asked: dict[str, Any], message: str) -> None:
    path = saved(tmp_path / "x.pt", content())
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path, **asked)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(("name", "seed"), [("0", 1), ("1", 2)], ids=["first", "second"])
def test_a_nameless_one_by_its_place(tmp_path: Path, name: str, seed: int) -> None:
    assert_is(read_checkpoint(saved(tmp_path / "x.pt", [state(1), state(2)]), network=name), seed)


def test_the_only_one_is_taken_and_said(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", {"genB2A": state(2)}))
    assert_is(checkpoint, 2)
    assert checkpoint.direction == "B2A"
    assert "the only generator in the file: B2A" in checkpoint.notes[0]


def test_one_network_or_both(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--network names one generator; leave it out"):
        convert(saved(tmp_path / "x.pt", six()), tmp_path, direction="both", network="genA2B")


@pytest.mark.parametrize(
    ("name", "asked", "direction", "note"),
    [
        ("genB2A.pth", None, "B2A", "called B2A by the file's name"),
        ("anime-b_to_a.safetensors", None, "B2A", "called B2A by the file's name"),
        ("genB2A.pth", "A2B", "A2B", "called A2B as asked for, though the file's name says B2A"),
        ("genA2B.pth", None, "A2B", "called A2B by the file's name"),
        ("A2B_and_B2A.pth", None, "A2B", "nothing says which way"),
        ("x.pt", "B2A", "B2A", None),
    ],
)
def test_a_files_name_says_the_direction(
    tmp_path: Path, name: str, asked: Any, direction: str, note: str | None
) -> None:
    path = tmp_path / name
    save_file(state(), path) if path.suffix == ".safetensors" else torch.save(state(), path)
    checkpoint = read_checkpoint(path, asked)
    assert checkpoint.direction == direction
    assert any(note in said for said in checkpoint.notes) if note else "way" not in " ".join(checkpoint.notes)


def test_nobody_knows_the_size_of_a_light_generators_images(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path / "x.pt", six()))
    assert facts_of(checkpoint)["img_size"] == "any (256 unless given)"
    assert any("doesn't say the size of its training images: 256x256" in note for note in checkpoint.notes)


# What isn't one ---------------------------------------------------------------------------------------------------

D_ONLY = {"disGA": DISCRIMINATOR, "disLA": DISCRIMINATOR}
NOT_OURS: dict[str, tuple[Any, str]] = {
    "discriminators": (D_ONLY, "it looks like a discriminator; expected genA2B or genB2A"),
    "cyclegan": (
        {"model.1.weight": torch.zeros(2)},
        "a part of a CycleGAN, pix2pix or CUT network; its first tensors are model.1.weight",
    ),
    "cut": (
        {"model.4.filt": torch.zeros(2), "model.1.weight": torch.zeros(1)},
        "a part of a CycleGAN, pix2pix or CUT network",
    ),
    "unet": ({"model.model.1.model.0.weight": torch.zeros(2)}, "a pix2pix generator"),
    "munit": ({"a": {"enc_content.model.0.weight": torch.zeros(2)}}, "one domain of MUNIT"),
    "unit": ({"a": {"enc.model.0.weight": torch.zeros(2)}}, "one domain of UNIT"),
    "drit": ({"enc_a": {"conv_A.1.weight": torch.zeros(2)}}, "a part of DRIT, of which a direction takes"),
    "mdmm": ({"enc_c": {"conv.0.model.1.weight": torch.zeros(2)}}, "MDMM"),
    "animegan": ({"block_a.0.1.weight": torch.zeros(2)}, "a part of an AnimeGANv2 generator"),
    "photo2cartoon": ({"genA2B": {"HourGlass1.HG.weight": torch.zeros(2)}}, "a part of a photo2cartoon generator"),
    "optimiser": ({"state": {0: {"exp_avg": torch.zeros(2)}}}, "its first tensors are state.0.exp_avg"),
    "many": ({f"layer{i}": torch.zeros(1) for i in range(9)}, "layer0, layer1, layer2 and 6 more"),
    "objects": ({"genA2B": SimpleNamespace(a=1)}, "Python objects (types.SimpleNamespace)"),
    "numbers": ({"epoch": 3, "loss": 0.1}, "holds no tensors (epoch, loss)"),
    "part of one": (
        {"genA2B": {k: v for k, v in state().items() if not k.startswith("UpBlock2")}},
        "it lacks UpBlock2",
    ),
    "more than one": ({"genA2B": state() | {"HourGlass1.x": torch.zeros(1)}}, "it also has HourGlass1.x"),
}


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("kind", NOT_OURS)
def test_what_it_is_is_said_truly(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    content, message = NOT_OURS[kind]
    path = saved(tmp_path / "x.pt", content, **options)
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_record_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"genA2B": state(1)}
    content["again"] = [content]
    assert_is(read_checkpoint(saved(tmp_path / "x.pt", content, **OLD)), 1)


def test_a_record_that_stands_for_billions_of_others(tmp_path: Path) -> None:
    node: dict[str, Any] = {}
    for _ in range(40):
        node = {"a": node, "b": node}
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_checkpoint(saved(tmp_path / "x.pt", node))


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_a_forks_pooled_generator_is_not_taken_for_a_full_one(tmp_path: Path, side: int) -> None:
    """Its FC.0 has the shape that a full generator of 4 side x 4 side images would have."""
    full = replace(TINY, light=False, img_size=4 * side)
    for path in (saved(tmp_path / "x.pt", {"genA2B": random_generator(full).state_dict()}), tmp_path / "x.safetensors"):
        if path.suffix != ".pt":
            save_file(dict(random_generator(full).state_dict()), path)
        with pytest.raises(CheckpointError) as refused:
            read_checkpoint(path)
        for words in (f"pools to {side}x{side}", "isn't served", f"{4 * side}x{4 * side}", "save_generator"):
            assert words in str(refused.value)
    save_generator(tmp_path / "own.safetensors", random_generator(full), "A2B")
    assert read_checkpoint(tmp_path / "own.safetensors").config == full


# Packed anew ------------------------------------------------------------------------------------------------------


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> dict[str, bytes]:
    return members(saved(tmp_path / "archive.pt", six()))


COMPRESSIONS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
RENAMED: dict[str, Callable[[str], str]] = {
    "as it was": lambda name: name,
    "without its folder": lambda name: name.partition("/")[2],
    "in another folder": lambda name: f"weights/{name}",
    "in a folder whose name isn't ASCII": lambda name: f"重み/{name}",
    "with Windows' separators": lambda name: name.replace("/", "\\"),
}


@pytest.mark.parametrize("rename", RENAMED)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_zipped_again(tmp_path: Path, archive: dict[str, bytes], compression: str, rename: str) -> None:
    files = {RENAMED[rename](name): content for name, content in archive.items()}
    mac = {"__MACOSX/archive/._data.pkl": b"\0\5\x16\7"} if rename == "as it was" else {}
    path = zipped(tmp_path / "again.pt", files | mac, COMPRESSIONS[compression])
    for direction, seed in (("A2B", 1), ("B2A", 2)):
        assert_is(read_checkpoint(path, direction), seed)  # type: ignore[arg-type]


def test_one_damaged_byte_of_a_compressed_member_is_found_out(tmp_path: Path, archive: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "again.pt", archive)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as opened:
        largest = max(opened.infolist(), key=lambda info: info.compress_size)
    content[largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        [read_checkpoint(path, direction) for direction in ("A2B", "B2A")]  # type: ignore[arg-type]


def test_a_run_goes_on_from_its_checkpoint_zipped_again(tmp_path: Path) -> None:
    moments = {"state": {0: {"exp_avg": torch.arange(1000.0)}}}
    about = {"format": "ugatit-fast training", "format_version": 1, "step": 3, "training": {"optimizer": moments}}
    path = zipped(tmp_path / "again.pt", members(saved(tmp_path / "x.pt", six() | about)))
    content = read_training(path)
    assert torch.equal(content["training"]["optimizer"]["state"][0]["exp_avg"], torch.arange(1000.0))
    assert torch.equal(content["genB2A"]["FC.0.weight"], state(2)["FC.0.weight"])


@pytest.mark.parametrize("where", ["", "archive", "a/b"])
def test_a_folder_that_a_browser_unpacked(
    tmp_path: Path, archive: dict[str, bytes], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{where}/{name.partition('/')[2]}".lstrip("/"): content for name, content in archive.items()}
    folder = unpacked(tmp_path / "selfie2anime", files)
    for path in (folder, folder / where, folder / where / "data.pkl"):
        assert_is(read_checkpoint(path), 1)
        assert_is(read_checkpoint(path, "B2A"), 2)
    assert main(["inspect", str(folder)]) == 0
    assert "unpacked .pt" in capsys.readouterr().out
    assert main(["convert", str(folder), str(tmp_path / "small.safetensors")]) == 0
    assert_is(read_checkpoint(tmp_path / "small.safetensors"), 1)
    assert read_checkpoint(folder).product(".onnx") == tmp_path / "selfie2anime-A2B.onnx"
    before = read_checkpoint(folder).sha256
    (folder / where / "data" / "0").write_bytes(bytes(len(archive["archive/data/0"])))
    assert read_checkpoint(folder).sha256 != before


def test_a_folder_that_lost_a_file(tmp_path: Path, archive: dict[str, bytes]) -> None:
    folder = unpacked(tmp_path / "x", {name: content for name, content in archive.items() if name != "archive/data/0"})
    with pytest.raises(CheckpointError, match="isn't all there"):
        read_checkpoint(folder)
    (folder / "archive" / "data" / "0").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="has 5 bytes"):
        read_checkpoint(folder)


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
def test_every_protocol_of_pickle(tmp_path: Path, protocol: int, options: dict[str, Any]) -> None:
    assert_is(read_checkpoint(saved(tmp_path / "x.pt", six(), pickle_protocol=protocol, **options), "B2A"), 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_kind_of_number(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    cast = {name: tensor.to(dtype) for name, tensor in state().items()}
    path = tmp_path / f"x{suffix}"
    save_file(cast, path) if suffix == ".safetensors" else torch.save(cast, path)
    found = read_checkpoint(path).generator().state_dict()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in cast.items())


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
def test_the_protocol_that_keeps_no_tensors(tmp_path: Path, options: dict[str, Any]) -> None:
    """PyTorch can't read its files either."""
    with pytest.raises(CheckpointError, match="pickled with protocol 0"):
        read_checkpoint(saved(tmp_path / "x.pt", six(), pickle_protocol=0, **options))


def test_big_endian(tmp_path: Path, archive: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "x.pt", archive | {"archive/byteorder": b"big"})
    with pytest.raises(CheckpointError, match="big-endian machine"):
        read_checkpoint(path)


def gzip_of(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08" + bytes(60))


def of_method(path: Path, method: int) -> None:
    """As Windows' Explorer packs files beyond 2 GB: Deflate64."""
    zipped(path, members(saved(path, six())))
    content = bytearray(path.read_bytes())
    for start, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(start)
        while place >= 0:
            content[place + at : place + at + 2] = method.to_bytes(2, "little")
            place = content.find(start, place + 4)
    path.write_bytes(content)


def encrypted(path: Path) -> None:
    zipped(path, members(saved(path, six())))
    content = bytearray(path.read_bytes())
    for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(start)
        while place >= 0:
            content[place + at] |= 1
            place = content.find(start, place + 4)
    path.write_bytes(content)


OTHER_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "7z": (lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(60)), "is a 7z archive; unpack it"),
    "rar": (lambda path: path.write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(60)), "is a RAR archive; unpack it"),
    "gzip": (gzip_of, "is packed with gzip; unpack it"),
    "bzip2": (lambda path: path.write_bytes(b"BZh91AY&SY" + bytes(60)), "is packed with bzip2; unpack it"),
    "xz": (lambda path: path.write_bytes(b"\xfd7zXZ\0" + bytes(60)), "is packed with xz; unpack it"),
    "json": (lambda path: path.write_text(json.dumps({"weight_map": {}})), "is JSON, such as the index of weights"),
    "numpy": (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + bytes(60)), "is a NumPy array"),
    "tflite": (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(60)), "is a TensorFlow Lite model"),
    "npz": (lambda path: zipped(path, {"a.npy": b"x"}), "these are NumPy's arrays"),
    "folder of files": (
        lambda path: unpacked(path, {"model/a_params_1.pt": b"x"}),
        "model/a_params_1.pt is no checkpoint: it starts with",
    ),
    "saved model": (lambda path: unpacked(path, {"saved_model.pb": b"x"}), "is a TensorFlow SavedModel"),
    "zip with a password": (encrypted, "is packed with a password"),
    "zip of another method": (lambda path: of_method(path, 9), "is packed in a way that can't be read here"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_files_that_are_something_else(tmp_path: Path, kind: str) -> None:
    make, message = OTHER_FILES[kind]
    path = tmp_path / "file"
    make(path)
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


# Tensors that share memory ----------------------------------------------------------------------------------------


def tied() -> State:
    tensors = state()
    tensors["gmp_fc.weight"] = tensors["gap_fc.weight"]
    tensors["beta.weight"] = tensors["gamma.weight"]
    return tensors


@pytest.mark.parametrize(
    "content",
    [
        tied,
        lambda: views(state()),
        lambda: state() | {"conv1x1.bias": torch.zeros(1).expand(8)},
        lambda: {
            name: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor for name, tensor in state().items()
        },
        lambda: {name: torch.cat([t, t])[: len(t)] for name, t in state().items()},
    ],
    ids=["tied", "views of one", "expanded", "transposed", "parts"],
)
@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensors_that_share_memory_are_written(
    tmp_path: Path, content: Callable[[], State], options: dict[str, Any], precision: Any
) -> None:
    expected = {name: tensor.clone() for name, tensor in content().items()}
    [written] = convert(saved(tmp_path / "x.pt", content(), **options), tmp_path / "s.safetensors", precision=precision)
    found = read_checkpoint(written.path).tensors
    assert all(torch.equal(found[name], t.to(found[name].dtype)) for name, t in expected.items())


def test_a_generator_with_tied_weights_is_saved(tmp_path: Path) -> None:
    generator = network(1)
    generator.gmp_fc.weight = generator.gap_fc.weight
    save_generator(tmp_path / "x.safetensors", generator, "A2B")
    assert torch.equal(read_checkpoint(tmp_path / "x.safetensors").tensors["gmp_fc.weight"], generator.gap_fc.weight)


# Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
@pytest.mark.parametrize("kind", ["pt", "old", "own", "tensorflow", "unpacked"])
def test_a_folder_whose_name_is_no_text(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = folder / "x.pt"
    if kind == "own":
        save_generator(path := folder / "x.safetensors", network(1), "A2B")
    elif kind == "tensorflow":
        path = write_bundle(folder / "UGATIT.model-3", RandomVariables(TensorFlowModel(ch=2, light=True)))
    elif kind == "unpacked":
        path = unpacked(folder / "x", members(saved(folder / "y.pt", six())))
    else:
        saved(path, six(), **(OLD if kind == "old" else {}))
    expected = read_checkpoint(path).tensors
    command = [sys.executable, "-m", "ugatit_fast.cli"]
    engine = folder / "e.onnx"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for arguments in (
        ["convert", path, folder / "small.safetensors"],
        ["build-engine", path, "-o", engine, "--size", "16", "--backend", "onnxruntime"],
        ["inspect", engine],
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, env=environment, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    found = read_checkpoint(folder / "small.safetensors").tensors
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in expected.items())
