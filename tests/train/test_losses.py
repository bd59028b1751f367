"""The losses against their formulas, by hand."""

import math

import torch

from ugatit_fast.train.losses import attention, judged, reconstruction


def test_least_squares() -> None:
    logits = torch.tensor([[0.0, 1.0], [3.0, -1.0]])
    assert judged(logits, real=True).item() == (1 + 0 + 4 + 4) / 4
    assert judged(logits, real=False).item() == (0 + 1 + 9 + 1) / 4


def test_reconstruction_is_the_mean_absolute_difference() -> None:
    assert reconstruction(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.0])).item() == 0.75


def test_attention_wants_high_logits_for_the_source_and_low_ones_for_the_target() -> None:
    logit = torch.full((1, 2), 2.0)
    assert math.isclose(attention(logit, -logit).item(), 2 * math.log1p(math.exp(-2)), rel_tol=1e-6)
    assert attention(-logit, logit) > 4


def test_half_precision_logits_make_a_float32_loss() -> None:
    """In bfloat16 256 + 1 is 256: the mean of many would stop growing."""
    logits = torch.ones(1, 1000, dtype=torch.bfloat16)
    loss = judged(logits, real=False)
    assert loss.dtype == torch.float32
    assert loss.item() == 1
