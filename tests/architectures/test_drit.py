"""DRIT, both decoders: the published network in any style and direction, folded exactly, run by every engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.architectures.published_drit import Sizes, random_file, style_of, translated
from tests.architectures.test_architectures import PAGE
from tests.architectures.test_munit import levels_off
from tests.conftest import random_pictures
from tests.test_fold import UnroundedOperations
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.drit import pooled_kernel, shifts_of
from ugatit_fast.architectures.drit_network import DritConfig, DritGenerator
from ugatit_fast.architectures.rewrites import transposed_phases
from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.backends.styles import style_seen
from ugatit_fast.bench.cost import count
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import Direction, Form, Precision, drawn_style
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.stages import walk
from ugatit_fast.export.verify import verify
from ugatit_fast.graph import TorchOperations
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.kernels.padding import pad_reference
from ugatit_fast.kernels.phases import interleave_phases
from ugatit_fast.translator import Translator

EXACT = 1e-12
SIZES = [Sizes(), Sizes(0), Sizes(1, 2, 5)]
WIDE = [Sizes(1, 8, 8), Sizes(0, 8, 8)]


def saved(folder: Path, sizes: Sizes, **options: bool) -> Path:
    path = folder / "00299.pth"
    torch.save(random_file(sizes, **options), path)
    return path


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# Its rewrites -----------------------------------------------------------------------------------------------------


def test_constant_channels_before_an_instance_norm_are_dead() -> None:
    x, z, weight = double(2, 5, 6, 4), double(1, 3, 1, 1, seed=1), double(4, 8, 3, 3, seed=2)
    joined = torch.cat([x, z.expand(2, -1, 6, 4)], dim=1)
    expected = F.instance_norm(F.conv2d(F.pad(joined, (1, 1, 1, 1), mode="reflect"), weight))
    without = F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight[:, :5]))
    assert (without - expected).abs().max() < EXACT


@pytest.mark.parametrize("pad_mode", ["zero", "reflect"])
def test_constant_channels_have_the_border_of_the_others(pad_mode: str) -> None:
    x, z = double(2, 5, 4, 3), double(1, 3, seed=1)
    joined = torch.cat([x, z[:, :, None, None].expand(2, -1, 4, 3)], dim=1)
    wide = TorchOperations(torch.float64).with_constants(pad_reference(x, 1, pad_mode), 3, z, pad_mode=pad_mode)
    assert torch.equal(wide, pad_reference(joined, 1, pad_mode))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5), (8, 6)])
def test_constant_channels_of_a_transposed_convolution_stay_channels(height: int, width: int) -> None:
    """At the last row and column they aren't constant: a shift would be wrong there."""
    x, z, weight = double(2, 5, height, width), double(1, 3, seed=1), double(8, 4, 3, 3, seed=2)
    joined = torch.cat([x, z[:, :, None, None].expand(2, -1, height, width)], dim=1)
    expected = F.conv_transpose2d(joined, weight, stride=2, padding=1, output_padding=1)

    wide = TorchOperations(torch.float64).with_constants(F.pad(x, (1, 1, 1, 1)), 3, z, pad_mode="zero")

    found = interleave_phases(F.conv2d(wide, transposed_phases(weight.transpose(0, 1))))
    assert (found - expected).abs().max() < EXACT
    of_style = expected - F.conv_transpose2d(x, weight[:5], stride=2, padding=1, output_padding=1)
    assert (of_style[..., -1] - of_style[..., 1]).abs().max() > 0.1
    assert height == 2 or (of_style[:, :, 2:-1:2] - of_style[:, :, :1]).abs().max() < EXACT


def test_constant_channels_of_a_1x1_convolution_are_a_shift_of_the_layer_that_makes_them() -> None:
    x, numbers, kernel, bias = double(2, 5, 6, 4), double(7, seed=1), double(4, 8, 1, 1, seed=2), double(4, seed=3)
    layer, layer_bias = double(3, 7, seed=4), double(3, seed=5)
    made = F.linear(numbers, layer, layer_bias)[None, :, None, None].expand(2, -1, 6, 4)
    expected = F.conv2d(torch.cat([x, made], dim=1), kernel, bias)

    shift = F.linear(numbers, *shifts_of(kernel[:, 5:], bias, layer, layer_bias))

    assert (F.conv2d(x, kernel[:, :5], shift) - expected).abs().max() < EXACT


