"""DRIT's and DRIT++'s generator: the content of a picture, drawn in the style of the other domain.

Lee et al., arXiv 1808.00948 and 1905.01270, with the tensors' names of github.com/HsinYingLee/DRIT. There are two: with
`--concat 1`, its default, a style is constant channels beside the decoder's activations; with `--concat 0` an MLP makes
of it what every block of the decoder mixes in. Content noise is the training's alone. Folds are in `drit`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.choices import ArchitectureName, drawn_style
from ugatit_fast.model import EPS, Config, Reference

HALVINGS, OWN_BLOCKS, STYLED_BLOCKS = 2, 3, {True: 3, False: 4}
"""Of a content encoder: halvings, blocks of its own domain; of a decoder, blocks that a style comes before or into."""
SLOPE, STYLE_SLOPE = 0.01, 0.2
"""Of the first ReLU below zero; of those in the style encoder of `--concat 1`."""


@dataclass(frozen=True, kw_only=True)
class DritConfig(Config):
    """What shapes it; the option names of the published code where it has them."""

    architecture: ClassVar[ArchitectureName] = "drit"
    concat: bool = True
    """Whether a style goes beside the decoder's activations, or into its blocks."""
    dim: int = 64
    """Channels after the first convolution."""
    style_dim: int = 8
    """Numbers in a style."""
    img_size: int = 216
    """Side of the square training images in pixels, as far as it is known: cut out of 256."""

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def style_length(self) -> int:
        return self.style_dim

    @property
    def words(self) -> str:
        return f"concat {int(self.concat)}, dim {self.dim}, styles of {self.style_dim} numbers"

    @property
    def widths(self) -> tuple[int, int, int]:
        """Channels at each resolution, the picture's first."""
        return self.dim, 2 * self.dim, 4 * self.dim

    @property
    def decoder_widths(self) -> tuple[int, int, int]:
        """What the decoder makes at each resolution, where that isn't the same."""
        numbers = self.style_dim if self.concat else 0
        return self.dim + numbers, 2 * self.dim + numbers, 4 * self.dim + numbers


# The network as published -----------------------------------------------------------------------------------------


class Layers(nn.Module):
    """Some, one after the other, under the name that the published blocks have them by."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class LayerNorm(nn.Module):
    """Over channels and pixels of a picture, scaled and shifted per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, 1, self.weight.flatten(), self.bias.flatten(), EPS)  # of one group, for any size


