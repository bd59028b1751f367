"""White-box cartoonization's generator: a small U-Net without norms, and a filter that follows the photo's edges.

Wang and Yu, Learning to Cartoonize Using White-box Cartoon Representations (CVPR 2020), as it is in
github.com/SystemErrorWang/White-box-Cartoonization. Tensors have the names of that TensorFlow code, in PyTorch's
spelling. It reads and draws pictures with blue first; so does the network here, whose pictures have red first.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, InTensorFlow, Shapes, Understood
from ugatit_fast.architectures.published_options import refuse_colours
from ugatit_fast.architectures.rewrites import even_kernel
from ugatit_fast.choices import ArchitectureName, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value, doubled
from ugatit_fast.kernels.guided import guided_filter
from ugatit_fast.model import Config, Reference

SLOPE = 0.2
"""Of the ReLUs below zero."""
CONVOLUTIONS = ("Conv", *(f"Conv_{i}" for i in range(1, 10)))
"""All but those of the residual blocks, in order; the second and the fourth halve the picture."""
HALVING = ("Conv_1", "Conv_3")
MOST_CHANNELS, MOST_BLOCKS = 1024, 64
"""Far beyond any generator that was published."""
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class WhiteboxConfig(Config):
    """What shapes it; the option names of the published code."""

    architecture: ClassVar[ArchitectureName] = "whitebox"
    channel: int = 32
    """Channels after the first convolution."""
    num_blocks: int = 4
    """Residual blocks."""
    img_size: int = 256
    """Side of the square training images in pixels."""

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def by_rows(self) -> bool:
        """Rows have no filter."""
        return False

    @property
    def words(self) -> str:
        return f"channel {self.channel}, {self.num_blocks} blocks"


# The network as published -----------------------------------------------------------------------------------------


class Convolution(nn.Conv2d):
    """With TensorFlow's SAME border of zeros: of even sides, one right and below only where the stride is 2."""

    def forward(self, x: Tensor) -> Tensor:
        border = self.kernel_size[0] // 2
        before = border if self.stride[0] == 1 else 0
        return super().forward(F.pad(x, (before, border, before, border)))


class ResidualBlock(nn.Module):
    """Two convolutions and an addition, without a ReLU after it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, channels, 3)
        self.conv2 = Convolution(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(leaky(self.conv1(x)))


class WhiteboxGenerator(Reference):
    """Halve twice, transform, double twice; each size of the encoder is added to that of the decoder."""

    config: WhiteboxConfig

    def __init__(self, config: WhiteboxConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channel
        self.Conv = Convolution(3, c, 7)
        self.Conv_1 = Convolution(c, c, 3, stride=2)
        self.Conv_2 = Convolution(c, 2 * c, 3)
        self.Conv_3 = Convolution(2 * c, 2 * c, 3, stride=2)
        self.Conv_4 = Convolution(2 * c, 4 * c, 3)
        for i in range(config.num_blocks):
            self.add_module(f"block_{i}", ResidualBlock(4 * c))
        self.Conv_5 = Convolution(4 * c, 2 * c, 3)
        self.Conv_6 = Convolution(2 * c, 2 * c, 3)
        self.Conv_7 = Convolution(2 * c, c, 3)
        self.Conv_8 = Convolution(c, c, 3)
        self.Conv_9 = Convolution(c, 3, 7)

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        return guided_filter(image, self.draw(image.flip(1)).flip(1)).clamp(-1, 1)

    def draw(self, image: Tensor) -> Tensor:
        """What the filter smooths; (n, 3, h, w), both with blue first, and the result of any range."""
        full = leaky(self.Conv(image))  # (n, c, h, w)
        half = leaky(self.Conv_2(leaky(self.Conv_1(full))))  # (n, 2 c, h/2, w/2)
        x = leaky(self.Conv_4(leaky(self.Conv_3(half))))  # (n, 4 c, h/4, w/4)
        for i in range(self.config.num_blocks):
            x = self.get_submodule(f"block_{i}")(x)
        x = doubled(leaky(self.Conv_5(x)), "tensorflow") + half
        x = doubled(leaky(self.Conv_7(leaky(self.Conv_6(x)))), "tensorflow") + full
        return self.Conv_9(leaky(self.Conv_8(x)))


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


# Folded -----------------------------------------------------------------------------------------------------------


def fold_tensors(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype.

    Rewrite 20: colours in the other order are kernels in the other order, at both ends; the filter sees each by itself.
    """
    folded = {}
    for name, tensor in tensors.items():
        place, _, kind = name.rpartition(".")
        if place == CONVOLUTIONS[-1]:
            last = tensor.flip(0)
            folded[f"out.{kind}"] = row_kernels(last) if kind == "weight" else last
        elif place == CONVOLUTIONS[0]:
            folded[f"stem.{kind}"] = tensor.flip(1) if kind == "weight" else tensor
        else:
            folded[name] = even_kernel(tensor) if place in HALVING and kind == "weight" else tensor
    return folded


