"""Kernels rounded to eight bits by what they are multiplied with, not each value to its nearest.

What a rounded weight errs by, the weights not rounded yet make good, as far as what they read goes along with what it
reads. Neighbouring pixels do, so that most of the error goes: 2 dB of a whole network, for nothing at run time.

    min over q of |(W - q s) X|^2, one input after the other: e_j = (w_j - q_j s) / U_jj, w_k -= e_j U_jk for k > j
    U: upper Cholesky factor of the inverse of X X^T + damping

(GPTQ: Frantar et al., arXiv 2210.17323, algorithm 1.) X are windows of what a place reads, as eight bits leave it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil, sqrt

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.export.around_zero import AroundZero
from ugatit_fast.export.calibration import drawn
from ugatit_fast.export.eight_bits import LARGEST_KERNEL, SMALLEST_SCALE, EightBits, Emulated
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights
from ugatit_fast.media.images import Pixels
from ugatit_fast.progress import Phased

DAMPING = 0.01
"""Of the mean of the diagonal, added to it: what photos didn't show isn't free."""
MOST_WINDOWS = 2048
"""Of a place in one photo, spread evenly over it."""
MOST_PHOTOS = 8
BLOCK = 64
"""Inputs between two updates of all that come after them."""


def with_rounded_kernels(eight: EightBits, pictures: Sequence[Pixels], progress: Phased = lambda *_: None) -> EightBits:
    """The same places in eight bits, with their kernels rounded by what they read of pictures, uint8 (h, w, 3)."""
    reading = Windows(eight)
    with torch.inference_mode():
        for _ in drawn(eight.folded, reading, pictures[:MOST_PHOTOS]):
            pass
    rounded, places = {}, list(reading.moments)
    for done, place in enumerate(places):
        progress("rounding kernels", done, len(places))
        rounded[place] = rounded_kernel(reading.weights[place], reading.moments[place], eight.around_zero)
    progress("rounding kernels", len(places), len(places))
    return replace(eight, rounded=rounded)


class Windows(Emulated):
    """The network in eight bits, summing up the products of all that a kernel's inputs read."""

    def __init__(self, eight: EightBits) -> None:
        super().__init__(eight)
        self.moments: dict[str, Tensor] = {}
        """(inputs, inputs) of each place, its inputs in the order of a kernel (c, h, w)."""
        self.weights: Mapping[str, Tensor] = {}

    def convolved(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> Tensor:
        place = weights.prefix
        span = self.eight.span(place)
        if span is not None:
            seen = windows(self.read(x, place, span) * self.eight.scale(span), weights.weight.shape[2:], stride)
            moment = seen.T @ seen
            self.moments[place] = self.moments[place] + moment if place in self.moments else moment
            self.weights = {**self.weights, place: weights.weight}
        return super().convolved(x, weights, stride)


def windows(x: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """Up to `MOST_WINDOWS` that a kernel of a size (height, width) reads of x (1, c, h, w): (n, c * height * width)."""
    every = x.unfold(2, size[0], stride).unfold(3, size[1], stride)
    step = ceil(sqrt(every.shape[2] * every.shape[3] / MOST_WINDOWS))
    some = every[0, :, ::step, ::step]
    return some.permute(1, 2, 0, 3, 4).reshape(some.shape[1] * some.shape[2], -1)


def rounded_kernel(weight: Tensor, moment: Tensor, numbers: AroundZero | None = None) -> Tensor:
    """(o, c, h, w) -> the same shape, float32, of which `eight_bit_kernels`, or the kernels of `numbers`, makes the
    integers chosen here.

    Each output's largest value keeps its place at the end of the scale, so that the scale stays what it was. moment
    (c * h * w, the same): X X^T of the inputs.
    """
    rest = weight.reshape(len(weight), -1).double()
    nearest, scale = grid_of(rest, numbers)
    largest = rest.abs().argmax(1)
    ends = nearest(rest.gather(1, largest[:, None])[:, 0] / scale)
    factor = inverse_factor(moment.double())
    levels = torch.empty_like(rest)
    for start in range(0, rest.shape[1], BLOCK):
        end = min(start + BLOCK, rest.shape[1])
        block, errors = rest[:, start:end], rest.new_zeros(len(rest), end - start)
        for j in range(end - start):
            column = start + j
            levels[:, column] = torch.where(largest == column, ends, nearest(block[:, j] / scale))
            errors[:, j] = (block[:, j] - levels[:, column] * scale) / factor[column, column]
            block[:, j:] -= errors[:, j, None] * factor[column, column:end]
        rest[:, end:] -= errors @ factor[start:end, end:]
    return (levels * scale[:, None]).reshape(weight.shape).float()


def grid_of(weight: Tensor, numbers: AroundZero | None) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """What rounds to the numbers that there are, in steps of a scale; and the scale (o,) of weights (o, n), float64."""
    largest = weight.abs().amax(1)
    if numbers:
        return numbers.nearest, torch.from_numpy(numbers.scales(largest.float().numpy()).astype(np.float64))
    scale = largest.clamp_min(SMALLEST_SCALE * LARGEST_KERNEL).float().div(LARGEST_KERNEL).double()
    return lambda steps: steps.round().clamp(-LARGEST_KERNEL, LARGEST_KERNEL), scale


def inverse_factor(moment: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of a damped moment, float64.

    From behind: where H = V V^T with V upper, the inverse is U^T U with U the inverse of V.
    """
    damping = DAMPING * moment.diagonal().mean().clamp_min(1e-30)
    identity = torch.eye(len(moment), dtype=moment.dtype)
    from_behind = torch.linalg.cholesky((moment + damping * identity).flip(0, 1)).flip(0, 1)
    return torch.linalg.solve_triangular(from_behind, identity, upper=True)
