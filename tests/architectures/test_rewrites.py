"""The rewrites that architectures share, proven in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.architectures.published import Downsample, Upsample
from ugatit_fast.architectures.rewrites import even_kernel, folded_batch_norm, transposed_phases
from ugatit_fast.graph import TorchOperations
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.phases import interleave_phases

EXACT = 1e-12


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 5), (16, 16)])
@pytest.mark.parametrize("kernel", [3, 4])
def test_a_transposed_convolution_is_four_phases(kernel: int, height: int, width: int) -> None:
    x, weight = double(2, 5, height, width), double(5, 3, kernel, kernel, seed=1)
    expected = F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=4 - kernel)

    phases = F.conv2d(F.pad(x, (1, 1, 1, 1)), transposed_phases(weight.transpose(0, 1)))

    assert expected.shape[2:] == (2 * height, 2 * width)
    assert (interleave_phases(phases) - expected).abs().max() < EXACT


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 6), (8, 4), (16, 18)])
def test_cuts_blurs_are_means_of_neighbours_and_bilinear_interpolation(height: int, width: int) -> None:
    x = double(2, 5, height, width)
    operations = TorchOperations(torch.float64)

    halved = operations.halve(F.pad(x, (1, 1, 1, 1), mode="reflect"), pad=0, pad_mode="zero")
    doubled = operations.double(x, pad=0, pad_mode="zero")

    assert (halved - Downsample(5).double()(x)).abs().max() < EXACT
    assert (doubled - Upsample(5).double()(x)).abs().max() < EXACT


@pytest.mark.parametrize("mode", ["reflect", "constant"])
@pytest.mark.parametrize(("height", "width"), [(2, 4), (6, 8)])
def test_a_border_on_one_side_is_a_kernel_of_four(height: int, width: int, mode: str) -> None:
    x, weight = double(2, 3, height, width), double(5, 3, 3, 3, seed=1)
    expected = F.conv2d(F.pad(x, (0, 1, 0, 1), mode=mode), weight, stride=2)

    folded = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), even_kernel(weight), stride=2)

    assert (folded - expected).abs().max() < EXACT


@pytest.mark.parametrize("biased", [False, True])
def test_batch_norm_in_evaluation_is_part_of_its_convolution(biased: bool) -> None:
    x, weight, bias = double(2, 4, 6, 5), double(3, 4, 3, 3, seed=1), double(3, seed=2) if biased else None
    gamma, beta, mean, var = double(3, seed=3), double(3, seed=4), double(3, seed=5), double(3, seed=6).square() + 0.1
    expected = F.batch_norm(F.conv2d(x, weight, bias), mean, var, gamma, beta, eps=1e-5)

    folded = F.conv2d(x, *folded_batch_norm(weight, bias, gamma, beta, mean, var, 1e-5))

    assert (folded - expected).abs().max() < EXACT


def test_batch_norm_in_training_is_instance_norm_for_one_picture() -> None:
    """So that any batch is exact: each picture as if it were alone, which the published test.py does."""
    norm = nn.BatchNorm2d(6).double().train()
    norm.weight.data.copy_(double(6, seed=1))
    norm.bias.data.copy_(double(6, seed=2))
    x = double(3, 6, 5, 4) * 2 + 1
    expected = torch.cat([norm(one[None]) for one in x])

    folded = adalin(x, norm.weight.detach()[None], norm.bias.detach()[None], unbiased=False)

    assert (folded - expected).abs().max() < EXACT