@pytest.mark.parametrize(("height", "width"), [(2, 2), (5, 7), (8, 6)])
def test_means_of_four_after_3x3_are_4x4_of_stride_2(height: int, width: int) -> None:
    x, weight = double(2, 5, height, width), double(4, 5, 3, 3, seed=1)
    bordered = F.pad(x, (1, 1, 1, 1), mode="reflect")
    expected = F.avg_pool2d(F.conv2d(bordered, weight), 2)
    assert (F.conv2d(bordered, pooled_kernel(weight), stride=2) - expected).abs().max() < EXACT


# Recognised, and the same network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_it_is_the_published_network_and_folding_is_exact(sizes: Sizes, direction: Direction, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes, statistics=True), direction)
    assert checkpoint.config == DritConfig(concat=bool(sizes.concat), dim=sizes.dim, style_dim=sizes.nz)
    assert (checkpoint.direction, checkpoint.directions) == (direction, ("A2B", "B2A"))
    image = torch.from_numpy(random_pictures(2, 32, 40))
    x, style = unit_range(image, torch.float64), torch.from_numpy(drawn_style(sizes.nz, 3)).double()
    expected = translated(random_file(sizes), direction, x, style[None].expand(2, -1))
    generator = checkpoint.generator(torch.float64)
    assert isinstance(generator, DritGenerator)

    assert (generator(x, style[None]) - expected).abs().max() < EXACT
    assert (generator.enc_a(x) - style_of(random_file(sizes), direction[2], x)).abs().max() < EXACT
    operations = UnroundedOperations(torch.float64)
    operations.given = style
    found, _ = fold(generator).graph(operations, image)
    assert (found - expected).abs().max() < 1e-10


