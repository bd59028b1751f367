"""The kernels that only move pixels, against float64; interpreted on any machine, compiled on a GPU."""

import pytest
import torch
from torch import Tensor

from tests.kernels.tolerances import LEVELS_OF_TIES, SHARE_OF_TIES, assert_as_close
from ugatit_fast.kernels import pointwise_launch
from ugatit_fast.kernels.bias_relu import bias_relu_reference
from ugatit_fast.kernels.image import image_of, normalise_image_reference, sum_of_rows
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.phase_layout import interleaved
from ugatit_fast.kernels.pointwise_launch import (
    bias_relu_on_gpu,
    interleave_on_gpu,
    normalise_image_on_gpu,
    rows_to_image_on_gpu,
)

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
BATCHES = [0, 1, 2, 5]


@pytest.fixture(autouse=True)
def _poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results begin as NaN, or as 77 where they are bytes, so that a pixel left out shows."""
    empty = torch.empty

    def poisoned(*args: object, **kwargs: object) -> Tensor:
        result: Tensor = empty(*args, **kwargs)  # type: ignore[call-overload]
        return result.fill_(torch.nan if result.is_floating_point() else 77)

    monkeypatch.setattr(pointwise_launch.torch, "empty", poisoned)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("pad", "pad_mode"), [(0, "reflect"), (1, "reflect"), (1, "replicate"), (3, "reflect")])
@pytest.mark.parametrize("n", BATCHES)
def test_bias_relu(n: int, pad: int, pad_mode: str, dtype: torch.dtype, device: torch.device) -> None:
    x = torch.randn(n, 20, 5, 7, device=device).to(dtype)
    bias = torch.randn(20, device=device)
    ours = bias_relu_on_gpu(x, bias, pad, pad_mode)
    truth = bias_relu_reference(x.double(), bias.double(), pad, pad_mode)
    assert_as_close(ours, bias_relu_reference(x, bias, pad, pad_mode), truth)
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0], ids=["ReLU", "LeakyReLU", "nothing"])
def test_bias_relu_beside_the_attention(slope: float, dtype: torch.dtype, device: torch.device) -> None:
    """With what a folded norm leaves: a slope, a residual that is the inside of a larger buffer, a border of zeros."""
    x, padded = (torch.randn(2, 20, 5 + more, 7 + more, device=device).to(dtype) for more in (0, 2))
    bias, residual = torch.randn(20, device=device), interior(padded, 1)
    ours = bias_relu_on_gpu(x, bias, 1, "zero", slope, residual)
    truth = bias_relu_reference(x.double(), bias.double(), 1, "zero", slope, residual.double())
    assert_as_close(ours, bias_relu_reference(x, bias, 1, "zero", slope, residual), truth)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(0, 8, 3, 3), (2, 80, 2, 2), (1, 12, 4, 6)], ids=str)
def test_interleave(shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device) -> None:
    phases = torch.randn(shape, device=device).to(dtype)
    assert torch.equal(interleave_on_gpu(phases), interleaved(phases))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("pad", "channels", "pad_mode"), [(0, 3, "reflect"), (3, 3, "reflect"), (3, 8, "reflect"), (1, 8, "zero")]
)
@pytest.mark.parametrize("n", BATCHES)
def test_normalise_image(
    n: int, pad: int, channels: int, pad_mode: str, dtype: torch.dtype, device: torch.device
) -> None:
    image = torch.randint(0, 256, (n, 9, 6, 3), dtype=torch.uint8, device=device)
    ours = normalise_image_on_gpu(image, pad, dtype, channels, pad_mode)
    truth = normalise_image_reference(image, pad, torch.float64, channels, pad_mode)
    assert_as_close(ours, normalise_image_reference(image, pad, dtype, channels, pad_mode), truth)
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("channels", [21, 24])
@pytest.mark.parametrize("n", BATCHES)
def test_rows_to_image(n: int, channels: int, has_bias: bool, dtype: torch.dtype, device: torch.device) -> None:
    rows = (torch.randn(n, channels, 14, 9, device=device) / 2).to(dtype)
    bias = torch.randn(3, device=device) if has_bias else None
    ours = rows_to_image_on_gpu(rows, bias, 7)
    truth = image_of(torch.tanh(sum_of_rows(rows.double(), None if bias is None else bias.double(), 7)))
    assert ours.shape == truth.shape
    difference = (ours.int() - truth.int()).abs()
    assert not difference.numel() or difference.max() <= LEVELS_OF_TIES
    assert difference.count_nonzero() <= SHARE_OF_TIES * difference.numel()


def test_rows_to_image_reaches_both_ends(device: torch.device) -> None:
    rows = torch.zeros(1, 21, 7, 3, device=device)
    rows[:, :3] = torch.tensor([-1e4, 0.0, 1e4], device=device)[:, None, None]
    assert rows_to_image_on_gpu(rows, None, 7)[0, 0, 0].tolist() == [0, 128, 255]