class FoldedWhitebox(FoldedNetwork):
    """The inference graph."""

    config: WhiteboxConfig

    def __init__(self, config: WhiteboxConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.blocks = [
            (StageWeights(tensors, f"block_{i}.conv1"), StageWeights(tensors, f"block_{i}.conv2"))
            for i in range(config.num_blocks)
        ]
        self.stages = [StageWeights(tensors, place) for place in CONVOLUTIONS[1:-1]]
        self.stem = StageWeights(tensors, "stem")
        self.out = ConvolutionWeights(tensors, "out")
        # PyTorch finds buffers in modules, not in lists: each under its flat name.
        for stage in self.stages:
            self.add_module(stage.prefix, stage)
        for i, (first, second) in enumerate(self.blocks):
            self.add_module(f"block_{i}", nn.ModuleDict({"conv1": first, "conv2": second}))

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of half the sides there are as many as of a quarter, too; no norm asks."""
        return tuple(self.config.channel << i for i in range(3))

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        def stage(x: Value, weights: StageWeights, pad: int = 1, stride: int = 1) -> Value:
            options = StageOptions(stride=stride, norm=False, relu=True, slope=SLOPE, pad=pad, pad_mode="zero")
            return ops.stage(x, weights, options)

        down, wider, down_again, widest, narrower, joined, narrow, last = self.stages
        full = stage(ops.normalise(image, pad=3, pad_mode="zero"), self.stem)
        half = stage(stage(full, down, stride=2), wider)
        x = stage(stage(half, down_again, stride=2), widest)
        for first, second in self.blocks:
            options = StageOptions(norm=False, pad=1, pad_mode="zero")
            x = ops.stage(stage(x, first), second, options, residual=x)
        x = ops.double(stage(x, narrower, pad=0), pad=1, pad_mode="zero", grid="tensorflow", residual=half)
        x = stage(stage(x, joined), narrow, pad=0)
        x = ops.double(x, pad=1, pad_mode="zero", grid="tensorflow", residual=full)
        return ops.to_guided_image(stage(x, last, pad=3), self.out, image), None


# Among the architectures ------------------------------------------------------------------------------------------


def blocks_in(names: Collection[str], separator: str) -> int:
    """Residual blocks of which there is something. separator: between a module and what is in it."""
    return len({name.partition(separator)[0] for name in names if re.match(rf"block_\d+{re.escape(separator)}", name)})


def variable_names(found: Collection[str]) -> dict[str, str]:
    """Tensor -> what the TensorFlow code calls it, within `generator`, of as many blocks as were found."""
    blocks = [f"block_{i}.conv{nth}" for i in range(blocks_in(found, "/")) for nth in (1, 2)]
    kinds = {"weight": "weights", "bias": "biases"}
    return {
        f"{module}.{ours}": f"{module.replace('.', '/')}/{theirs}"
        for module in (*CONVOLUTIONS, *blocks)
        for ours, theirs in kinds.items()
    }


class Whitebox(Architecture[WhiteboxConfig]):
    """Photos to cartoons."""

    name: ClassVar[ArchitectureName] = "whitebox"
    title = "White-box Cartoonization"
    config = WhiteboxConfig
    anchors = ("block_0.conv1.weight",)
    tensorflow = InTensorFlow(scope="generator", anchor="block_0/conv1/weights", variables=variable_names)

    def claims(self, shapes: Shapes) -> bool:
        return any(name in shapes for name in ("Conv.weight", "Conv_9.weight"))

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[WhiteboxConfig]:
        return replace(self.understand_variables(path, tensors, hints), notes=(DRAWN_AS,))

    def understand_variables(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[WhiteboxConfig]:
        first, last = (tensors.get(f"{place}.weight") for place in (CONVOLUTIONS[0], CONVOLUTIONS[-1]))
        if first is None or last is None or first.dim() != 4:
            raise CheckpointError(f"{path} has no Conv.weight or no Conv_9.weight: it is half a generator")
        refuse_colours(path, first.shape[1], len(last))
        config = WhiteboxConfig(channel=len(first), num_blocks=blocks_in(tensors, "."))
        if not (1 <= config.channel <= MOST_CHANNELS and config.num_blocks <= MOST_BLOCKS):
            raise CheckpointError(
                f"{path} has {config.channel} channels and {config.num_blocks} blocks; expected at most "
                f"{MOST_CHANNELS} and {MOST_BLOCKS}: it is another network, or damaged"
            )
        return Understood(config=config, tensors=tensors)

    def configured(self, settings: Mapping[str, Any], side: int) -> WhiteboxConfig:
        return WhiteboxConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: WhiteboxConfig) -> WhiteboxGenerator:
        return WhiteboxGenerator(config)

    def fold(self, reference: Reference) -> FoldedWhitebox:
        assert isinstance(reference, WhiteboxGenerator), "its config is of this kind"
        return FoldedWhitebox(reference.config, fold_tensors(reference.state_dict()))

    def folded(self, config: WhiteboxConfig, tensors: Tensors) -> FoldedWhitebox:
        return FoldedWhitebox(config, tensors)


DRAWN_AS = (
    "drawn as the TensorFlow code draws that such weights are from; the port in PyTorch has other borders and doubles "
    "otherwise"
)
