"""The style kernels against float64; interpreted on any machine, compiled on a GPU."""

from dataclasses import replace

import pytest
import torch

from tests.kernels.tolerances import assert_as_close
from ugatit_fast.kernels import style_launch
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.schedule import Gpu, StylePlan, style_plan
from ugatit_fast.kernels.style import StyleCall, style, style_reference
from ugatit_fast.kernels.style_launch import style_on_gpu

SMALL_GPU = Gpu((9, 0), 3, 100 * 1024)
"""Few enough multiprocessors that an image has several splits, and the last is smaller."""


def small_plan(x: torch.Tensor, first: torch.Tensor) -> StylePlan:
    """Fewer programs than parts."""
    return replace(style_plan(x, first, SMALL_GPU), programs=2)


KINDS = [(full, dtype) for full in (False, True) for dtype in (torch.float32, torch.float16, torch.bfloat16)]


@pytest.mark.parametrize(("full", "dtype"), KINDS)
@pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])
@pytest.mark.parametrize("shape", [(0, 16, 4, 4), (1, 24, 7, 9), (17, 20, 5, 6)], ids=str)
def test_style(
    shape: tuple[int, int, int, int], biases: bool, full: bool, dtype: torch.dtype, device: torch.device
) -> None:
    n, c, h, w = shape
    x = interior(torch.randn(n, c, h + 2, w + 2, device=device).to(dtype).to(memory_format=torch.channels_last), 1)
    inputs = c * h * w if full else c
    first = (torch.randn(c, inputs, device=device) / inputs**0.5).to(dtype)
    second = torch.randn(c, c, device=device) / c**0.5
    heads = torch.randn(2 * c, c, device=device) / c**0.5
    bias = [torch.randn(size, device=device) if biases else None for size in (c, c, 2 * c)]
    tensors = (x, first, second, heads, *bias)
    plan: StylePlan | None = small_plan(x, first) if n else None
    # Programs of the interpreter run one after another: without patience, each does what others haven't yet.
    ours = style_on_gpu(*tensors, plan, patience=0)
    truth = style_reference(StyleCall(*(None if t is None else t.double() for t in tensors)))
    assert_as_close(ours, style_reference(StyleCall(*tensors)), truth)


def test_weights_may_be_float32_beside_half_features(device: torch.device) -> None:
    x = torch.randn(2, 16, 4, 4, device=device).half()
    first, second, heads = (torch.randn(m, k, device=device) / 8 for m, k in ((16, 256), (16, 16), (32, 16)))
    tensors = (x, first, second, heads, None, None, None)
    ours = style_on_gpu(*tensors, small_plan(x, first), patience=0)
    truth = style_reference(StyleCall(x.double(), first.double(), second.double(), heads.double()))
    assert_as_close(ours, style_reference(StyleCall(*tensors)), truth)


def test_counters_are_zero_again_and_batches_may_be_larger_than_they_are(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = torch.zeros(3, dtype=torch.int32, device=device)
    monkeypatch.setattr(style_launch, "current_counters", lambda device: counters)
    monkeypatch.setattr(style_launch, "MAX_RESIDENT_IMAGES", 2)
    x, rest = torch.randn(5, 16, 4, 4, device=device), (torch.randn(m, 16, device=device) for m in (16, 16, 32))
    tensors = (x, *rest, None, None, None)
    plan = small_plan(x[:2], tensors[1])
    ours = style_on_gpu(*tensors, plan, patience=0)
    assert not counters.any()
    truth = style_reference(StyleCall(*(None if t is None else t.double() for t in tensors)))
    assert_as_close(ours, style_reference(StyleCall(*tensors)), truth)


def test_autocast_changes_nothing() -> None:
    """On the CPU it would make linear layers, and so gamma and beta, bfloat16."""
    x, *weights = torch.randn(2, 8, 4, 4), torch.randn(8, 8), torch.randn(8, 8), torch.randn(16, 8)
    expected = style(x, *weights)
    with torch.autocast("cpu", torch.bfloat16):
        found = style(x, *weights)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
