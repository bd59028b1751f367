"""CUT's generator, which is FastCUT's and DCLGAN's too: CycleGAN's with blurs where the picture is halved and doubled.

Park et al., arXiv 2007.15651; Han et al., arXiv 2104.07689; the blurs: Zhang, arXiv 1904.11486. Tensors are named as
in github.com/taesungp/contrastive-unpaired-translation, where `--no_antialias` and `--no_antialias_up` leave the blurs
out: without both it is CycleGAN's. What tells is the kernels of the blurs, which the files hold and nothing learns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, Shapes, Understood
from ugatit_fast.architectures.cyclegan import (
    FoldedResnet,
    ResnetBlock,
    ResnetConfig,
    Tensors,
    fold_tensors,
    understood,
)
from ugatit_fast.architectures.normed import norm_of
from ugatit_fast.architectures.resnet_tensors import LAYER, ResnetTensors, is_resnet
from ugatit_fast.choices import ArchitectureName, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.graph import Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import Reference

KERNEL = ".filt"
"""How the names of the blurs' kernels end."""


@dataclass(frozen=True, kw_only=True)
class CutConfig(ResnetConfig):
    """What shapes it: as CycleGAN's, and where it blurs."""

    architecture: ClassVar[ArchitectureName] = "cut"
    blur_down: bool = True
    """A halving is a convolution and a blur; otherwise a convolution of stride 2 (`--no_antialias`)."""
    blur_up: bool = True
    """A doubling is a blur and a convolution; otherwise a transposed convolution (`--no_antialias_up`)."""

    @property
    def layers(self) -> tuple[int, int]:
        return 3 + self.blur_down, 3 + self.blur_up

    @property
    def transposed(self) -> bool:
        return not self.blur_up

    @property
    def words(self) -> str:
        blurred = {(True, True): "both ways", (True, False): "down", (False, True): "up", (False, False): "nowhere"}
        return f"{super().words}, blurred {blurred[self.blur_down, self.blur_up]}"


# The network as published -----------------------------------------------------------------------------------------


def blur(taps: list[float], gain: float) -> Tensor:
    """The kernel of a blur, its taps' outer product, which adds up to the gain: float32 (k, k)."""
    line = torch.tensor(taps)
    square = torch.outer(line, line)
    return square * (gain / square.sum())


DOWN, UP = blur([1, 2, 1], gain=1), blur([1, 3, 3, 1], gain=4)


class Downsample(nn.Module):
    """Reflected border, blur, every second pixel."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = DOWN.to(x).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=channels)


class Upsample(nn.Module):
    """Replicated border, a zero after every pixel, blur; the border is cut off again."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = UP.to(x).expand(channels, 1, 4, 4)
        wide = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(wide, kernel, stride=2, padding=2, groups=channels)[:, :, 1:-1, 1:-1]


