"""AnimeGANv2's generator, as github.com/bryandlee/animegan2-pytorch has it, whose names its tensors have.

Chen et al., AnimeGAN (ISICA 2019), in its second version. Its files say everything but one thing: how the picture is
doubled, which is an argument there (`align_corners`) and a third way in the TensorFlow code that some weights are from.
That code is github.com/TachibanaYoshino/AnimeGANv2; what it saved is read too, and is the third way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor, nn

from ugatit_fast.architectures.animegan2_variables import depthwise_kernel, variable_names
from ugatit_fast.architectures.architecture import Architecture, InTensorFlow, Understood
from ugatit_fast.architectures.rewrites import even_kernel
from ugatit_fast.choices import ArchitectureName, Hints, Upsampling
from ugatit_fast.fold import row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value, doubled
from ugatit_fast.model import EPS, Config, Reference

TENSORFLOW_EPS = 1e-12
"""Of the layer norm in tf.contrib, which the TensorFlow code uses."""
TENSORFLOW_SIZE = 256
"""Pixels of a side of what it trains on, unless told otherwise."""
SLOPE = 0.2
"""Of the ReLUs below zero."""
BLOCKS = 4
"""Inverted residual blocks."""
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class AnimeGan2Config(Config):
    """What shapes it: all have the same widths."""

    architecture: ClassVar[ArchitectureName] = "animegan2"
    upsample: Upsampling = "align-corners"
    """How the picture is doubled."""
    eps: float = EPS
    """Added to variances."""
    img_size: int = 512
    """Side of the square training images in pixels, as far as it is known."""

    def __post_init__(self) -> None:
        """ValueError for what is none of a field's choices."""
        if self.upsample not in get_args(Upsampling):
            raise ValueError(f"upsample {self.upsample!r}")

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def by_rows(self) -> bool:
        """7x7 convolutions of 64 channels, and those of single channels, are slower by rows: 0.75 of the speed."""
        return False

    @property
    def words(self) -> str:
        return f"doubled {self.upsample}"


# The network as published -----------------------------------------------------------------------------------------


class ConvNormLReLU(nn.Sequential):
    """Reflected border, convolution, layer norm, leaky ReLU. With a stride of 2 the border is right and below only."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, eps: float, depthwise: bool = False
    ) -> None:
        before = kernel // 2 if stride == 1 else 0
        super().__init__(
            nn.ReflectionPad2d((before, kernel // 2, before, kernel // 2)),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=inputs if depthwise else 1, bias=depthwise),
            nn.GroupNorm(1, outputs, eps),
            nn.LeakyReLU(SLOPE),
        )


class InvertedResBlock(nn.Module):
    """Wider, each channel by itself, narrower; and an addition, where the widths are equal."""

    def __init__(self, inputs: int, outputs: int, eps: float) -> None:
        super().__init__()
        self.adds, wide = inputs == outputs, 2 * inputs
        self.layers = nn.Sequential(
            ConvNormLReLU(inputs, wide, kernel=1, eps=eps),
            ConvNormLReLU(wide, wide, depthwise=True, eps=eps),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.GroupNorm(1, outputs, eps),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class AnimeGan2Generator(Reference):
    """Halve twice, transform, double twice."""

    config: AnimeGan2Config

    def __init__(self, config: AnimeGan2Config) -> None:
        super().__init__()
        self.config = config
        layer = partial(ConvNormLReLU, eps=config.eps)
        blocks = [InvertedResBlock(128 if i == 0 else 256, 256, config.eps) for i in range(BLOCKS)]
        self.block_a = nn.Sequential(layer(3, 32, kernel=7), layer(32, 64, stride=2), layer(64, 64))
        self.block_b = nn.Sequential(layer(64, 128, stride=2), layer(128, 128))
        self.block_c = nn.Sequential(layer(128, 128), *blocks, layer(256, 128))
        self.block_d = nn.Sequential(layer(128, 128), layer(128, 128))
        self.block_e = nn.Sequential(layer(128, 64), layer(64, 64), layer(64, 32, kernel=7))
        self.out_layer = nn.Sequential(nn.Conv2d(32, 3, 1, bias=False), nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        x = self.block_c(self.block_b(self.block_a(image)))
        x = self.block_d(doubled(x, self.config.upsample))
        return self.out_layer(self.block_e(doubled(x, self.config.upsample)))


# Folded -----------------------------------------------------------------------------------------------------------


def places() -> dict[str, tuple[str, str]]:
    """Place of the folded network -> convolution and norm of the published one, in order."""
    counts = {"a": 3, "b": 2, "c": 1, "d": 2, "e": 3}
    layers = {f"{block}{i}": f"block_{block}.{i}" for block, count in counts.items() for i in range(count)}
    for i in range(1, 1 + BLOCKS):
        layers |= {f"c{i}_wider": f"block_c.{i}.layers.0", f"c{i}_apart": f"block_c.{i}.layers.1"}
    layers[f"c{BLOCKS + 1}"] = f"block_c.{BLOCKS + 1}"
    found = {place: (f"{layer}.1", f"{layer}.2") for place, layer in layers.items()}
    for i in range(1, 1 + BLOCKS):
        found[f"c{i}_narrower"] = f"block_c.{i}.layers.2", f"block_c.{i}.layers.3"
    return {"stem" if place == "a0" else place: modules for place, modules in found.items()}


HALVING = ("a1", "b0")
"""Places of stride 2."""


def fold_tensors(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype. Its norm over all channels is
    a layer norm: rho 0.
    """
    folded = {"out.weight": row_kernels(tensors["out_layer.0.weight"])}
    for place, (convolution, norm) in places().items():
        weight, gamma = tensors[f"{convolution}.weight"], tensors[f"{norm}.weight"]
        folded[f"{place}.weight"] = even_kernel(weight) if place in HALVING else weight
        folded |= {f"{place}.gamma": gamma, f"{place}.beta": tensors[f"{norm}.bias"]}
        folded[f"{place}.rho"] = torch.zeros_like(gamma)
        if f"{convolution}.bias" in tensors:
            folded[f"{place}.bias"] = tensors[f"{convolution}.bias"]
    return folded


