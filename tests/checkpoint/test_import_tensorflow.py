"""The TensorFlow repository's checkpoints, imported and folded, against a naive statement of its network."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel, translate
from tests.tensor_bundle.bundle_writer import Layout, write_bundle
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.choices import Direction, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import fold
from ugatit_fast.folded_weights import ConvolutionWeights
from ugatit_fast.graph import TorchOperations
from ugatit_fast.kernels.image import COLOURS
from ugatit_fast.kernels.padding import pad_reference
from ugatit_fast.model import Generator
from ugatit_fast.tensor_bundle.crc32c import crc32c

SCOPES: dict[Direction, str] = {"A2B": "generator_B", "B2A": "generator_A"}
SMALL = TensorFlowModel(ch=4, img_size=16, light=True, discriminators=False, adam=False)


class Exact(TorchOperations):
    """The folded network without the roundings at its ends: float64 (n, 3, h, w) in [-1, 1] in and out."""

    def __init__(self) -> None:
        super().__init__(torch.float64)

    def normalise(self, image: Tensor, pad: int) -> Tensor:
        return pad_reference(image, pad, "reflect")

    def to_image(self, x: Tensor, weights: ConvolutionWeights) -> Tensor:
        rows = torch.conv2d(x, weights.weight).unflatten(1, (-1, COLOURS))
        h = rows.shape[3] - rows.shape[1] + 1
        image = sum(rows[:, r, :, r : r + h] for r in range(rows.shape[1]))
        assert isinstance(image, Tensor)
        return torch.tanh(image if weights.bias is None else image + weights.bias[:, None, None])


def run_folder(model: TensorFlowModel) -> str:
    """As the repository names it."""
    name = f"UGATIT{'_light' if model.light else ''}_selfie2anime_lsgan_{model.n_res}resblock_6dis_1_1_10_10_1000_sn"
    return name + ("_smoothing" if model.smoothing else "")


def write(
    folder: Path, model: TensorFlowModel, variables: Mapping[str, NDArray[Any]], layout: Layout | None = None
) -> Path:
    layout = layout or Layout(checksum=crc32c)
    return write_bundle(folder / run_folder(model) / "UGATIT.model-1000000", variables, layout)


def assert_same_pictures(generator: Generator, model: TensorFlowModel, variables: Any, scope: str) -> None:
    """Of the reference generator and of the folded one."""
    image = np.random.default_rng(1).uniform(-1, 1, (2, model.img_size, model.img_size, 3))
    expected, expected_heatmap = translate(model, variables, image, scope)
    assert np.abs(expected).max() > 0.3
    x = torch.from_numpy(image).permute(0, 3, 1, 2)
    reference, _, reference_heatmap = generator(x)
    folded, folded_heatmap = fold(generator).graph(Exact(), x)
    for picture, heatmap in ((reference, reference_heatmap[:, 0]), (folded, folded_heatmap)):
        np.testing.assert_allclose(picture.permute(0, 2, 3, 1), expected, atol=1e-9, rtol=0)
        np.testing.assert_allclose(heatmap, expected_heatmap, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("smoothing", [True, False])
@pytest.mark.parametrize("separate_cam_logit", [True, False])
@pytest.mark.parametrize("direction", ["A2B", "B2A"])
def test_every_variant_folds_to_the_same_network(
    tmp_path: Path, light: bool, smoothing: bool, separate_cam_logit: bool, direction: Direction
) -> None:
    model = replace(SMALL, light=light, smoothing=smoothing, separate_cam_logit=separate_cam_logit)
    variables = RandomVariables(model)
    checkpoint = read_checkpoint(write(tmp_path, model, variables), direction)
    assert_same_pictures(checkpoint.generator(torch.float64), model, variables, SCOPES[direction])


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize(("bias", "affine"), [(False, True), (True, False), (False, False)])
def test_networks_without_biases_or_affine_norms(tmp_path: Path, light: bool, bias: bool, affine: bool) -> None:
    """As forks of the repository have them: what the file lacks is as good as zeros and ones."""
    model = replace(SMALL, light=light)
    variables, stored = dict(RandomVariables(model)), {}
    for name, value in variables.items():
        norm_of_encoder = ("ins_norm" in name and "layer" not in name) or "instance_norm" in name
        without_bias = not bias and name.endswith("/bias") and "conv_1x1" not in name
        if without_bias or (not affine and norm_of_encoder):
            variables[name] = np.full_like(value, 1 if name.endswith("gamma") else 0)
        else:
            stored[name] = value
    checkpoint = read_checkpoint(write(tmp_path, model, stored))
    assert (checkpoint.config.bias, checkpoint.config.affine_encoder) == (bias, affine)
    assert_same_pictures(checkpoint.generator(torch.float64), model, variables, "generator_B")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an optimiser's state and discriminators."""
    model = replace(SMALL, discriminators=True, adam=True)
    return write(tmp_path_factory.mktemp("small"), model, RandomVariables(model))