def test_what_is_said_of_it(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, Sizes()))
    assert checkpoint.dropped == ("disA", "disContent", "gen_opt")
    assert any("seed 0 unless --style" in note for note in checkpoint.notes)
    assert any("takes the mean" in note for note in checkpoint.notes)
    assert not any("takes the mean" in note for note in read_checkpoint(saved(tmp_path, Sizes(0))).notes)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_names_that_wrappers_put_before_a_network_s(wrapper: str, tmp_path: Path) -> None:
    file = random_file(Sizes())
    for part in ("enc_c", "enc_a", "gen"):
        file[part] = {wrapper + name: tensor for name, tensor in file[part].items()}
    torch.save({"state": file}, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth", "B2A").tensors
    assert torch.equal(found["gen.decB2.0.model.0.weight"], file["gen"][wrapper + "decA2.0.model.0.weight"])


# Refused ----------------------------------------------------------------------------------------------------------

File = dict[str, Any]


def without(*parts: str) -> Callable[[File], File]:
    return lambda file: {part: tensors for part, tensors in file.items() if part not in parts}


def changed(part: str, name: str, *shape: int) -> Callable[[File], File]:
    return lambda file: file | {part: file[part] | {name: torch.zeros(shape)}}


REFUSED: dict[str, tuple[Callable[[File], File], str]] = {
    "no decoder": (without("gen"), "not all of a DRIT generator, of which a direction takes"),
    "no style encoder": (without("enc_a"), "not all of a DRIT generator"),
    "no content encoder": (without("enc_c"), "a part of DRIT"),
    "one network by itself": (lambda file: file["gen"], "a part of DRIT"),
    "half of a network": (
        lambda file: file | {"gen": {n: t for n, t in file["gen"].items() if "B" not in n}},
        "lacks gen.decB",
    ),
    "two files": (lambda file: file | {"enc_a": random_file(Sizes(0))["enc_a"]}, "not all of a DRIT generator"),
    "two decoders": (
        lambda file: file | {"gen": file["gen"] | random_file(Sizes(0))["gen"]},
        "also has gen.decB1.conv1",
    ),
    "greyscale": (changed("enc_c", "convA.0.model.1.weight", 4, 1, 7, 7), r"has shape \(4, 1, 7, 7\)"),
    "other styles": (changed("enc_a", "fc_B.0.weight", 5, 16), "has shape"),
    "damage": (changed("enc_c", "convA.0.model.1.weight"), "has 0 channels"),
    "more blocks": (changed("gen", "decB1.3.model.1.weight", 19, 19, 3, 3), "also has gen.decB1.3"),
    "MDMM": (lambda _: {"enc_c": {"conv.0.model.1.weight": torch.zeros(4, 3, 7, 7)}}, "looks like MDMM"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    change, reason = REFUSED[kind]
    torch.save(change(random_file(Sizes())), tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "last.pth")
    assert "\n" not in str(refused.value)


# Engines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
@pytest.mark.parametrize(("sizes", "size"), [(SIZES[0], None), (SIZES[1], (32, 40))], ids=["any size", "fixed"])
def test_every_form_draws_the_same(sizes: Sizes, form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    assert levels_off(read_checkpoint(saved(tmp_path, sizes)), form, size) < 0.52


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
def test_a_picture_of_one_colour_is_exact_among_pixel_rows(
    sizes: Sizes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where instance norms give 0, and the published code its rounding errors 316-fold a layer."""
    monkeypatch.setattr(nn.InstanceNorm2d, "forward", lambda _, x: torch.zeros_like(x))
    plain = np.full((2, 32, 40, 3), [200, 30, 90], np.uint8)
    assert levels_off(read_checkpoint(saved(tmp_path, sizes)), "rows", None, plain) < 0.501


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("sizes", WIDE, ids=str)
def test_engines_pass_their_gate_and_see_styles(sizes: Sizes, precision: Precision, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes), "B2A")
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend="onnxruntime")
    spec = read_spec(built.path)
    assert spec.network is not None
    assert (spec.network.architecture, spec.direction, spec.style_length) == ("drit", "B2A", 8)
    assert verify(built.path, checkpoint).passes(precision)
    picture = random_pictures(1, 40, 52)
    expected = style_of(random_file(sizes), "A", unit_range(torch.from_numpy(picture), torch.float64))[0]
    assert (torch.from_numpy(style_seen(built.path, picture[0])) - expected).abs().max() < 1e-5
    if precision == "fp16":
        assert walk(built.path, spec, checkpoint).first_drift is None


@pytest.mark.parametrize("sizes", WIDE, ids=str)
def test_a_cuda_engine_means_the_same(sizes: Sizes, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes))
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image, style = random_pictures(2, 32, 32), drawn_style(8, 4)
    drawn, _ = PlainBackend(built.path, built.spec).run(image, style)
    x = unit_range(torch.from_numpy(image), torch.float32)
    exact = (checkpoint.generator().pictures(x, torch.from_numpy(style))[0] + 1) * 127.5
    assert np.abs(drawn.transpose(0, 3, 1, 2) - exact.numpy()).max() < 0.51
    assert walk(built.path, built.spec, checkpoint).first_drift is None


@pytest.mark.parametrize(("concat", "billions"), [(True, 47.7), (False, 54.6)])
def test_it_costs_what_the_page_says(concat: bool, billions: float) -> None:
    """Zeros in the phases among it: 2.2 and 1.9."""
    work = count(DritConfig(concat=concat), 1, 256, 256, "fp32")
    assert round(sum(one.macs for one in work) / 1e9, 1) == billions
    assert f"folded {billions}" in PAGE


def test_in_eight_bits_it_passes_its_gate_in_styles(tmp_path: Path) -> None:
    """With shifts of 1x1 convolutions; both decoders are held against their emulation in tests/export."""
    built = build_engine(saved(tmp_path, WIDE[1]), size=(32, 32), precision="int8", backend="onnxruntime")
    assert built.difference.passes("int8")
    eight = built.spec.eight_bits
    assert eight is not None
    assert len(eight.layers_in_float32) < 15, "of 38"
    pictures = random_pictures(2, 32, 32)
    with Translator(built.path) as translator:
        first, second, again = (translator.run(pictures, style=seed) for seed in (1, 2, 1))
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - second).mean() > 1


def test_converted_and_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path, WIDE[0])
    written = convert(source, tmp_path / "drit.safetensors", direction="both")
    for one, direction in zip(written, ("A2B", "B2A"), strict=True):
        again, first = read_checkpoint(one.path), read_checkpoint(source, direction)
        assert (again.direction, again.config) == (direction, first.config)
        assert all(torch.equal(again.tensors[name], tensor) for name, tensor in first.tensors.items())
    engine, photo = str(tmp_path / "x.onnx"), str(sample_photos()[0])
    assert main(["build-engine", str(written[1].path), "-o", engine, "--backend", "onnxruntime", "--size", "64"]) == 0
    assert main(["inspect", engine]) == 0
    assert "concat                 yes" in capsys.readouterr().out
    for i, style in enumerate(["3", "1,0,0,0,0,0,0,-1", photo]):
        assert main(["translate", engine, photo, "-o", str(tmp_path / f"{i}.png"), "--style", style]) == 0
    assert len({(tmp_path / f"{i}.png").read_bytes() for i in range(3)}) == 3
    assert main(["translate", engine, photo, "-o", str(tmp_path / "x.png"), "--style", "1,2"]) == 1
    assert "has 8 numbers, got 2" in capsys.readouterr().err