class FoldedAnimeGan2(FoldedNetwork):
    """The inference graph."""

    config: AnimeGan2Config

    def __init__(self, config: AnimeGan2Config, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.stages = {place: StageWeights(tensors, place) for place in places()}
        for place, weights in self.stages.items():
            self.add_module(place, weights)
        self.stem = self.stages["stem"]
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the quarter, the stages without a ReLU."""
        return 32, 64, 256

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        def stage(x: Value, place: str, pad: int, *, depthwise: bool = False) -> Value:
            stride = 2 if place in HALVING else 1
            options = StageOptions(
                stride=stride, depthwise=depthwise, eps=self.config.eps, relu=True, slope=SLOPE, pad=pad
            )
            return ops.stage(x, self.stages[place], options)

        x = ops.normalise(image, pad=3)
        for place, pad in {"stem": 1, "a1": 1, "a2": 1, "b0": 1, "b1": 1, "c0": 0}.items():
            x = stage(x, place, pad)
        for i in range(1, 1 + BLOCKS):
            apart = stage(stage(x, f"c{i}_wider", 1), f"c{i}_apart", 0, depthwise=True)
            narrower = self.stages[f"c{i}_narrower"]
            added, pad = (None if i == 1 else x), (1 if i == BLOCKS else 0)
            options = StageOptions(eps=self.config.eps, residual_border=0, pad=pad)
            x = ops.stage(apart, narrower, options, residual=added)
        x = stage(x, f"c{BLOCKS + 1}", 0)
        x = ops.double(x, pad=1, pad_mode="reflect", grid=self.config.upsample)
        x = stage(stage(x, "d0", 1), "d1", 0)
        x = ops.double(x, pad=1, pad_mode="reflect", grid=self.config.upsample)
        for place, pad in {"e0": 1, "e1": 3, "e2": 0}.items():
            x = stage(x, place, pad)
        return ops.to_image(x, self.out), None


# Among the architectures ------------------------------------------------------------------------------------------


class AnimeGan2(Architecture[AnimeGan2Config]):
    """Photos to the style of a film."""

    name: ClassVar[ArchitectureName] = "animegan2"
    title = "AnimeGANv2"
    config = AnimeGan2Config
    anchors = ("block_a.0.1.weight",)
    tensorflow = InTensorFlow(
        scope="generator/G_MODEL",
        anchor="A/Conv/weights",
        variables=lambda _: variable_names(BLOCKS),
        depthwise=[depthwise_kernel(i) for i in range(1, 1 + BLOCKS)],
        counts_steps=False,
    )

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[AnimeGan2Config]:
        config = AnimeGan2Config(upsample=hints.upsample or "align-corners")
        note = (f"doubled {config.upsample}, as asked for",) if hints.upsample else (UNLESS_CHOSEN,)
        return Understood(config=config, tensors=tensors, notes=note, chosen=f"upsample={config.upsample}")

    def understand_variables(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[AnimeGan2Config]:
        config = AnimeGan2Config(upsample=hints.upsample or "tensorflow", eps=TENSORFLOW_EPS, img_size=TENSORFLOW_SIZE)
        note = f"doubled {config.upsample}, as asked for" if hints.upsample else "doubled as TensorFlow 1 does"
        return Understood(config=config, tensors=tensors, notes=(note,), chosen=f"upsample={config.upsample}")

    def configured(self, settings: Mapping[str, Any], side: int) -> AnimeGan2Config:
        return AnimeGan2Config(**dict(settings) | {"img_size": side})

    def reference(self, config: AnimeGan2Config) -> AnimeGan2Generator:
        return AnimeGan2Generator(config)

    def fold(self, reference: Reference) -> FoldedAnimeGan2:
        assert isinstance(reference, AnimeGan2Generator), "its config is of this kind"
        return FoldedAnimeGan2(reference.config, fold_tensors(reference.state_dict()))

    def folded(self, config: AnimeGan2Config, tensors: Tensors) -> FoldedAnimeGan2:
        return FoldedAnimeGan2(config, tensors)


UNLESS_CHOSEN = (
    "no tensor says how it doubles: align-corners, as its torch.hub entry does; for what its test.py draws: --upsample "
    "half-pixel, for weights from TensorFlow, as paprika is: --upsample tensorflow"
)
