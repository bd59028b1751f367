"""Eight bits as pixel rows in ONNX Runtime, beside their emulation in PyTorch."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tests.conftest import FULL, LIGHT, random_generator, random_pictures
from ugatit_fast.architectures import architecture_of
from ugatit_fast.architectures import fold as fold_any
from ugatit_fast.architectures.animegan2 import AnimeGan2Config
from ugatit_fast.architectures.cut import CutConfig
from ugatit_fast.architectures.cyclegan import FoldedResnet, ResnetConfig, ResnetGenerator
from ugatit_fast.architectures.cyclegan import fold_tensors as fold_resnet
from ugatit_fast.architectures.drit_network import DritConfig
from ugatit_fast.architectures.munit import MunitConfig
from ugatit_fast.architectures.unet import UnetConfig
from ugatit_fast.architectures.unit import UnitConfig
from ugatit_fast.choices import styles_in_turn
from ugatit_fast.export.calibration import STYLE, calibrate, calibration_pictures
from ugatit_fast.export.eight_bits import EightBits, eight_bit_kernels, emulate
from ugatit_fast.export.int8_rows import Int8RowOperations
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_graph import drop_unused
from ugatit_fast.export.onnx_styles import style_inputs
from ugatit_fast.export.row_writer import Rows
from ugatit_fast.fold import fold
from ugatit_fast.folded_weights import StageWeights
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.model import Config

BIASED = replace(LIGHT, bias=True, affine_encoder=True, unbiased=False)
BATCH = ResnetConfig(ngf=8, n_down=2, n_blocks=2, norm="batch-running", block_pad="zero")
INSTANCE = ResnetConfig(ngf=8, n_down=2, n_blocks=2, norm="instance")


def resnet(config: ResnetConfig) -> FoldedResnet:
    torch.manual_seed(0)
    generator = ResnetGenerator(config).eval().requires_grad_(False)
    for name, tensor in generator.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    return FoldedResnet(config, fold_resnet(generator.config, generator.state_dict()))


def of_random(config: Config) -> FoldedNetwork:
    torch.manual_seed(0)
    return fold_any(architecture_of(config).reference(config).eval().requires_grad_(False))


NETWORKS: dict[str, FoldedNetwork] = {
    "light": fold(random_generator(LIGHT)),
    "full": fold(random_generator(FULL)),
    "biased": fold(random_generator(BIASED)),
    "no blocks": fold(random_generator(replace(LIGHT, n_res=0))),
    "batch": resnet(BATCH),
    "instance": resnet(INSTANCE),
    "unit": of_random(UnitConfig(dim=8, n_res=1)),  # its last stages have kernels that stay float32
    "munit": of_random(MunitConfig(dim=4, n_res=2, style_dim=3, mlp_dim=8)),
    "drit": of_random(DritConfig(dim=8, style_dim=3)),
    "drit, concat 0": of_random(DritConfig(concat=False, dim=8, style_dim=3)),
    "cut": of_random(CutConfig(ngf=8, n_blocks=2)),
}
BY_CONVOLUTIONS: dict[str, FoldedNetwork] = {
    "animegan2": of_random(AnimeGan2Config(upsample="tensorflow")),
    "unet": of_random(UnetConfig(ngf=8, num_downs=4)),
}
"""Those that aren't written as rows."""


def eight_bits(folded: FoldedNetwork, side: int = 32) -> EightBits:
    return EightBits.of(folded, calibrate(folded, calibration_pictures(None, (side, side))))