class CutGenerator(Reference):
    """Halve, transform, double."""

    config: CutConfig

    def __init__(self, config: CutConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, config.ngf, 7, bias=config.bias)]
        layers += [norm_of(config, config.ngf), nn.ReLU()]
        for channels in config.widths[:-1]:
            stride = 1 if config.blur_down else 2
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride, padding=1, bias=config.bias))
            layers += [norm_of(config, 2 * channels), nn.ReLU()]
            layers += [Downsample()] if config.blur_down else []
        layers += [ResnetBlock(config, config.widths[-1]) for _ in range(config.n_blocks)]
        for channels in config.widths[:0:-1]:
            half = channels // 2
            if config.blur_up:
                layers += [Upsample(), nn.Conv2d(channels, half, 3, padding=1, bias=config.bias)]
            else:
                layers.append(nn.ConvTranspose2d(channels, half, 3, 2, 1, output_padding=1, bias=config.bias))
            layers += [norm_of(config, half), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(config.ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        return self.model(image)


# Folded -----------------------------------------------------------------------------------------------------------


class FoldedCut(FoldedResnet):
    """The inference graph. Rewrite 11: the published way to double is bilinear interpolation, exactly."""

    config: CutConfig

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        config, norm = self.config, self.config.normalises
        after_blocks = (0, "zero") if config.blur_up else (1, "zero")
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, StageOptions(relu=True, pad=1, pad_mode="zero", norm=norm))
        for i, down in enumerate(self.downs, start=1):
            pad_mode = "zero" if i < config.n_down else config.block_pad
            if config.blur_down:
                x = ops.stage(x, down, StageOptions(relu=True, pad=1, norm=norm))
                x = ops.halve(x, pad=1, pad_mode=pad_mode)
            else:
                x = ops.stage(x, down, StageOptions(stride=2, relu=True, pad=1, pad_mode=pad_mode, norm=norm))
        for i, (first, second) in enumerate(self.blocks, start=1):
            pad, pad_mode = after_blocks if i == len(self.blocks) else (1, config.block_pad)
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1, pad_mode=config.block_pad, norm=norm))
            x = ops.stage(hidden, second, StageOptions(pad=pad, pad_mode=pad_mode, norm=norm), residual=x)
        for i, up in enumerate(self.ups, start=1):
            last = i == config.n_down
            if config.blur_up:
                x = ops.double(x, pad=1, pad_mode="zero")
                x = ops.stage(x, up, StageOptions(relu=True, pad=3 if last else 0, norm=norm))
            else:
                pad, pad_mode = (3, "reflect") if last else (1, "zero")
                x = ops.up_stage(x, up, StageOptions(relu=True, pad=pad, pad_mode=pad_mode, norm=norm))
        return ops.to_image(x, self.out), None


# Among the architectures ------------------------------------------------------------------------------------------


class Cut(Architecture[CutConfig]):
    """Generators of residual blocks between convolutions with blurs."""

    name: ClassVar[ArchitectureName] = "cut"
    title = "CUT"
    config = CutConfig
    anchors = ("model.1.weight", "model.0.weight")

    def claims(self, shapes: Shapes) -> bool:
        return is_resnet(shapes) and blurs(shapes)

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[CutConfig]:
        downs, ups = where_blurred(path, tensors)
        learned = {name: tensor for name, tensor in tensors.items() if not name.endswith(KERNEL)}
        found = ResnetTensors.of(path, learned, transposed=not ups)
        if len({len(found.downs), len(found.ups), downs, ups} - {0}) > 1:
            raise CheckpointError(
                f"{path} has {len(found.downs)} halvings and {len(found.ups)} doublings, of which {downs} and {ups} "
                "blur; expected all or none: it is truncated, or mixed from two networks"
            )
        return understood(path, found, hints, partial(CutConfig, blur_down=downs > 0, blur_up=ups > 0))

    def configured(self, settings: Mapping[str, Any], side: int) -> CutConfig:
        return CutConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: CutConfig) -> CutGenerator:
        return CutGenerator(config)

    def fold(self, reference: Reference) -> FoldedCut:
        assert isinstance(reference, CutGenerator), "its config is of this kind"
        return FoldedCut(reference.config, fold_tensors(reference.config, reference.state_dict()))

    def folded(self, config: CutConfig, tensors: Tensors) -> FoldedCut:
        return FoldedCut(config, tensors)


def blurs(shapes: Shapes) -> bool:
    """Whether there are kernels of blurs among them."""
    return any(name.endswith(KERNEL) for name in shapes)


def where_blurred(path: Path, tensors: Tensors) -> tuple[int, int]:
    """How often pictures are blurred when they are halved, and when they are doubled; CheckpointError for blurs that
    aren't the published ones.
    """
    blocks = [int(found[1]) for name in tensors if (found := LAYER.fullmatch(name)) and found[2]]
    downs = ups = 0
    for name, kernel in tensors.items():
        if not name.endswith(KERNEL):
            continue
        found = LAYER.fullmatch(name)
        up = found is not None and int(found[1]) > max(blocks)
        expected = UP if up else DOWN
        given = kernel.float()
        if given.shape[2:] != expected.shape or not torch.allclose(given, expected.expand_as(given), atol=1e-3):
            raise CheckpointError(
                f"{path}: {name} isn't the published blur, {'[1, 3, 3, 1]' if up else '[1, 2, 1]'} both ways; no "
                "engine computes another"
            )
        downs, ups = downs + (not up), ups + up
    return downs, ups
