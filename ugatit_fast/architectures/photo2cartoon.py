"""photo2cartoon's generator: U-GAT-IT with hourglasses at either end, and norms that also take the photo's content.

Its tensors have the names of github.com/minivision-ai/photo2cartoon. An hourglass (Newell et al., arXiv 1603.06937)
sees the picture at five resolutions; its blocks normalise and activate before they convolve. A soft AdaLIN mixes gamma
and beta that the attended features make, as U-GAT-IT's do, with those that the encoder's features make.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, Understood
from ugatit_fast.architectures.ugatit import infer_style_inputs
from ugatit_fast.choices import Hints, Sides
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import merge_attention, phase_kernels, row_kernels
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, SoftStyleWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import ILN, AdaLIN, Config, Reference, ResnetBlock

LEVELS = 4
"""How often an hourglass halves the picture."""
BLOCKS = 4
"""Residual blocks in the encoder, and in the decoder."""
HOURGLASSES = 4
"""Two before the encoder, two after the decoder; the last makes the picture's colours."""
COLOURS = 3
SIDES = Sides(multiple=2**LEVELS, smallest=2 ** (LEVELS + 1))
"""At the lowest resolution a border of one pixel is reflected."""
MOST_NGF = 1024
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Photo2CartoonConfig(Config):
    """What shapes it; the option names of the published code."""

    architecture = "photo2cartoon"

    ngf: int = 32
    """Channels after the first convolution."""
    light: bool = True
    """Whether the attended features are pooled before they make gamma and beta."""
    img_size: int = 256
    """Side of the square training images in pixels. A full generator serves this size and no other."""

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def any_size(self) -> bool:
        return self.light

    @property
    def sides(self) -> Sides:
        return SIDES

    @property
    def heatmap(self) -> bool:
        return True

    @property
    def by_rows(self) -> bool:
        """Most of its convolutions have 8 to 32 channels, too few for products of pixel rows."""
        return False

    @property
    def partly_by_rows(self) -> bool:
        return True

    @property
    def words(self) -> str:
        return f"{'light' if self.light else f'full {self.img_size}x{self.img_size}'}, ngf {self.ngf}"

    @property
    def wide(self) -> int:
        """Channels of the bottleneck."""
        return 4 * self.ngf

    @property
    def style_inputs(self) -> int:
        """Of the first linear layer of the style."""
        return self.wide * (1 if self.light else (self.img_size // 4) ** 2)


# The network as published -----------------------------------------------------------------------------------------


def activated_first(inputs: int, outputs: int) -> nn.Sequential:
    """Instance norm, ReLU, border, convolution."""
    return nn.Sequential(
        nn.InstanceNorm2d(inputs), nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3, bias=False)
    )


class ConvBlock(nn.Module):
    """Three convolutions one after the other, whose results lie side by side in what is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.ConvBlock1 = activated_first(channels, half)
        self.ConvBlock2 = activated_first(half, quarter)
        self.ConvBlock3 = activated_first(quarter, quarter)

    def forward(self, x: Tensor) -> Tensor:
        first = self.ConvBlock1(x)
        second = self.ConvBlock2(first)
        return x + torch.cat([first, second, self.ConvBlock3(second)], dim=1)


class HourGlassBlock(nn.Module):
    """Down by four levels, and up again, with what each had."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in hourglass_blocks().values():
            self.add_module(name, ConvBlock(channels))

    def forward(self, x: Tensor) -> Tensor:
        block = {place: self.get_submodule(name) for place, name in hourglass_blocks().items()}
        skipped = []
        for i in range(LEVELS):
            skipped.append(block[f"skip{i}"](x))
            x = block[f"down{i}"](F.avg_pool2d(x, 2))
        x = block["centre"](x)
        for i in reversed(range(LEVELS)):
            x = skipped[i] + F.interpolate(block[f"up{i}"](x), scale_factor=2, mode="nearest")
        return x


class HourGlass(nn.Module):
    """An hourglass, and what it adds to its input; the last makes colours instead."""

    def __init__(self, channels: int, *, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.HG = nn.Sequential(
            HourGlassBlock(channels),
            ConvBlock(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
        )
        self.Conv1 = nn.Conv2d(channels, COLOURS, 1)
        if not last:
            self.Conv2 = nn.Conv2d(channels, channels, 1)
            self.Conv3 = nn.Conv2d(COLOURS, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.HG(x)
        colours = self.Conv1(features)
        return colours if self.last else x + self.Conv2(features) + self.Conv3(colours)


class SoftAdaLIN(nn.Module):
    """AdaLIN whose gamma and beta are a mixture, channel by channel, of the style's and the content's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AdaLIN(channels)
        for name in ("gamma", "beta"):
            self.register_parameter(f"w_{name}", nn.Parameter(torch.zeros(1, channels)))
            hidden = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))
            self.add_module(f"c_{name}", hidden)
            self.add_module(f"s_{name}", nn.Linear(channels, channels))

    def mixed(self, name: str, content: Tensor, style: Tensor) -> Tensor:
        weight = self.get_parameter(f"w_{name}")
        by_style, by_content = self.get_submodule(f"s_{name}")(style), self.get_submodule(f"c_{name}")(content)
        return (1 - weight) * by_style + weight * by_content

    def forward(self, x: Tensor, content: Tensor, style: Tensor) -> Tensor:
        """x (n, c, h, w); content, style (n, c)."""
        return self.norm(x, self.mixed("gamma", content, style), self.mixed("beta", content, style))


class ResnetSoftAdaLINBlock(nn.Module):
    """Residual block of the decoder; each norm has a gamma and beta of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm1 = SoftAdaLIN(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm2 = SoftAdaLIN(channels)

    def forward(self, x: Tensor, content: Tensor, style: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.conv1(self.pad(x)), content, style))
        return x + self.norm2(self.conv2(self.pad(hidden)), content, style)


def halving(inputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, 2 * inputs, 3, stride=2, bias=False)
    return nn.Sequential(nn.ReflectionPad2d(1), convolution, nn.InstanceNorm2d(2 * inputs), nn.ReLU())


def doubling(inputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, inputs // 2, 3, bias=False)
    twice = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(twice, nn.ReflectionPad2d(1), convolution, ILN(inputs // 2), nn.ReLU())


class Photo2CartoonGenerator(Reference):
    """The published `ResnetGenerator`, without what its training alone looks at."""

    config: Photo2CartoonConfig

    def __init__(self, config: Photo2CartoonConfig) -> None:
        super().__init__()
        self.config = config
        ngf, wide = config.ngf, config.wide
        stem = nn.Conv2d(COLOURS, ngf, 7, bias=False)
        self.ConvBlock1 = nn.Sequential(nn.ReflectionPad2d(3), stem, nn.InstanceNorm2d(ngf), nn.ReLU())
        self.HourGlass1, self.HourGlass2 = HourGlass(ngf), HourGlass(ngf)
        self.DownBlock1, self.DownBlock2 = halving(ngf), halving(2 * ngf)
        for i in range(BLOCKS):
            self.add_module(f"EncodeBlock{i + 1}", ResnetBlock(wide, bias=False, affine=False))
        self.gap_fc, self.gmp_fc = nn.Linear(wide, 1), nn.Linear(wide, 1)
        self.conv1x1 = nn.Conv2d(2 * wide, wide, 1)
        self.FC = nn.Sequential(nn.Linear(config.style_inputs, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU())
        for i in range(BLOCKS):
            self.add_module(f"DecodeBlock{i + 1}", ResnetSoftAdaLINBlock(wide))
        self.UpBlock1, self.UpBlock2 = doubling(wide), doubling(2 * ngf)
        self.HourGlass3, self.HourGlass4 = HourGlass(ngf), HourGlass(ngf, last=True)
        last = nn.Conv2d(COLOURS, COLOURS, 7, bias=False)
        self.ConvBlock2 = nn.Sequential(nn.ReflectionPad2d(3), last, nn.Tanh())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike, and the
        heat map (n, h / 4, w / 4).
        """
        x = self.HourGlass2(self.HourGlass1(self.ConvBlock1(image)))
        x = self.DownBlock2(self.DownBlock1(x))
        contents = []
        for i in range(BLOCKS):
            x = self.get_submodule(f"EncodeBlock{i + 1}")(x)
            contents.append(x.mean(dim=(2, 3)))
        x = self.attend(x)
        heatmap = x.sum(dim=1)
        style = self.FC(x.mean(dim=(2, 3)) if self.config.light else x.flatten(1))
        for i in range(BLOCKS):
            x = self.get_submodule(f"DecodeBlock{i + 1}")(x, contents.pop(), style)
        x = self.UpBlock2(self.UpBlock1(x))
        return self.ConvBlock2(self.HourGlass4(self.HourGlass3(x))), heatmap

    def attend(self, x: Tensor) -> Tensor:
        """Class activation map, as U-GAT-IT's."""
        weighted = [x * linear.weight[0][:, None, None] for linear in (self.gap_fc, self.gmp_fc)]
        return torch.relu(self.conv1x1(torch.cat(weighted, dim=1)))

    def pictures(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        translated, heatmap = self(image)
        return translated, heatmap


# Folded -----------------------------------------------------------------------------------------------------------


def hourglass_blocks() -> dict[str, str]:
    """Place within an hourglass -> block of the published one, in order; level 0 is the picture's own size."""
    blocks = {f"skip{i}": f"ConvBlock{i + 1}_1" for i in range(LEVELS)}
    blocks |= {f"down{i}": f"ConvBlock{i + 1}_2" for i in range(LEVELS)}
    blocks["centre"] = f"ConvBlock{LEVELS + 1}"
    return blocks | {f"up{i}": f"ConvBlock{2 * LEVELS + 1 - i}" for i in range(LEVELS)}


def merged_colours(features: Tensor, to_colours: Tensor, from_colours: Tensor) -> Tensor:
    """Rewrite 21: what an hourglass adds, Conv2 x + Conv3 (Conv1 x) = one 1x1 convolution of x.

    features (c, c, 1, 1), to_colours (3, c, 1, 1), from_colours (c, 3, 1, 1). Returns (c, c, 1, 1). The biases are one
    number a channel. Rewrite 22: an hourglass hands such numbers on as such, since its blocks add what they make of
    their input normalised, and means and copies of equal numbers are equal; the next convolution before an instance
    norm takes them away.
    """
    return features + torch.einsum("kthw,tchw->kchw", from_colours, to_colours)


def soft_head(tensors: Tensors, norm: str, name: str) -> dict[str, Tensor]:
    """Rewrite 24: the shares of style and content are weights: w and 1 - w go into the linear layers before them.

    norm: a SoftAdaLIN; name: gamma or beta. Returns rows of `SoftStyleWeights`, by the last part of their names.
    """
    share = tensors[f"{norm}.w_{name}"][0]
    style, content = f"{norm}.s_{name}", f"{norm}.c_{name}"
    return {
        "heads": (1 - share)[:, None] * tensors[f"{style}.weight"],
        "bias3": (1 - share) * tensors[f"{style}.bias"] + share * tensors[f"{content}.2.bias"],
        "content_first": tensors[f"{content}.0.weight"],
        "content_bias": tensors[f"{content}.0.bias"],
        "content_second": (share[:, None] * tensors[f"{content}.2.weight"])[None],
    }


def soft_style(tensors: Tensors) -> dict[str, Tensor]:
    """The linear layers that make all gammas and betas, each norm's own one after the other.

    Rewrite 23: the content that these take is the mean of the encoder's features before its residual blocks, which end
    in an instance norm and so leave means as they are.
    """
    norms = [f"DecodeBlock{i + 1}.norm{j + 1}" for i in range(BLOCKS) for j in range(2)]
    heads = [soft_head(tensors, norm, name) for norm in norms for name in ("gamma", "beta")]
    hidden = {
        "first": tensors["FC.0.weight"],
        "bias1": tensors["FC.0.bias"],
        "second": tensors["FC.2.weight"],
        "bias2": tensors["FC.2.bias"],
    }
    return hidden | {name: torch.cat([head[name] for head in heads]) for name in heads[0]}


def hourglass_tensors(tensors: Tensors, at: int) -> dict[str, Tensor]:
    """Those of one hourglass, by their places; the last's bias stays, since a reflected border and the last convolution
    see it.
    """
    published, place = f"HourGlass{at + 1}", f"hourglass{at}"
    blocks = {name: f"HG.0.{block}" for name, block in hourglass_blocks().items()} | {"after": "HG.1"}
    folded = {
        f"{place}_{name}_{i}.weight": tensors[f"{published}.{block}.ConvBlock{i + 1}.3.weight"]
        for name, block in blocks.items()
        for i in range(3)
    }
    folded[f"{place}_features.weight"] = tensors[f"{published}.HG.2.weight"]
    if at == HOURGLASSES - 1:
        return folded | {f"{place}_added.{name}": tensors[f"{published}.Conv1.{name}"] for name in ("weight", "bias")}
    ends = (tensors[f"{published}.Conv{i}.weight"] for i in (2, 1, 3))
    return folded | {f"{place}_added.weight": merged_colours(*ends)}


def fold_tensors(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype."""
    folded = {"stem.weight": tensors["ConvBlock1.1.weight"]}
    for at in range(HOURGLASSES):
        folded |= hourglass_tensors(tensors, at)
    for i in range(2):
        folded[f"down{i}.weight"] = tensors[f"DownBlock{i + 1}.1.weight"]
        folded[f"up{i}.weight"] = phase_kernels(tensors[f"UpBlock{i + 1}.2.weight"])
        folded |= {f"up{i}.{name}": tensors[f"UpBlock{i + 1}.3.{name}"].flatten() for name in ("gamma", "beta", "rho")}
    for i in range(BLOCKS):
        for j, layer in enumerate((1, 5)):
            folded[f"encoder{i}_{j}.weight"] = tensors[f"EncodeBlock{i + 1}.conv_block.{layer}.weight"]
            folded[f"decoder{i}_{j}.weight"] = tensors[f"DecodeBlock{i + 1}.conv{j + 1}.weight"]
            folded[f"decoder{i}_{j}.rho"] = tensors[f"DecodeBlock{i + 1}.norm{j + 1}.norm.rho"].flatten()
    by_class = (tensors[f"{name}.weight"] for name in ("conv1x1", "gap_fc", "gmp_fc"))
    folded |= {"attention.weight": merge_attention(*by_class), "attention.bias": tensors["conv1x1.bias"]}
    folded |= {f"style.{name}": tensor for name, tensor in soft_style(tensors).items()}
    return folded | {"out.weight": row_kernels(tensors["ConvBlock2.1.weight"])}


class FoldedPhoto2Cartoon(FoldedNetwork):
    """The inference graph."""

    config: Photo2CartoonConfig

    def __init__(self, config: Photo2CartoonConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.stages = {place: StageWeights(tensors, place) for place in places()}
        for place, weights in self.stages.items():
            self.add_module(place, weights)
        self.stem = self.stages["stem"]
        self.attention = AttentionWeights(tensors, "attention")
        self.style = SoftStyleWeights(tensors, "style")
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        """Without the hourglasses', which have as many channels at every resolution."""
        return self.config.ngf, 2 * self.config.ngf, self.config.wide

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        stages = self.stages
        x = ops.stage(ops.normalise(image, pad=3), self.stem, StageOptions(relu=True))
        x = self.hourglass(ops, x, 0, residual=x)
        x = self.hourglass(ops, x, 1, residual=x, pad=1)
        x = ops.stage(x, stages["down0"], StageOptions(stride=2, relu=True, pad=1))
        x = content = ops.stage(x, stages["down1"], StageOptions(stride=2, relu=True, pad=1))
        for i in range(BLOCKS):
            hidden = ops.stage(x, stages[f"encoder{i}_0"], StageOptions(relu=True, pad=1))
            pad = 0 if i == BLOCKS - 1 else 1
            x = ops.stage(hidden, stages[f"encoder{i}_1"], StageOptions(pad=pad), residual=x)

        x = ops.attend(x, self.attention, pad_mode="reflect")
        heatmap = ops.heatmap(x, self.attention)
        styles = iter(ops.soft_styles(x, content, self.style))
        for i in range(BLOCKS):
            first = StageOptions(unbiased=True, relu=True, pad=1)
            hidden = ops.stage(x, stages[f"decoder{i}_0"], first, style=next(styles))
            second = StageOptions(unbiased=True, pad=1, pad_mode="replicate" if i == BLOCKS - 1 else "reflect")
            x = ops.stage(hidden, stages[f"decoder{i}_1"], second, style=next(styles), residual=x)
        x = ops.up_stage(x, stages["up0"], StageOptions(relu=True, unbiased=True, pad=1, pad_mode="replicate"))
        x = ops.up_stage(x, stages["up1"], StageOptions(relu=True, unbiased=True))
        x = self.hourglass(ops, x, 2, residual=x)
        return ops.to_image(self.hourglass(ops, x, 3, pad=3), self.out), heatmap

    def hourglass(
        self,
        ops: Operations[Picture, Value, Style],
        x: Value,
        at: int,
        *,
        residual: Value | None = None,
        pad: int = 0,
    ) -> Value:
        """x has no border; `pad` is the result's."""
        place, skipped = f"hourglass{at}", []
        for i in range(LEVELS):
            skipped.append(self.block(ops, x, f"{place}_skip{i}"))
            x = self.block(ops, ops.pooled(x), f"{place}_down{i}")
        x = self.block(ops, x, f"{place}_centre")
        for i in reversed(range(LEVELS)):
            x = ops.doubled_onto(self.block(ops, x, f"{place}_up{i}"), skipped.pop())
        x = self.block(ops, x, f"{place}_after")
        x = ops.stage(x, self.stages[f"{place}_features"], StageOptions(relu=True))
        ending = StageOptions(norm=False, residual_border=0, pad=pad)
        return ops.stage(x, self.stages[f"{place}_added"], ending, residual=residual)

    def block(self, ops: Operations[Picture, Value, Style], x: Value, place: str) -> Value:
        made, parts = x, []
        for i in range(3):
            made = ops.preactivated(made, self.stages[f"{place}_{i}"])
            parts.append(made)
        return ops.joined_onto(x, parts)


def places() -> Sequence[str]:
    """Of the stages."""
    ends = [f"{part}{i}" for part in ("down", "up") for i in range(2)]
    blocks = [f"{part}{i}_{j}" for part in ("encoder", "decoder") for i in range(BLOCKS) for j in range(2)]
    hourglass = [f"{name}_{i}" for name in [*hourglass_blocks(), "after"] for i in range(3)]
    hourglass += ["features", "added"]
    return ["stem", *ends, *blocks, *(f"hourglass{at}_{name}" for at in range(HOURGLASSES) for name in hourglass)]


# Among the architectures ------------------------------------------------------------------------------------------

FIRST_TENSORS = ("ConvBlock1.1.weight", "FC.0.weight")
UNUSED = ".ConvBlock4.2.weight"
"""Of each block, a convolution for inputs of other widths than its results, which there are none of."""
ABOUT_MASKS = (
    "trained on faces cut out on white: give it such (what is transparent in a PNG becomes white), or use --crop face"
)


class Photo2Cartoon(Architecture[Photo2CartoonConfig]):
    """Photos of faces to cartoons."""

    name = "photo2cartoon"
    title = "photo2cartoon"
    config = Photo2CartoonConfig
    anchors = ("HourGlass1.HG.0.ConvBlock1_1.ConvBlock1.3.weight",)

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[Photo2CartoonConfig]:
        missing = [name for name in FIRST_TENSORS if name not in tensors or tensors[name].dim() < 2]
        if missing:
            raise CheckpointError(f"{path} has no {missing[0]}, as every photo2cartoon generator; it is truncated")
        ngf = len(tensors["ConvBlock1.1.weight"])
        if ngf % 4 or not 4 <= ngf <= MOST_NGF:
            raise CheckpointError(
                f"{path} has {ngf} channels; expected a multiple of 4, at most {MOST_NGF}: it isn't a photo2cartoon "
                "generator, or it is damaged"
            )
        light, side = infer_style_inputs(path, "FC.0.weight", tensors["FC.0.weight"].shape[1], ngf)
        if reason := SIDES.refusal(side, side):
            raise CheckpointError(f"{path}: FC.0.weight is of a full generator of {side}x{side} images, but {reason}")
        size = f"a light generator doesn't say the size of its training images: {side}x{side} unless given"
        return Understood(
            config=Photo2CartoonConfig(ngf=ngf, light=light, img_size=side),
            tensors={name: tensor for name, tensor in tensors.items() if not name.endswith(UNUSED)},
            notes=(*([size] if light else []), ABOUT_MASKS),
        )

    def configured(self, settings: Mapping[str, Any], side: int) -> Photo2CartoonConfig:
        return Photo2CartoonConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: Photo2CartoonConfig) -> Photo2CartoonGenerator:
        return Photo2CartoonGenerator(config)

    def fold(self, reference: Reference) -> FoldedPhoto2Cartoon:
        assert isinstance(reference, Photo2CartoonGenerator), "its config is of this kind"
        return FoldedPhoto2Cartoon(reference.config, fold_tensors(reference.state_dict()))

    def folded(self, config: Photo2CartoonConfig, tensors: Tensors) -> FoldedPhoto2Cartoon:
        return FoldedPhoto2Cartoon(config, tensors)
