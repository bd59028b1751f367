"""photo2cartoon: recognised and not taken for U-GAT-IT, the published network, folded exactly, drawn alike by all."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.architectures.published_photo2cartoon import random_state, shapes_of, translated
from tests.architectures.test_cyclegan import ran
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.photo2cartoon import (
    ConvBlock,
    HourGlass,
    Photo2CartoonConfig,
    Photo2CartoonGenerator,
    SoftAdaLIN,
    merged_colours,
    soft_head,
)
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.backends.tuning import layers_of
from ugatit_fast.bench.cost import Activation, CountingOperations, count
from ugatit_fast.checkpoint import Checkpoint, facts_of, load_generator, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import Direction, Form, Hints, Precision
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError, ExportError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.stages import walk
from ugatit_fast.export.verify import Difference, verify
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.translator import Translator

EXACT = 1e-12
NGF = 8


def saved(folder: Path, ngf: int = 4, full: int = 0) -> Path:
    """As a training saves it, discriminators included."""
    both = {name: random_state(ngf, full=full, seed=i) for i, name in enumerate(("genA2B", "genB2A"))}
    path = folder / "photo2cartoon_params_0300000.pt"
    torch.save(both | {"disGA": {"model.1.weight_orig": torch.zeros(4, 3, 4, 4)}}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return read_checkpoint(saved(tmp_path_factory.mktemp("photo2cartoon"), NGF))


def pictures(height: int = 32, width: int = 48) -> Tensor:
    return torch.from_numpy(random_pictures(2, height, width))


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# The rewrites -----------------------------------------------------------------------------------------------------


def test_what_an_hourglass_adds_is_one_convolution() -> None:
    x, features, first, third = double(2, 6, 3, 5), double(6, 6, 1, 1), double(3, 6, 1, 1), double(6, 3, 1, 1)
    expected = F.conv2d(x, features) + F.conv2d(F.conv2d(x, first), third)
    assert (F.conv2d(x, merged_colours(features, first, third)) - expected).abs().max() < EXACT


@pytest.mark.parametrize("kind", [ConvBlock, HourGlass], ids=lambda kind: kind.__name__)
def test_a_number_a_channel_passes_through_as_one(kind: type[ConvBlock | HourGlass]) -> None:
    """So the biases of an hourglass end before the next instance norm."""
    module, x, moved = kind(4).double(), double(2, 4, 32, 48), double(1, 4, 1, 1, seed=1)
    difference = module(x + moved) - module(x)
    assert (difference - difference[:, :, :1, :1]).abs().max() < EXACT


def test_a_block_of_the_encoder_leaves_the_mean_as_it_is(checkpoint: Checkpoint) -> None:
    generator, x = checkpoint.generator(torch.float64), double(2, 4 * NGF, 8, 6)
    mean = x.mean((2, 3))
    for i in range(1, 5):
        x = generator.get_submodule(f"EncodeBlock{i}")(x)
        assert (x.mean((2, 3)) - mean).abs().max() < EXACT


def test_the_shares_of_style_and_content_are_weights(checkpoint: Checkpoint) -> None:
    """The mixture of one norm, and of all of them as the graph has them."""
    generator, content, style = checkpoint.generator(torch.float64), double(3, 4 * NGF), double(3, 4 * NGF, seed=1)
    norm = generator.get_submodule("DecodeBlock2.norm1")
    assert isinstance(norm, SoftAdaLIN)
    for name in ("gamma", "beta"):
        head = soft_head(generator.state_dict(), "DecodeBlock2.norm1", name)
        inner = torch.relu(F.linear(content, head["content_first"], head["content_bias"]))
        folded = F.linear(style, head["heads"], head["bias3"]) + F.linear(inner, head["content_second"][0])
        assert (folded - norm.mixed(name, content, style)).abs().max() < EXACT


# Recognised, and the same network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "full"), [("A2B", 48), ("B2A", 0)], ids=["full", "light"])
def test_it_is_the_published_network_and_folding_is_exact(direction: Direction, full: int, tmp_path: Path) -> None:
    """Whose biases, norms, shares and blocks all matter, though its fold has few of them."""
    found = read_checkpoint(saved(tmp_path, full=full), direction)
    assert found.config == Photo2CartoonConfig(ngf=4, light=not full, img_size=full or 256)
    assert (found.direction, found.directions, found.step) == (direction, ("A2B", "B2A"), 300000)
    image = pictures(48)
    x = unit_range(image, torch.float64)
    state = {name: t.double() for name, t in random_state(full=full, seed=int(direction == "B2A")).items()}
    expected, heat = translated(state, x)
    generator = found.generator(torch.float64)
    assert isinstance(generator, Photo2CartoonGenerator)

    for picture, heatmap in (generator.pictures(x), unrounded(fold(generator), image)):
        assert (picture - expected).abs().max() < 1e-10
        assert heatmap is not None
        assert (heatmap - heat).abs().max() < 1e-10


def test_what_is_said_of_it(checkpoint: Checkpoint) -> None:
    """The released weights: 406 tensors of 3.83 million numbers, of which 56 are for nothing."""
    facts = facts_of(checkpoint)
    assert (facts["architecture"], facts["ngf"], facts["light"]) == ("photo2cartoon", NGF, True)
    assert any("cut out on white" in note for note in checkpoint.notes)
    released = shapes_of(32, 128)
    assert len(released) == 406
    assert round(sum(torch.Size(shape).numel() for shape in released.values()) / 1e6, 2) == 3.83
    assert len(checkpoint.tensors) == 406 - 56


def test_the_multiplications_are_counted() -> None:
    folded = fold(Photo2CartoonGenerator(Photo2CartoonConfig(ngf=4)))
    operations = CountingOperations(4)
    picture, heatmap = folded.graph(operations, Activation(1, 3, 64, 96))
    assert (picture, heatmap) == (Activation(1, 3, 64, 96), Activation(1, 1, 18, 26))
    assert round(sum(work.macs for work in count(Photo2CartoonConfig(), 1, 256, 256, "fp32")) / 1e9, 2) == 17.20


# Refused ----------------------------------------------------------------------------------------------------------


def without(*parts: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in random_state().items() if not any(part in name for part in parts)}


def ugatit_state() -> dict[str, Tensor]:
    return dict(Generator(GeneratorConfig(ch=4, light=True)).state_dict())


REFUSED = {
    "the hourglasses alone": ({n: t for n, t in random_state().items() if "Glass" in n}, "no ConvBlock1.1.weight"),
    "half of it": (without("Decode", "Up"), r"lacks DecodeBlock1\S+, DecodeBlock1"),
    "no hourglass": (without("HourGlass1.HG.0"), "a part of a photo2cartoon generator"),
    "an hourglass less": (without("HourGlass4"), "lacks HourGlass4"),
    "U-GAT-IT among it": (random_state() | ugatit_state(), "also has DownBlock"),
    "two widths": (random_state() | {"UpBlock1.2.weight": torch.zeros(16, 32, 3, 3)}, "UpBlock1.2.weight has shape"),
    "three channels": (random_state() | {"ConvBlock1.1.weight": torch.zeros(3, 3, 7, 7)}, "has 3 channels"),
    "a part of a square": (random_state() | {"FC.0.weight": torch.zeros(16, 48)}, "takes 48 features"),
    "full, of a side that doesn't halve": (random_state(full=40), "full generator of 40x40 images, but"),
    "greyscale": (random_state() | {"ConvBlock2.1.weight": torch.zeros(1, 3, 7, 7)}, "has shape"),
    "NaN": (random_state() | {"DecodeBlock1.norm1.w_beta": torch.full((1, 16), torch.nan)}, "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    state, reason = REFUSED[kind]
    torch.save({"genA2B": state}, tmp_path / "x_params_latest.pt")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "x_params_latest.pt")
    assert "\n" not in str(refused.value)


def test_neither_it_nor_u_gat_it_is_taken_for_the_other(checkpoint: Checkpoint, tmp_path: Path) -> None:
    torch.save({"genA2B": ugatit_state(), "genB2A": random_state()}, tmp_path / "both.pt")
    assert read_checkpoint(tmp_path / "both.pt", "A2B").config == GeneratorConfig(ch=4, light=True)
    assert read_checkpoint(tmp_path / "both.pt", "B2A").config == Photo2CartoonConfig(ngf=4)
    with pytest.raises(
        CheckpointError, match="holds no generator of U-GAT-IT: it looks like a part of a photo2cartoon"
    ):
        read_checkpoint(checkpoint.path, hints=Hints(architecture="ugatit"))


# Engines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, (32, 48)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
def test_every_form_draws_the_same(form: Form, size: tuple[int, int] | None, checkpoint: Checkpoint) -> None:
    image = pictures()
    exact, _ = checkpoint.generator(torch.float64).pictures(unit_range(image, torch.float64))

    drawn = ran(checkpoint.folded(), form, size, image.numpy())

    assert (torch.from_numpy(drawn).permute(0, 3, 1, 2) - (exact + 1) * 127.5).abs().max() < 0.52


def test_a_full_generator_reads_its_map_in_the_order_of_its_weights(tmp_path: Path) -> None:
    """Whatever the order of the activations."""
    found, image = read_checkpoint(saved(tmp_path, full=32)), pictures(32, 32)
    exact, _ = found.generator(torch.float64).pictures(unit_range(image, torch.float64))
    drawn = ran(found.folded(), "channels last", (32, 32), image.numpy())
    assert (torch.from_numpy(drawn).permute(0, 3, 1, 2) - (exact + 1) * 127.5).abs().max() < 0.52
    with pytest.raises(ExportError, match="full generator trained at 32x32"):
        build_engine(found, size=(64, 64), backend="onnxruntime")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(precision: Precision, checkpoint: Checkpoint, tmp_path: Path) -> None:
    engine = tmp_path / "x.onnx"
    build_engine(checkpoint, engine, size=(64, 64), precision=precision, backend="onnxruntime", heatmap=True)
    spec = read_spec(engine)
    assert spec.network is not None
    assert (spec.network.architecture, spec.any_size, spec.heatmap) == ("photo2cartoon", True, True)
    assert verify(engine, checkpoint).passes(precision)
    if precision == "fp16":
        errors = dict(walk(engine, spec, checkpoint).errors)
        assert len(errors) == 1 + 4 * (3 * 14 + 14 + 4 + 4 + 2) + 1 + 2 + 16 + 1 + 2
        assert max(errors.values()) < 0.1
    with Translator(engine, heatmap=True) as translator:
        image = random_pictures(2, 48, 64)
        picture, heatmap = translator(image)
        _, expected = checkpoint.generator().pictures(unit_range(torch.from_numpy(image), torch.float32))
        assert expected is not None
        assert np.abs(heatmap - expected.numpy()).max() < (1e-3 if precision == "fp32" else 0.1) * expected.max()
        assert picture.shape == (2, 48, 64, 3)
        with pytest.raises(InputError, match="multiples of 16, at least 32"):
            translator(random_pictures(1, 40, 64))


def test_a_cuda_engine_means_the_same(checkpoint: Checkpoint, tmp_path: Path) -> None:
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image = random_pictures(2, 32, 32)
    drawn, _ = PlainBackend(built.path, built.spec).run(image)
    exact, _ = checkpoint.generator().pictures(unit_range(torch.from_numpy(image), torch.float32))
    assert np.abs(drawn.transpose(0, 3, 1, 2) - ((exact + 1) * 127.5).numpy()).max() < 0.51


def test_layers_that_have_a_choice_are_those_with_a_norm_behind(checkpoint: Checkpoint) -> None:
    """The stem, the last 1x1 of four hourglasses, sixteen in the trunk, two that double, and the attention."""
    assert len(layers_of(checkpoint.folded().half_precision(), 1, 64, 64)) == 1 + 4 + 16 + 2 + 1


def test_eight_bits(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO has them: here in all layers, which the gate of 40 dB would not let pass. Pixel rows have none."""
    with pytest.raises(InputError, match="has none of bytes; choose fp32 or fp16, or --backend openvino"):
        build_engine(checkpoint, precision="int8", backend="onnxruntime")
    pytest.importorskip("openvino")
    monkeypatch.setattr(Difference, "passes", lambda *_: True)
    built = build_engine(checkpoint, tmp_path / "x.openvino", size=(32, 32), backend="openvino")
    assert built.spec.eight_bits is not None
    assert not built.spec.eight_bits.layers_in_float32
    assert built.difference.psnr_db > 20


def test_converted_and_on_the_command_line(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = convert(checkpoint.path, tmp_path / "cartoon.safetensors", direction="B2A")
    assert [one.direction for one in written] == ["B2A"]
    x = unit_range(pictures(), torch.float32)
    expected, _ = read_checkpoint(checkpoint.path, "B2A").generator().pictures(x)
    assert torch.equal(load_generator(written[0].path).pictures(x)[0], expected)
    assert main(["inspect", str(written[0].path), "--architecture", "photo2cartoon"]) == 0
    assert "photo2cartoon" in capsys.readouterr().out