def test_says_what_it_is(small: Path) -> None:
    checkpoint = read_checkpoint(small.parent)
    assert checkpoint.format == "TensorFlow checkpoint"
    assert (checkpoint.direction, checkpoint.directions, checkpoint.step) == ("A2B", ("A2B", "B2A"), 1_000_000)
    assert checkpoint.dropped == ("discriminator_A", "discriminator_B", "generator_A", "the optimiser's state")
    assert checkpoint.size_bytes == sum(file.stat().st_size for file in small.parent.iterdir())
    config = checkpoint.config
    assert (config.ch, config.n_res, config.light) == (4, 4, True)
    assert (config.bias, config.affine_encoder, config.unbiased) == (True, True, False)
    assert "smoothing is on" in checkpoint.notes[0]
    assert "folder's name" in checkpoint.notes[0]


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_is_named_by_prefix_or_any_file(small: Path, suffix: str) -> None:
    assert read_checkpoint(f"{small}{suffix}").sha256 == read_checkpoint(small.parent).sha256


def test_smoothing_is_part_of_the_digest(small: Path) -> None:
    """So that an engine isn't verified against the other network."""
    assert read_checkpoint(small, smoothing=False).sha256 != read_checkpoint(small).sha256


@pytest.mark.parametrize(
    ("folder", "largest_rho", "asked", "smoothing", "because"),
    [
        ("UGATIT_light_x_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing", 1.0, None, True, "by the folder's name"),
        ("UGATIT_light_x_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing", 0.9, None, True, "compare --smoothing no"),
        ("UGATIT_light_x_lsgan_4resblock_6dis_1_1_10_10_1000_sn", 1.0, None, False, "by the folder's name"),
        ("UGATIT_light_x_lsgan_4resblock_6dis_1_1_10_10_1000_sn", 1.0, True, True, "as asked for"),
        ("downloads", 0.97, None, True, "some rho is 0.97"),
        ("downloads", 0.9, None, False, "no rho is above 0.9"),
        ("downloads", 0.97, False, False, "as asked for"),
    ],
)
def test_how_smoothing_is_decided(
    tmp_path: Path, folder: str, largest_rho: float, asked: bool | None, smoothing: bool, because: str
) -> None:
    variables = {
        name: np.clip(value, 0, np.float32(largest_rho)) if name.endswith("instance_layer_norm/rho") else value
        for name, value in RandomVariables(SMALL).items()
    }
    variables["generator_B/adaptive_resblock0/res1/instance_layer_norm/rho"][:] = largest_rho
    prefix = write_bundle(tmp_path / folder / "UGATIT.model-5", variables)

    checkpoint = read_checkpoint(prefix, smoothing=asked)

    assert checkpoint.smoothing is smoothing
    assert because in checkpoint.notes[0]
    rho = checkpoint.tensors["UpBlock1_1.norm1.rho"]
    assert rho.max().item() == pytest.approx(largest_rho - 0.1 * smoothing)


@pytest.mark.parametrize("layout", [Layout(), Layout(shards=3, padding=3, names_per_block=7)], ids=["plain", "strange"])
def test_a_full_generator_is_read_by_rows(tmp_path: Path, layout: Layout) -> None:
    """The path by which a gigabyte is in memory once gives the order that a plain transposition gives."""
    model = replace(SMALL, light=False)
    variables = RandomVariables(model)
    weight = read_checkpoint(write(tmp_path, model, variables, layout)).tensors["FC.0.weight"]
    kernel = variables["generator_B/MLP/linear_0/dense/kernel"]
    np.testing.assert_array_equal(weight.numpy(), kernel.reshape(4, 4, 16, 16).transpose(3, 2, 0, 1).reshape(16, -1))


