"""Each rewrite proven in float64, and the whole folded network against the reference."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.conftest import FULL, LIGHT, random_generator
from ugatit_fast.fold import fold, merge_attention, phase_kernels, row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, Weights
from ugatit_fast.graph import FoldedGenerator, TorchOperations
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.guided import guided_rows
from ugatit_fast.kernels.image import image_of, sum_of_rows
from ugatit_fast.kernels.padding import pad_reference
from ugatit_fast.kernels.phases import interleave_phases
from ugatit_fast.model import ILN, AdaLIN, Generator, GeneratorConfig

EXACT = 1e-10


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 8, 64])
def test_attention_is_one_convolution(channels: int) -> None:
    x, weight = double(2, channels, 5, 7), double(channels, 2 * channels, 1, 1, seed=1)
    gap, gmp = double(1, channels, seed=2), double(1, channels, seed=3)
    both = torch.cat([x * gap[0][:, None, None], x * gmp[0][:, None, None]], dim=1)

    folded = F.conv2d(x, merge_attention(weight, gap, gmp))

    assert (folded - F.conv2d(both, weight)).abs().max() < EXACT


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 5), (16, 16)])
@pytest.mark.parametrize("channels", [3, 8])
def test_up_sampling_convolution_is_four_phases(height: int, width: int, channels: int) -> None:
    x, weight = double(2, channels, height, width), double(5, channels, 3, 3, seed=1)
    up = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")

    phases = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), phase_kernels(weight))

    assert (interleave_phases(phases) - F.conv2d(up, weight)).abs().max() < EXACT


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 8), (9, 7)])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_last_convolution_by_rows(height: int, width: int, kernel: int) -> None:
    x, weight = double(2, 4, height + kernel - 1, width + kernel - 1), double(3, 4, kernel, kernel, seed=1)

    rows = F.conv2d(x, row_kernels(weight))
    summed = sum(rows[:, 3 * r : 3 * r + 3, r : r + height] for r in range(kernel))

    assert (summed - F.conv2d(x, weight)).abs().max() < EXACT
    assert (sum_of_rows(rows.float(), None, weight.shape[3]) - F.conv2d(x, weight)).abs().max() < 1e-4


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(2, 8, 4, 5), (1, 64, 3, 3), (3, 5, 1, 7)])
@pytest.mark.parametrize("constant", [False, True])
def test_adalin_is_one_affine_map(rho: float, shape: tuple[int, int, int, int], constant: bool) -> None:
    n, c, _, _ = shape
    x = double(*shape) * 3 + 5
    x = torch.full_like(x, 0.25) if constant else x
    gamma, beta = double(n, c, seed=1), double(n, c, seed=2)
    reference = AdaLIN(c).double()
    reference.rho.data.fill_(rho)

    folded = adalin(x, gamma, beta, reference.rho.detach().flatten(), unbiased=True)

    assert (folded - reference(x, gamma, beta)).abs().max() < EXACT


def test_iln_is_the_same_operation_with_its_own_gamma_and_beta() -> None:
    x, norm = double(2, 6, 5, 4), ILN(6).double().requires_grad_(False)
    for i, parameter in enumerate(norm.parameters()):
        parameter.copy_(double(1, 6, 1, 1, seed=i).abs())

    folded = adalin(x, norm.gamma.view(1, 6), norm.beta.view(1, 6), norm.rho.flatten(), unbiased=True)

    assert (folded - norm(x)).abs().max() < EXACT


def test_instance_norm_takes_no_notice_of_a_bias_before_it() -> None:
    x, bias = double(2, 6, 5, 4), double(6, seed=1)
    expected = F.instance_norm(x + bias[:, None, None])

    assert (adalin(x, unbiased=False) - expected).abs().max() < EXACT
    assert (adalin(x, bias=bias, unbiased=False) - expected).abs().max() < EXACT


def test_adalin_does_take_notice_of_a_bias_before_it() -> None:
    x, bias, rho = double(2, 6, 5, 4), double(6, seed=1), torch.full((6,), 0.4, dtype=torch.float64)
    expected = adalin(x + bias[:, None, None], rho=rho)

    assert (adalin(x, bias=bias, rho=rho) - expected).abs().max() < EXACT
    assert (adalin(x, rho=rho) - expected).abs().max() > 1e-3


def test_relu_addition_and_border_belong_to_the_store() -> None:
    x, residual = double(2, 6, 5, 4), double(2, 6, 5, 4, seed=1)
    plain = torch.relu(F.instance_norm(x)) + residual

    for pad_mode in ("reflect", "replicate"):
        stored = adalin(x, residual=residual, relu=True, pad=1, pad_mode=pad_mode, unbiased=False)
        assert (stored - F.pad(plain, (1, 1, 1, 1), mode=pad_mode)).abs().max() < EXACT


class UnroundedOperations(TorchOperations):
    """The folded network in any precision, stopped before its picture is rounded to 8 bits."""

    def normalise(self, image: Tensor, pad: int, pad_mode: str = "reflect") -> Tensor:
        x = image.permute(0, 3, 1, 2).to(self.dtype) / 127.5 - 1
        return pad_reference(x, pad, pad_mode)

    def to_image(self, x: Tensor, weights: ConvolutionWeights, shift: Tensor | None = None) -> Tensor:
        rows = F.conv2d(x, weights.weight)
        with patch.object(
            Tensor, "float", lambda tensor: tensor
        ):  # keep float64 where the operation would widen to float32
            bias = weights.bias if shift is None else shift[0]
            return torch.tanh(sum_of_rows(rows, bias, weights.weight.shape[3]))

    def to_guided_image(self, x: Tensor, weights: ConvolutionWeights, image: Tensor) -> Tensor:
        return guided_rows(F.conv2d(x, weights.weight), weights.bias, weights.weight.shape[3], image)


def unrounded(folded: FoldedGenerator, pictures: Tensor) -> tuple[Tensor, Tensor]:
    return folded.graph(UnroundedOperations(folded.stem.weight.dtype), pictures)


def test_both_ends_as_wide_as_tensor_cores_want_them() -> None:
    folded = fold(random_generator(LIGHT))
    aligned = folded.aligned()
    assert (aligned.stem.weight.shape[1], aligned.out.weight.shape[0]) == (8, 24)
    pictures = torch.randint(0, 256, (2, 20, 32, 3), dtype=torch.uint8)
    for wide, plain in zip(aligned(pictures), folded(pictures), strict=True):
        assert (wide.float() - plain.float()).abs().max() <= 1e-4 * plain.float().abs().max()


CONFIGS = [
    LIGHT,
    replace(LIGHT, n_res=0),
    replace(LIGHT, n_res=6),
    replace(LIGHT, ch=64, n_res=1),
    FULL,
    replace(FULL, n_res=0),
    replace(FULL, ch=4, img_size=64),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_folded_network_equals_the_reference(config: GeneratorConfig) -> None:
    generator = random_generator(config).double()
    pictures = torch.randint(0, 256, (2, config.img_size if not config.light else 20, 32, 3), dtype=torch.uint8)
    if not config.light:
        pictures = pictures[:, :, : config.img_size].repeat(1, 1, config.img_size // pictures.shape[2] or 1, 1)
    x = pictures.permute(0, 3, 1, 2).double() / 127.5 - 1

    image, heatmap = unrounded(fold(generator), pictures)
    reference, _, reference_heatmap = generator(x)

    assert (image - reference).abs().max() < EXACT
    assert (heatmap - reference_heatmap[:, 0]).abs().max() < EXACT * reference_heatmap.abs().max().clamp(min=1)


@pytest.mark.parametrize("config", [LIGHT, FULL, replace(LIGHT, ch=64, n_res=4)], ids=str)
def test_folded_network_in_float32(config: GeneratorConfig) -> None:
    generator = random_generator(config)
    pictures = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    x = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    exact = generator.double()(x.double())[0]
    reference_error = (generator.float()(x)[0] - exact).abs().max()

    image, _ = unrounded(fold(generator.float()), pictures)

    # The reference strays from float64 by itself; folding may add as much again, and 1e-5.
    assert (image - exact).abs().max() < 1e-5 + reference_error


def test_forward_gives_rounded_pictures_and_heat_maps() -> None:
    generator = random_generator(LIGHT)
    pictures = torch.randint(0, 256, (2, 24, 16, 3), dtype=torch.uint8)
    reference, _, reference_heatmap = generator(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)

    image, heatmap = fold(generator)(pictures)

    assert image.dtype == torch.uint8
    assert image.shape == pictures.shape
    assert (image.int() - image_of(reference).int()).abs().max() <= 1
    torch.testing.assert_close(heatmap, reference_heatmap[:, 0])


def test_half_precision_stays_close() -> None:
    folded = fold(random_generator(LIGHT))
    pictures = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)

    exact, _ = unrounded(folded, pictures)
    halved, _ = unrounded(folded.half_precision(), pictures)

    assert halved.dtype == torch.float16
    assert (halved - exact).abs().mean() < 5e-3
    kept = {name for name, tensor in folded.half_precision().tensors().items() if tensor.dtype == torch.float32}
    assert {"up.0.gamma", "decoder.0.0.rho", "attention.bias", "style.second", "style.heads"} <= kept


def test_folding_rounds_nothing() -> None:
    """Folded tensors stay in the generator's dtype, so that float64 proofs prove the code that runs."""
    assert {tensor.dtype for tensor in fold(random_generator(LIGHT).double()).tensors().values()} == {torch.float64}


