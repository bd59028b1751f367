"""The network behind every published FID and KID: Google's Inception of 2015-12-05, as far as its pooled features.

Parameters have the names of the published PyTorch weights (torch-fidelity's and pytorch-fid's, one and the same file),
so that file loads as it is. Against the Inception-v3 of today's model zoos: averages leave the border out, and the
pooling branch of the last block takes the maximum, as that TensorFlow graph does.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 2048
"""Features of a picture."""
SIDE_PIXELS = 299
CLASSES = 1008


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, bordered: bool = True
    ) -> None:
        """kernel: height and width. bordered: zeros around the input, so that stride 1 keeps height and width."""
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if bordered else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


def pointwise(inputs: int, outputs: int) -> ConvNorm:
    return ConvNorm(inputs, outputs, (1, 1))


def halving(inputs: int, outputs: int) -> ConvNorm:
    return ConvNorm(inputs, outputs, (3, 3), stride=2, bordered=False)


def chained(x: Tensor, layers: Sequence[nn.Module]) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def averaged(x: Tensor) -> Tensor:
    """Mean of 3x3 neighbours, fewer at the border."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def largest(x: Tensor) -> Tensor:
    """Maximum of 3x3 neighbours."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def halved(x: Tensor) -> Tensor:
    """Maximum of 3x3 neighbours at every other place."""
    return F.max_pool2d(x, 3, stride=2)


class BlockA(nn.Module):
    """1x1, 5x5, twice 3x3, and average: (n, inputs, h, w) -> (n, 224 + pooled, h, w)."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = pointwise(inputs, 64)
        self.branch5x5_1 = pointwise(inputs, 48)
        self.branch5x5_2 = ConvNorm(48, 64, (5, 5))
        self.branch3x3dbl_1 = pointwise(inputs, 64)
        self.branch3x3dbl_2 = ConvNorm(64, 96, (3, 3))
        self.branch3x3dbl_3 = ConvNorm(96, 96, (3, 3))
        self.branch_pool = pointwise(inputs, pooled)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.branch1x1(x),
            chained(x, [self.branch5x5_1, self.branch5x5_2]),
            chained(x, [self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3]),
            self.branch_pool(averaged(x)),
        ]
        return torch.cat(branches, dim=1)


class BlockB(nn.Module):
    """To half the size: 3x3, twice 3x3, and maximum: (n, inputs, h, w) -> (n, 480 + inputs, h / 2, w / 2)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = halving(inputs, 384)
        self.branch3x3dbl_1 = pointwise(inputs, 64)
        self.branch3x3dbl_2 = ConvNorm(64, 96, (3, 3))
        self.branch3x3dbl_3 = halving(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        twice = chained(x, [self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3])
        return torch.cat([self.branch3x3(x), twice, halved(x)], dim=1)


class BlockC(nn.Module):
    """1x1, 7x7 and twice 7x7 as rows and columns, and average: (n, inputs, h, w) -> (n, 768, h, w)."""

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = pointwise(inputs, 192)
        self.branch7x7_1 = pointwise(inputs, inner)
        self.branch7x7_2 = ConvNorm(inner, inner, row)
        self.branch7x7_3 = ConvNorm(inner, 192, column)
        self.branch7x7dbl_1 = pointwise(inputs, inner)
        self.branch7x7dbl_2 = ConvNorm(inner, inner, column)
        self.branch7x7dbl_3 = ConvNorm(inner, inner, row)
        self.branch7x7dbl_4 = ConvNorm(inner, inner, column)
        self.branch7x7dbl_5 = ConvNorm(inner, 192, row)
        self.branch_pool = pointwise(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        twice = [self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3, self.branch7x7dbl_4]
        branches = [
            self.branch1x1(x),
            chained(x, [self.branch7x7_1, self.branch7x7_2, self.branch7x7_3]),
            chained(x, [*twice, self.branch7x7dbl_5]),
            self.branch_pool(averaged(x)),
        ]
        return torch.cat(branches, dim=1)


class BlockD(nn.Module):
    """To half the size: 3x3, 7x7 then 3x3, and maximum: (n, inputs, h, w) -> (n, 512 + inputs, h / 2, w / 2)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = pointwise(inputs, 192)
        self.branch3x3_2 = halving(192, 320)
        self.branch7x7x3_1 = pointwise(inputs, 192)
        self.branch7x7x3_2 = ConvNorm(192, 192, (1, 7))
        self.branch7x7x3_3 = ConvNorm(192, 192, (7, 1))
        self.branch7x7x3_4 = halving(192, 192)

    def forward(self, x: Tensor) -> Tensor:
        wide = [self.branch7x7x3_1, self.branch7x7x3_2, self.branch7x7x3_3, self.branch7x7x3_4]
        return torch.cat([chained(x, [self.branch3x3_1, self.branch3x3_2]), chained(x, wide), halved(x)], dim=1)


class BlockE(nn.Module):
    """1x1, 3x3 and twice 3x3 that end in a row beside a column, and pooling: (n, inputs, h, w) -> (n, 2048, h, w)."""

    def __init__(self, inputs: int, pool_by_maximum: bool) -> None:
        super().__init__()
        row, column = (1, 3), (3, 1)
        self.pool = largest if pool_by_maximum else averaged
        self.branch1x1 = pointwise(inputs, 320)
        self.branch3x3_1 = pointwise(inputs, 384)
        self.branch3x3_2a = ConvNorm(384, 384, row)
        self.branch3x3_2b = ConvNorm(384, 384, column)
        self.branch3x3dbl_1 = pointwise(inputs, 448)
        self.branch3x3dbl_2 = ConvNorm(448, 384, (3, 3))
        self.branch3x3dbl_3a = ConvNorm(384, 384, row)
        self.branch3x3dbl_3b = ConvNorm(384, 384, column)
        self.branch_pool = pointwise(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch3x3_1(x)
        twice = chained(x, [self.branch3x3dbl_1, self.branch3x3dbl_2])
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(self.pool(x)),
        ]
        return torch.cat(branches, dim=1)


class Inception(nn.Module):
    """Pictures (n, 3, 299, 299), about [-1, 1] -> features (n, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = halving(3, 32)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, (3, 3), bordered=False)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = pointwise(64, 80)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, (3, 3), bordered=False)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, pool_by_maximum=False)
        self.Mixed_7c = BlockE(2048, pool_by_maximum=True)
        self.fc = nn.Linear(WIDTH, CLASSES)  # in the published file; features end before it

    def forward(self, pictures: Tensor) -> Tensor:
        x = chained(pictures, [self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3])
        x = chained(halved(x), [self.Conv2d_3b_1x1, self.Conv2d_4a_3x3])
        x = chained(halved(x), [self.Mixed_5b, self.Mixed_5c, self.Mixed_5d])
        x = chained(x, [self.Mixed_6a, self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e])
        x = chained(x, [self.Mixed_7a, self.Mixed_7b, self.Mixed_7c])
        return x.mean(dim=(2, 3))