Change = dict[str, NDArray[Any] | None]


@pytest.mark.parametrize(
    ("change", "direction", "message"),
    [
        ({"generator_B/G_logit/conv2d/bias": None}, None, "lacks G_logit/conv2d/bias"),
        ({"generator_B/CAM_logit/bias": None}, None, "lacks CAM_logit/bias"),
        ({"generator_B/conv/conv2d/kernel": None}, None, "expected generator_B/conv/conv2d/kernel with 4 dimensions"),
        ({"generator_B/conv/conv2d/kernel": np.zeros(3, np.float32)}, None, "its shape is (3,)"),
        ({"generator_B/upsample/kernel": np.zeros(3, np.float32)}, None, "also has upsample/kernel"),
        (
            {"generator_B/conv_0/conv2d/kernel": np.zeros((3, 3, 4, 9), np.float32)},
            None,
            "shape (9, 4, 3, 3); expected",
        ),
        (
            {"generator_B/conv_0/conv2d/kernel": np.zeros((3, 3, 4, 8), np.int32)},
            None,
            "int32; expected floating point",
        ),
        ({"generator_B/conv/conv2d/bias": np.full(4, np.nan, np.float32)}, None, "NaN or infinite"),
        ({"generator_B/MLP/linear_0/dense/kernel": np.zeros((17, 16), np.float32)}, None, "takes 17 features"),
        ({"generator_A": None}, "B2A", "has no generator_A, only generator_B; ask for the other --direction"),
        ({"generator_": None, "x/w": np.zeros(3, np.float32)}, None, "holds no generator of U-GAT-IT"),
    ],
)
def test_refused(tmp_path: Path, change: Change, direction: Direction | None, message: str) -> None:
    variables = {
        name: value
        for name, value in RandomVariables(SMALL).items()
        if not any(name.startswith(prefix) for prefix, to in change.items() if to is None)
    }
    variables |= {name: value for name, value in change.items() if value is not None}
    path = write_bundle(tmp_path / "UGATIT.model-1", dict(sorted(variables.items())))
    with pytest.raises(CheckpointError, match=re.escape(message)) as raised:
        read_checkpoint(path, direction)
    assert "\n" not in str(raised.value)


def test_hints_about_others_are_refused(small: Path) -> None:
    assert read_checkpoint(small, hints=Hints(architecture="ugatit")).config == read_checkpoint(small).config
    with pytest.raises(CheckpointError, match="holds a generator of U-GAT-IT; leave --architecture animegan2 out"):
        read_checkpoint(small, hints=Hints(architecture="animegan2"))
    with pytest.raises(CheckpointError, match="about which upsample tensorflow decides nothing"):
        read_checkpoint(small, hints=Hints(upsample="tensorflow"))


def test_smoothing_is_no_choice_for_others(light_checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="no TensorFlow checkpoint of U-GAT-IT; smoothing"):
        read_checkpoint(light_checkpoint, smoothing=True)


def test_verify_finds_a_flipped_bit_and_reading_does_not(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL, RandomVariables(SMALL))
    data = Path(f"{path}.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[-2] ^= 1  # of a mantissa of generator_B, which is stored last
    data.write_bytes(content)
    read_checkpoint(path)
    with pytest.raises(CheckpointError, match="CRC-32C"):
        read_checkpoint(path, verify=True)


@pytest.fixture(scope="module")
def expected(small: Path) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in read_checkpoint(small).tensors.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from([".index", ".data-00000-of-00001"]), damage=st.data())
def test_damage_is_found_out(
    small: Path, expected: dict[str, Tensor], tmp_path: Path, file: str, damage: st.DataObject
) -> None:
    """Flipped and cut bytes, verified: an error of ours, or the very weights (the damage hit what isn't read)."""
    for part in small.parent.iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    path = tmp_path / f"{small.name}{file}"
    content = bytearray(path.read_bytes())
    if damage.draw(st.booleans(), "cut"):
        del content[damage.draw(st.integers(0, len(content) - 1), "length") :]
    else:
        content[damage.draw(st.integers(0, len(content) - 1), "at")] ^= damage.draw(st.integers(1, 255), "with")
    path.write_bytes(content)
    try:
        found = read_checkpoint(tmp_path / small.name, smoothing=True, verify=True)
    except CheckpointError:
        return
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.items())
