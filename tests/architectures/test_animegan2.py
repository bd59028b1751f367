"""AnimeGANv2's generator: equal to the published network, folded exactly, drawn alike by every form."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.architectures.published import randomised
from tests.architectures.test_cyclegan import pictures, ran, saved
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.animegan2 import AnimeGan2Config, AnimeGan2Generator
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.choices import Form, Hints, Precision, Upsampling
from ugatit_fast.cli import main
from ugatit_fast.errors import CheckpointError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.verify import verify
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.translator import Translator

GRIDS: tuple[Upsampling, ...] = get_args(Upsampling)


def file_of(folder: Path, grid: Upsampling | None = None) -> Checkpoint:
    path = saved(folder / "face_paint_512_v2.pt", randomised(AnimeGan2Generator(AnimeGan2Config())))
    return read_checkpoint(path, hints=Hints(upsample=grid))


# The published network, from the facts and the names in its files -------------------------------------------------


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return F.group_norm(x, 1, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)


def layer(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    weight, bias = state[f"{name}.1.weight"], state.get(f"{name}.1.bias")
    size, stride = weight.shape[3], 2 if name in ("block_a.1", "block_b.0") else 1
    pad = (0, 1, 0, 1) if stride == 2 else (size // 2,) * 4
    convolved = F.conv2d(F.pad(x, pad, mode="reflect"), weight, bias, stride, groups=x.shape[1] // weight.shape[1])
    return F.leaky_relu(norm(convolved, state, f"{name}.2"), 0.2)


def block(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    y = layer(layer(x, state, f"{name}.layers.0"), state, f"{name}.layers.1")
    y = norm(F.conv2d(y, state[f"{name}.layers.2.weight"]), state, f"{name}.layers.3")
    return x + y if x.shape == y.shape else y


def twice(x: Tensor, grid: Upsampling, axis: int) -> Tensor:
    """One direction, pixel by pixel."""
    size = x.shape[axis]
    at = {
        "align-corners": [i * (size - 1) / (2 * size - 1) for i in range(2 * size)],
        "half-pixel": [max((i + 0.5) / 2 - 0.5, 0) for i in range(2 * size)],
        "tensorflow": [i / 2 for i in range(2 * size)],
    }[grid]
    lines = [x.select(axis, int(p)).lerp(x.select(axis, min(int(p) + 1, size - 1)), p - int(p)) for p in at]
    return torch.stack(lines, axis)


def published(x: Tensor, state: dict[str, Tensor], grid: Upsampling) -> Tensor:
    for name in ("block_a.0", "block_a.1", "block_a.2", "block_b.0", "block_b.1", "block_c.0"):
        x = layer(x, state, name)
    for i in range(1, 5):
        x = block(x, state, f"block_c.{i}")
    x = twice(twice(layer(x, state, "block_c.5"), grid, 2), grid, 3)
    x = twice(twice(layer(layer(x, state, "block_d.0"), state, "block_d.1"), grid, 2), grid, 3)
    for i in range(3):
        x = layer(x, state, f"block_e.{i}")
    return torch.tanh(F.conv2d(x, state["out_layer.0.weight"]))


# The same network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS)
def test_it_is_the_published_network_and_folding_is_exact(grid: Upsampling, tmp_path: Path) -> None:
    checkpoint, image = file_of(tmp_path, grid), pictures()
    generator, x = checkpoint.generator(torch.float64), unit_range(image, torch.float64)
    state = {name: tensor.double() for name, tensor in checkpoint.tensors.items()}

    exact = generator(x)

    assert len(state) == 77
    assert (exact - published(x, state, grid)).abs().max() < 1e-12
    assert (unrounded(fold(generator), image)[0] - exact).abs().max() < 1e-10


@pytest.mark.parametrize("size", [None, (32, 48)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["convolutions", "channels last"])
@pytest.mark.parametrize("grid", GRIDS)
def test_every_form_draws_the_same(grid: Upsampling, form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    checkpoint, image = file_of(tmp_path, grid), pictures()
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5

    translated = ran(checkpoint.folded(), form, size, image.numpy())

    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(precision: Precision, tmp_path: Path) -> None:
    checkpoint = file_of(tmp_path)
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend="onnxruntime")
    assert verify(built.path, checkpoint).passes(precision)
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)


def test_a_cuda_engine_means_the_same(tmp_path: Path) -> None:
    checkpoint = file_of(tmp_path, "half-pixel")
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image = random_pictures(2, 32, 32)
    translated, _ = PlainBackend(built.path, built.spec).run(image)
    exact = (checkpoint.generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert np.abs(translated.transpose(0, 3, 1, 2) - exact.numpy()).max() < 0.51


# What is said of it -----------------------------------------------------------------------------------------------


def test_ways_to_double_are_different_networks(tmp_path: Path) -> None:
    checkpoints = [file_of(tmp_path, grid) for grid in (None, *GRIDS)]
    assert len({one.sha256 for one in checkpoints}) == 3
    assert "--upsample half-pixel" in " ".join(checkpoints[0].notes)
    x = unit_range(pictures(), torch.float32)
    drawn = [one.generator()(x) for one in checkpoints]
    assert torch.equal(drawn[0], drawn[1])
    assert min((drawn[1] - other).abs().max().item() for other in drawn[2:]) > 0.01


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("block_c.3.layers.1.1.weight", None, "lacks block_c.3"),
        ("block_a.0.1.weight", None, "part of an AnimeGANv2 generator"),
        ("block_e.2.1.weight", (32, 64, 3, 3), "has shape"),
    ],
)
def test_refused_in_one_line(name: str, shape: tuple[int, ...] | None, reason: str, tmp_path: Path) -> None:
    state = dict(AnimeGan2Generator(AnimeGan2Config()).state_dict())
    del state[name]
    torch.save(state | ({name: torch.zeros(shape)} if shape else {}), tmp_path / "paprika.pt")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "paprika.pt")
    assert "\n" not in str(refused.value)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, engine, converted = str(file_of(tmp_path).path), str(tmp_path / "x.onnx"), str(tmp_path / "x.safetensors")
    flags = ["--upsample", "half-pixel"]
    assert main(["inspect", source]) == 0
    assert "AnimeGANv2" in capsys.readouterr().out
    build = ["build-engine", source, "-o", engine, "--backend", "onnxruntime", "--size", "64"]
    assert main([*build, *flags, "--architecture", "animegan2"]) == 0
    assert main(["verify", engine, source, *flags]) == 0
    assert main(["verify", engine, source]) == 1
    assert "another checkpoint" in capsys.readouterr().err
    assert main(["convert", source, converted, *flags]) == 0
    assert read_checkpoint(Path(converted)).config == AnimeGan2Config(upsample="half-pixel")
