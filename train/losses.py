"""The losses of U-GAT-IT (paper, section 3.2): tensors in, scalar out. Logits and pictures may be of any float dtype;
the losses are float32 (float64 where they are)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.train.precision import wide


def judged(logits: Tensor, real: bool) -> Tensor:
    """Least squares (LSGAN): how far a discriminator's logits, of any shape, are from calling the picture `real`."""
    return (wide(logits) - float(real)).square().mean()


def reconstruction(result: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of two batches of pictures: the cycle and the identity loss."""
    return F.l1_loss(wide(result), wide(original))


def attention(of_source: Tensor, of_target: Tensor) -> Tensor:
    """The generator's class activation loss from its attention logits (n, 2): high for pictures of the domain that it
    translates from, low for those of its target domain (the identity pass).
    """
    of_source, of_target = wide(of_source), wide(of_target)
    to_high = F.binary_cross_entropy_with_logits(of_source, torch.ones_like(of_source))
    return to_high + F.binary_cross_entropy_with_logits(of_target, torch.zeros_like(of_target))