def translated(eight: EightBits, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What ONNX Runtime makes of pictures of any size and number."""
    builder = OnnxBuilder()
    result, _ = eight.folded.graph(Int8RowOperations(builder, eight), "image")
    drop_unused(builder, {result})
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    given_back = helper.make_tensor_value_info(result, TensorProto.UINT8, None)
    model = builder.model([given, *style_inputs(eight.folded)], [given_back], "0")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    if not eight.folded.config.style_length:
        image: NDArray[np.uint8] = session.run(None, {"image": pictures})[0]
        return image
    return np.concatenate([session.run(None, feed)[0] for feed in in_turn(model, pictures)])


def in_turn(model: ModelProto, pictures: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.generic]]]:
    """What a model is fed: picture by picture, in styles where it takes one."""
    lengths = [given.type.tensor_type.shape.dim[0].dim_value for given in model.graph.input if given.name == "style"]
    for picture, style in zip(pictures, styles_in_turn(sum(lengths)), strict=False):
        yield {"image": picture[None]} | ({} if style is None else {"style": style})


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = np.square(first.astype(float) - second).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def photos(height: int = 32, width: int = 32) -> NDArray[np.uint8]:
    return np.stack(calibration_pictures(None, (height, width)))


def variants(eight: EightBits) -> dict[str, EightBits]:
    """One byte everywhere, two, a float32 layer after each of one byte, and the other way round."""
    every, other = list(eight.spans)[::2], list(eight.spans)[1::2]
    return {
        "one byte": eight,
        "two bytes": eight.refined(eight.spans),
        "mixed": eight.without(other),
        "mixed otherwise": eight.refined(other).without(every),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_what_the_emulation_says(name: str) -> None:
    """Both compute the same integers; float32 norms between them differ in the last bit, and what that rounds
    otherwise is a level here and there, of which DRIT's layer norms make many: half the noise of eight bits, at most.
    """
    near = 45 if name.startswith("drit") else 60
    for kind, tried in variants(eight_bits(NETWORKS[name])).items():
        assert psnr(translated(tried, photos()), emulate(tried, list(photos()))) > near, kind


def test_products_are_exact_integers() -> None:
    """One stage alone, against NumPy's 64-bit integers, with the largest sums that there are."""
    eight = eight_bits(NETWORKS["light"])
    operations = Int8RowOperations(builder := OnnxBuilder(), eight)
    weights = eight.folded.get_submodule("down.1")
    assert isinstance(weights, StageWeights)
    inputs, span = weights.weight.shape[1], eight.spans["down.1"]
    rows = operations.rows.raster(*(operations.rows.size_of("like", axis) for axis in (1, 2)), multiple=16)
    made = operations.strided_convolution(Rows("x", rows, inputs), weights, norm=True)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 96, inputs])
    like = helper.make_tensor_value_info("like", TensorProto.UINT8, [1, "h", "w"])
    model = builder.model([given, like], [helper.make_tensor_value_info(made.value, TensorProto.FLOAT, None)], "0")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    x = np.random.default_rng(0).uniform(0, span.high, (2, 96, inputs)).astype(np.float32)
    x[0] = span.high
    result = session.run(None, {"x": x, "like": np.zeros((1, 8, 12), np.uint8)})[0]

    levels = np.clip(np.rint(x / np.float32(span.scale)) + span.zero, 0, 255).astype(np.int64) - span.zero
    image = np.pad(levels.reshape(2, 8, 12, inputs), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = sliding_window_view(image, (3, 3), (1, 2))[:, ::2, ::2]
    kernels, scale = eight_bit_kernels(weights.weight.numpy())
    sums = np.einsum("nyxcij,ocij->nyxo", windows, kernels.astype(np.int64)).reshape(2, 24, -1)
    exact = sums * (scale.astype(np.float64) * np.float32(span.scale)) - eight.means["down.1"]
    np.testing.assert_allclose(result, exact, rtol=1e-6, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (44, 28)])
@pytest.mark.parametrize("name", ["light", "batch"])
def test_any_size(name: str, size: tuple[int, int]) -> None:
    eight = eight_bits(NETWORKS[name])
    pictures = photos(*size)
    assert psnr(translated(eight, pictures), emulate(eight, list(pictures))) > 50


def test_pictures_of_a_batch_know_nothing_of_each_other() -> None:
    eight = eight_bits(NETWORKS["light"])
    pictures = random_pictures(3, 16, 24)
    together = translated(eight, pictures)
    for one, alone in zip(together, pictures, strict=True):
        np.testing.assert_array_equal(one, translated(eight, alone[None])[0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 200, 90)])
@pytest.mark.parametrize("name", ["light", "full", "batch"])
def test_a_picture_of_one_colour_is_drawn(name: str, colour: tuple[int, int, int]) -> None:
    """Its channels have no variance, and what a norm makes of rounding there is not the picture."""
    folded = NETWORKS[name]
    plain = np.full((1, 32, 32, 3), colour, np.uint8)
    exact = folded(torch.from_numpy(plain))[0].numpy()
    assert np.abs(translated(eight_bits(folded), plain).astype(int) - exact).max() <= 8


def test_the_map_is_what_a_full_generators_linear_layer_reads() -> None:
    eight = eight_bits(NETWORKS["full"])
    assert eight.spans[STYLE] == eight.spans["decoder.0.0"]
    assert (translated(eight, photos()) != translated(eight.without([STYLE]), photos())).any()
