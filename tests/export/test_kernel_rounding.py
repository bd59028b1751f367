"""Kernels rounded by what they read: on the grid of eight bits, and nearer to the float32 network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.conftest import random_pictures
from ugatit_fast.assets import shipped_weights
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.export.calibration import calibrate, calibration_pictures
from ugatit_fast.export.eight_bits import EightBits, eight_bit_kernels, emulate
from ugatit_fast.export.kernel_rounding import (
    DAMPING,
    MOST_WINDOWS,
    inverse_factor,
    rounded_kernel,
    windows,
    with_rounded_kernels,
)


def kernel_and_inputs(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A kernel (o, c, 3, 3) and windows of a smooth image, whose neighbours go along with each other."""
    generator = torch.Generator().manual_seed(seed)
    image = F.interpolate(torch.randn(1, 8, 12, 12, generator=generator), scale_factor=4, mode="bilinear")
    return torch.randn(16, 8, 3, 3, generator=generator), windows(image, (3, 3), 1)


def error(kernel: Tensor, exact: Tensor, seen: Tensor) -> float:
    return float(((kernel - exact).flatten(1) @ seen.T).square().mean())


def test_rounded_kernels_are_what_eight_bits_hold() -> None:
    exact, seen = kernel_and_inputs()
    rounded = rounded_kernel(exact, seen.T @ seen)
    levels, scale = eight_bit_kernels(rounded.numpy())
    np.testing.assert_allclose(levels * scale[:, None, None, None], rounded.numpy(), rtol=1e-6)
    np.testing.assert_allclose(scale, eight_bit_kernels(exact.numpy())[1], rtol=1e-6)
    assert (np.abs(levels).reshape(16, -1).max(1) == 127).all()


@pytest.mark.parametrize("seed", range(3))
def test_they_err_less_than_the_nearest_on_what_they_read(seed: int) -> None:
    exact, seen = kernel_and_inputs(seed)
    levels, scale = eight_bit_kernels(exact.numpy())
    nearest = torch.from_numpy(levels * scale[:, None, None, None])
    assert error(rounded_kernel(exact, seen.T @ seen), exact, seen) < error(nearest, exact, seen) / 2


def test_the_factor_is_that_of_the_inverse() -> None:
    _, seen = kernel_and_inputs()
    moment = (seen.T @ seen).double()
    damped = moment + DAMPING * moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype)
    factor = inverse_factor(moment)
    torch.testing.assert_close(factor, factor.triu())
    torch.testing.assert_close(factor.T @ factor, torch.linalg.inv(damped))


@pytest.mark.parametrize("weight", [torch.zeros(2, 3, 1, 1), torch.full((2, 3, 1, 1), 1e-20)])
def test_kernels_of_nothing_and_places_that_read_nothing(weight: Tensor) -> None:
    rounded = rounded_kernel(weight, torch.zeros(3, 3))
    assert torch.isfinite(rounded).all()
    np.testing.assert_allclose(rounded, weight, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "stride", "shape"), [((3, 3), 2, (5, 5)), ((1, 7), 1, (11, 5)), ((2, 2), 1, (10, 10))]
)
def test_windows_are_what_a_convolution_reads(size: tuple[int, int], stride: int, shape: tuple[int, int]) -> None:
    x, kernel = torch.randn(1, 4, 11, 11), torch.randn(6, 4, *size)
    products = windows(x, size, stride) @ kernel.flatten(1).T
    expected = F.conv2d(x, kernel, stride=stride)
    assert expected.shape[2:] == shape
    torch.testing.assert_close(products, expected[0].flatten(1).T, rtol=1e-4, atol=1e-5)


def test_large_pictures_are_sampled_all_over() -> None:
    x = torch.arange(256 * 256, dtype=torch.float32).reshape(1, 1, 256, 256)
    seen = windows(x, (1, 1), 1)
    assert MOST_WINDOWS / 2 < len(seen) <= MOST_WINDOWS
    assert seen.max() > 0.95 * x.max()


def test_a_trained_network_keeps_more_of_its_picture() -> None:
    """And where nothing has bytes, or the style, kernels are as they were."""
    folded = read_checkpoint(shipped_weights()).folded()
    pictures = calibration_pictures(None, (32, 32))
    nearest = EightBits.of(folded, calibrate(folded, pictures))
    rounded = with_rounded_kernels(nearest, pictures)
    exact = emulate(nearest.only([]), pictures).astype(float)
    far, near = (np.square(emulate(eight, pictures) - exact).mean() for eight in (nearest, rounded))
    assert near < far
    some = rounded.only(["down.0", "up.1"])
    before, after = nearest.folded.tensors(), some.folded.tensors()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved == {"down.0.weight", "up.1.weight"}


def test_it_tells_how_far_it_is() -> None:
    folded = read_checkpoint(shipped_weights()).folded()
    pictures = list(random_pictures(1, 16, 16))
    phases: list[tuple[str, int, int]] = []
    eight = EightBits.of(folded, calibrate(folded, pictures)).only(["stem", "down.0"])
    with_rounded_kernels(eight, pictures, lambda *phase: phases.append(phase))
    assert phases == [("rounding kernels", done, 2) for done in range(3)]
