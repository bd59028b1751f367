"""How the rows of a convolution's product, which are pixels of its padded input, are split for statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ugatit_fast.kernels.phase_layout import interleaved


@dataclass(frozen=True)
class RowSplits:
    """The splits of an image, or of each of its phases: runs of `rows` pixels of the padded input in the order of
    memory. Some of these are border, between one line and the next, and belong to no split's statistics.
    """

    h: int
    w: int
    """Of the convolution's result, or of each phase."""
    pitch: int
    """Width of the padded input."""
    rows: int
    phases: int = 1
    """4 where the results are those of an up-sampling convolution (ugatit_fast/kernels/phases.py)."""

    @classmethod
    def of(cls, shape: tuple[int, ...], pitch: int, rows: int, phases: bool) -> "RowSplits":
        """Those of a whole result (n, c, h, w)."""
        scale = 2 if phases else 1
        return cls(shape[2] // scale, shape[3] // scale, pitch, rows, scale * scale)

    @property
    def of_phase(self) -> int:
        """Splits of one phase: none is without a pixel."""
        return -(-((self.h - 1) * self.pitch + self.w) // self.rows)

    @property
    def count(self) -> int:
        """All splits, those of one phase after those of another."""
        return self.phases * self.of_phase

    def pixels(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """(count,) how many pixels each split has."""
        ends = torch.arange(self.of_phase + 1, device=device) * self.rows
        ends = ends.clamp(max=self.h * self.pitch)
        before = ends // self.pitch * self.w + (ends % self.pitch).clamp(max=self.w)
        return before.diff().repeat(self.phases).to(dtype)


def result_shape(x: Sequence[int], weight: Sequence[int], phases: bool) -> tuple[int, int, int, int]:
    """n, c, h, w of a convolution's result, for the shapes of its padded input and of its weight."""
    h, w = (x[i] - weight[i] + 1 for i in (2, 3))
    return (x[0], weight[0] // 4, 2 * (h - 1), 2 * (w - 1)) if phases else (x[0], weight[0], h, w)


def split_statistics(y: Tensor, splits: RowSplits) -> Tensor:
    """(n, splits, 2, c) of y (n, c, h, w): mean, and sum of squared deviations from it, of a channel over a split;
    float32, or float64 where y is.
    """
    y = y if y.dtype == torch.float64 else y.float()
    n, c, _, _ = y.shape
    windows = [y] if splits.phases == 1 else [y[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]
    rows = y.new_zeros(n, splits.phases, splits.of_phase * splits.rows, c)
    real = torch.zeros(splits.of_phase * splits.rows, dtype=torch.bool, device=y.device)
    place = (torch.arange(splits.h)[:, None] * splits.pitch + torch.arange(splits.w)).flatten().to(y.device)
    real[place] = True
    for phase, window in enumerate(windows):
        rows[:, phase, place] = window.flatten(2).transpose(1, 2)
    rows = rows.view(n, splits.count, splits.rows, c)
    inside = real.view(splits.of_phase, splits.rows, 1).repeat(splits.phases, 1, 1)
    count = splits.pixels(y.dtype, y.device)[:, None]
    mean = rows.sum(dim=2) / count
    square = ((rows - mean[:, :, None]) * inside).square().sum(dim=2)
    return torch.stack([mean, square], dim=2)


def layer_statistics(channels: Tensor, bias: Tensor | None, splits: RowSplits, width: int) -> Tensor:
    """(n, splits, channel tiles, 2) from `split_statistics`: the same of all channels of a tile of `width` together, y
    moved by the bias.
    """
    count = splits.pixels(channels.dtype, channels.device)[:, None]
    pairs = []
    for start in range(0, channels.shape[3], width):
        mean, square = channels[:, :, :, start : start + width].unbind(dim=2)
        mean = mean if bias is None else mean + bias[start : start + width]
        middle = mean.mean(dim=2, keepdim=True)
        together = (square + count * (mean - middle).square()).sum(dim=2)
        pairs.append(torch.stack([middle[:, :, 0], together], dim=2))
    return torch.stack(pairs, dim=2)


def combined(channels: Tensor, splits: RowSplits) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of the channels of a whole image, each (n, c), from `split_statistics`, by Chan's
    rule.
    """
    count = splits.pixels(channels.dtype, channels.device)[:, None]
    means, squares = channels.unbind(dim=2)
    mean = (count * means).sum(dim=1) / count.sum()
    square = (squares + count * (means - mean[:, None]).square()).sum(dim=1)
    return mean, square / count.sum()


def woven(y: Tensor, phases: bool) -> Tensor:
    """The image of a convolution's result: itself, or of the four phases that it has for channels."""
    return interleaved(y) if phases else y
