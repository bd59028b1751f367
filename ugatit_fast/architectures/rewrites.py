"""Exact rewrites that several architectures share, beside those of `ugatit_fast.fold`. `docs/architectures.md` numbers
them on.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def transposed_phases(weight: Tensor) -> Tensor:
    """Rewrite 8: a transposed convolution of 3x3 or 4x4, stride 2, that doubles the picture (padding 1, and an output
    padding of 1 with 3x3) = a border of one zero -> four 2x2 convolutions at low resolution.

    The output row 2 i + a sees the input rows i + a - 1 and i + a, by the taps (w3, w1) where a is 0 and (w2, w0) where
    it is 1; likewise columns. A kernel of 3 has no w3. weight (k, c, 3 or 4, 3 or 4), outputs first: the transpose of
    what ConvTranspose2d holds. Returns (4 k, c, 2, 2), phases in the order of `ugatit_fast.kernels.phases`.
    """
    missing = 4 - weight.shape[3]
    taps = F.pad(weight, (0, missing, 0, missing))
    rows = ([3, 1], [2, 0])
    return torch.cat([taps[:, :, rows[a]][:, :, :, rows[b]] for a in (0, 1) for b in (0, 1)])


def folded_batch_norm(
    weight: Tensor, bias: Tensor | None, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Rewrite 9: a convolution and a batch norm with given statistics = one convolution with a bias.

    weight (k, c, h, w), outputs first; all others (k,), bias that of the convolution. Returns weight and bias.
    """
    scale = gamma / torch.sqrt(var + eps)
    moved = -mean if bias is None else bias - mean
    return weight * scale[:, None, None, None], beta + moved * scale


def even_kernel(weight: Tensor) -> Tensor:
    """Rewrite 12: a convolution 3x3 of stride 2 with a border of one line right and below = one of 4x4 with a border of
    one on every side, whose first row and column are zero. Borders reflected or of zeros.

    weight (k, c, 3, 3). Returns (k, c, 4, 4).
    """
    return F.pad(weight, (1, 0, 1, 0))