@pytest.mark.parametrize("config", [FULL, replace(LIGHT, bias=True, affine_encoder=True)], ids=str)
def test_weights_know_the_names_of_their_tensors(config: GeneratorConfig) -> None:
    folded = fold(random_generator(config))
    named = {
        weights.name(name): tensor
        for weights in folded.modules()
        if isinstance(weights, Weights)
        for name, tensor in weights.named_buffers()
    }
    tensors = folded.tensors()
    assert named.keys() == tensors.keys()
    assert all(named[name] is tensor for name, tensor in tensors.items())


@pytest.mark.parametrize("name", ["stem.weight", "attention.bias", "style.heads", "up.1.weight"])
def test_a_place_without_what_it_needs_is_refused(name: str) -> None:
    tensors = fold(random_generator(LIGHT)).tensors()
    del tensors[name]
    with pytest.raises(KeyError, match=name):
        FoldedGenerator(LIGHT, tensors)


def test_every_parameter_of_the_generator_matters_to_the_folded_network() -> None:
    """A parameter that a fold forgot would not change the picture."""
    pictures = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8)
    config = replace(LIGHT, n_res=1)
    before, _ = unrounded(fold(random_generator(config).double()), pictures)
    for name, _ in Generator(config).named_parameters():
        generator = random_generator(config).double()
        generator.get_parameter(name).mul_(1.5).add_(0.1)
        after, _ = unrounded(fold(generator), pictures)
        assert (after - before).abs().max() > 1e-9, name