def bordered(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """A reflected border and a convolution."""
    return [nn.ReflectionPad2d((kernel - 1) // 2), nn.Conv2d(inputs, outputs, kernel, stride)]


class ResBlock(Layers):
    """Two convolutions and an addition; no ReLU after it."""

    def __init__(self, channels: int) -> None:
        first, second = bordered(channels, channels), bordered(channels, channels)
        norms = nn.InstanceNorm2d(channels), nn.InstanceNorm2d(channels)
        super().__init__(*first, norms[0], nn.ReLU(), *second, norms[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.model(x)


def doubling(inputs: int, outputs: int) -> Layers:
    """(n, inputs, h, w) -> (n, outputs, 2 h, 2 w)"""
    transposed = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
    return Layers(transposed, LayerNorm(outputs), nn.ReLU())


class ContentEncoder(nn.Module):
    """Picture (n, 3, h, w) -> content (n, 4 dim, h / 4, w / 4). The last block is that of both domains."""

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        *narrow, wide = config.widths
        halvings = [Layers(*bordered(c, 2 * c, 3, 2), nn.InstanceNorm2d(2 * c), nn.ReLU()) for c in narrow]
        first = Layers(*bordered(3, config.dim, 7), nn.LeakyReLU(SLOPE))
        self.convA = nn.Sequential(first, *halvings, *(ResBlock(wide) for _ in range(OWN_BLOCKS)))
        self.conv_share = nn.Sequential(ResBlock(wide))

    def forward(self, image: Tensor) -> Tensor:
        return self.conv_share(self.convA(image))


def beside(x: Tensor, numbers: Tensor) -> Tensor:
    """x (n, c, h, w) with numbers (n or 1, k) as constant channels after its own."""
    return torch.cat([x, numbers[:, :, None, None].expand(len(x), -1, *x.shape[2:])], dim=1)


class JoiningDecoder(nn.Module):
    """Content and style -> picture in [-1, 1] (`--concat 1`)."""

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        numbers, (full, half, quarter) = config.style_dim, config.decoder_widths
        self.dec_share = nn.Sequential(ResBlock(config.widths[2]))
        self.decB1 = nn.Sequential(*(ResBlock(quarter) for _ in range(STYLED_BLOCKS[True])))
        self.decB2 = nn.Sequential(doubling(quarter + numbers, half))
        self.decB3 = nn.Sequential(doubling(half + numbers, full))
        self.decB4 = nn.Sequential(nn.ConvTranspose2d(full + numbers, 3, 1), nn.Tanh())

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        x = self.dec_share(content)
        for part in (self.decB1, self.decB2, self.decB3, self.decB4):
            x = part(beside(x, style))
        return x


class MixingBlock(nn.Module):
    """A residual block that mixes numbers in, as many as it has channels, after each convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Sequential(nn.Sequential(*bordered(channels, channels)), nn.InstanceNorm2d(channels)) for _ in range(2)
        )
        wide = 2 * channels
        self.blk1, self.blk2 = (
            nn.Sequential(nn.Conv2d(wide, wide, 1), nn.ReLU(), nn.Conv2d(wide, channels, 1), nn.ReLU())
            for _ in range(2)
        )

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        hidden = self.blk1(beside(self.conv1(x), numbers))
        return x + self.blk2(beside(self.conv2(hidden), numbers))


class MixingDecoder(nn.Module):
    """Content and style -> picture in [-1, 1] (`--concat 0`)."""

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        full, half, wide = config.widths
        self.decB1, self.decB2, self.decB3, self.decB4 = (MixingBlock(wide) for _ in range(STYLED_BLOCKS[False]))
        last = nn.ConvTranspose2d(full, 3, 1)
        self.decB5 = nn.Sequential(doubling(wide, half), doubling(half, full), last, nn.Tanh())
        hidden = nn.Linear(config.style_dim, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()
        self.mlpB = nn.Sequential(*hidden, nn.Linear(wide, STYLED_BLOCKS[False] * wide))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        x, each = content, self.mlpB(style).chunk(STYLED_BLOCKS[False], dim=1)
        for block, numbers in zip((self.decB1, self.decB2, self.decB3, self.decB4), each, strict=True):
            x = block(x, numbers)
        return self.decB5(x)


class PlainStyleEncoder(nn.Module):
    """Picture of the target domain (n, 3, h, w) -> its style (n, style_dim) (`--concat 0`)."""

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        dim, widths = config.dim, [config.dim << min(i, 2) for i in range(5)]
        layers = [*bordered(3, dim, 7), nn.ReLU()]
        for inputs, outputs in pairwise(widths):
            layers += [*bordered(inputs, outputs, 4, 2), nn.ReLU()]
        self.model_b = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(4 * dim, config.style_dim, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return self.model_b(picture).flatten(1)


class HalvingBlock(nn.Module):
    """A residual block with its activations first, whose ends are means of four pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        pooled = nn.Sequential(*bordered(inputs, outputs), nn.AvgPool2d(2))
        first = nn.LeakyReLU(STYLE_SLOPE), *bordered(inputs, inputs)
        self.conv = nn.Sequential(*first, nn.LeakyReLU(STYLE_SLOPE), pooled)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.shortcut(x)


class ResidualStyleEncoder(nn.Module):
    """The same (`--concat 1`): the mean of the normal distribution of styles that the training saw in a picture."""

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        dim = config.dim
        blocks = [HalvingBlock(i * dim, (i + 1) * dim) for i in range(1, 4)]
        ends = nn.LeakyReLU(STYLE_SLOPE), nn.AdaptiveAvgPool2d(1)
        self.conv_B = nn.Sequential(*bordered(3, dim, 4, 2), *blocks, *ends)
        self.fc_B = nn.Sequential(nn.Linear(4 * dim, config.style_dim))

    def forward(self, picture: Tensor) -> Tensor:
        return self.fc_B(self.conv_B(picture).flatten(1))


class DritGenerator(Reference):
    """One direction: what the source domain's encoder sees, drawn by the target domain's decoder in a style. Names are
    those of A to B, whichever it is.
    """

    config: DritConfig

    def __init__(self, config: DritConfig) -> None:
        super().__init__()
        self.config = config
        self.usual_style = torch.from_numpy(drawn_style(config.style_dim))
        self.enc_c = ContentEncoder(config)
        self.enc_a = ResidualStyleEncoder(config) if config.concat else PlainStyleEncoder(config)
        self.gen = JoiningDecoder(config) if config.concat else MixingDecoder(config)

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """image: float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes; style (n or 1, style_dim).

        Returns the translated image, like `image`.
        """
        return self.gen(self.enc_c(image), style)

    def pictures(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        given = self.usual_style if style is None else style
        return self(image, given.to(image)[None]), None
