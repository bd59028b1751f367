"""pix2pix's U-Net: every resolution of the encoder is also seen by the decoder.

Isola et al., arXiv 1611.07004, with the tensors' names of github.com/junyanz/pytorch-CycleGAN-and-pix2pix, which nest a
level in the one above it. Dropout, which has no tensors and in the published test.py makes pictures random, is off.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, Shapes, Understood
from ugatit_fast.architectures.normed import NormedConfig, folded_stage, norm_of, within
from ugatit_fast.architectures.published_options import STATISTICS, RunOptions, refuse_colours, told_norm
from ugatit_fast.architectures.rewrites import transposed_phases
from ugatit_fast.choices import Hints, Sides
from ugatit_fast.errors import CheckpointError
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import Reference

Tensors = Mapping[str, Tensor]
SLOPE = 0.2
"""Of the encoder's ReLUs below zero."""
MOST_NGF, DEPTHS = 1024, range(3, 13)
"""Far beyond any generator that was published."""


@dataclass(frozen=True, kw_only=True)
class UnetConfig(NormedConfig):
    """What shapes it; the option names of the published code where it has them."""

    architecture = "unet"

    num_downs: int = 8
    """How often the picture is halved: `unet_256` does it eight times."""
    norm: str = "batch-image"
    affine: bool = True
    bias: bool = False

    @property
    def sides(self) -> Sides:
        return Sides(multiple=2**self.num_downs, smallest=2**self.num_downs)

    @property
    def by_rows(self) -> bool:
        """Most of it is weights that a few pixels meet; transformed for rows they would be sixfold."""
        return False

    @property
    def words(self) -> str:
        return f"ngf {self.ngf}, {self.num_downs} levels, norm {self.norm}"

    @property
    def widths(self) -> list[int]:
        """Channels of each level's convolution, the outermost first."""
        return [self.ngf * min(2**i, 8) for i in range(self.num_downs)]


# The network as published -----------------------------------------------------------------------------------------


class Level(nn.Module):
    """One level, and in it all those below. Its layers have the published numbers."""

    def __init__(self, config: UnetConfig, at: int) -> None:
        super().__init__()
        self.outermost, innermost = at == 0, at == config.num_downs - 1
        width = config.widths[at]
        outer = 3 if self.outermost else config.widths[at - 1]
        down = nn.Conv2d(outer, width, 4, 2, 1, bias=config.bias)
        up = nn.ConvTranspose2d(width if innermost else 2 * width, outer, 4, 2, 1, bias=config.bias or self.outermost)
        layers: list[nn.Module] = [down] if self.outermost else [nn.Identity(), down]
        layers += [] if self.outermost or innermost else [norm_of(config, width)]
        layers += [] if innermost else [Level(config, at + 1)]
        layers += [nn.ReLU(), up]
        layers += [nn.Tanh()] if self.outermost else [norm_of(config, outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The outermost gives the picture; the others what they take, rectified, beside what they make of it."""
        if self.outermost:
            return self.model(x)
        x = nn.functional.leaky_relu(x, SLOPE)
        return torch.cat([x, self.model(x)], dim=1)


class UnetGenerator(Reference):
    """The published `UnetGenerator`."""

    config: UnetConfig

    def __init__(self, config: UnetConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Level(config, 0)

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        return self.model(image)


# Folded -----------------------------------------------------------------------------------------------------------


def module_names(config: UnetConfig, at: int) -> tuple[str, str, str, str]:
    """Of a level: its convolution, the norm after that, its transposed convolution, and the norm after that.

    Where there is no norm, its name leads nowhere.
    """
    level = "model.model" + ".1.model" * min(at, 1) + ".3.model" * max(at - 1, 0)
    if at == 0:
        return f"{level}.0", "", f"{level}.3", ""
    if at == config.num_downs - 1:
        return f"{level}.1", "", f"{level}.3", f"{level}.4"
    return f"{level}.1", f"{level}.2", f"{level}.5", f"{level}.6"


def fold_tensors(generator: UnetGenerator) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in the generator's dtype."""
    config, tensors = generator.config, generator.state_dict()
    folded: dict[str, Tensor] = {
        "out.weight": torch.eye(3, dtype=tensors["model.model.3.weight"].dtype)[:, :, None, None]
    }

    def add(place: str, weight: Tensor, convolution: str, norm: str) -> None:
        bias = tensors.get(f"{convolution}.bias")
        weight, beside = folded_stage(config, weight, bias, within(tensors, norm) if norm else None)
        folded[f"{place}.weight"] = transposed_phases(weight) if place.startswith("up.") else weight
        folded.update({f"{place}.{name}": tensor for name, tensor in beside.items()})

    for at in range(config.num_downs):
        down, down_norm, up, up_norm = module_names(config, at)
        add("stem" if at == 0 else f"down.{at - 1}", tensors[f"{down}.weight"], down, down_norm)
        add(f"up.{at}", tensors[f"{up}.weight"].transpose(0, 1), up, up_norm)
    return folded


class FoldedUnet(FoldedNetwork):
    """The inference graph. The last transposed convolution makes the picture; the one after it only hands it over."""

    config: UnetConfig

    def __init__(self, config: UnetConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.stem = StageWeights(tensors, "stem")
        self.downs = [StageWeights(tensors, f"down.{i}") for i in range(config.num_downs - 1)]
        self.ups = [StageWeights(tensors, f"up.{i}") for i in range(config.num_downs)]
        # PyTorch finds buffers in modules, not in lists: each under its flat name.
        self.down, self.up = nn.ModuleList(self.downs), nn.ModuleList(self.ups)
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        return 3, *self.config.widths

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        norm = self.config.normalises
        x = ops.normalise(image, pad=1, pad_mode="zero")
        x = ops.stage(x, self.stem, StageOptions(stride=2, relu=True, slope=SLOPE, pad=1, pad_mode="zero", norm=False))
        skipped = [x]
        for down in self.downs[:-1]:
            x = ops.stage(x, down, StageOptions(stride=2, relu=True, slope=SLOPE, pad=1, pad_mode="zero", norm=norm))
            skipped.append(x)
        x = ops.stage(x, self.downs[-1], StageOptions(stride=2, relu=True, pad=1, pad_mode="zero", norm=False))
        for up in self.ups[:0:-1]:
            x = ops.up_stage(x, up, StageOptions(relu=True, pad=1, pad_mode="zero", norm=norm))
            x = ops.joined(skipped.pop(), x)
        x = ops.up_stage(x, self.ups[0], StageOptions(pad_mode="zero", norm=False))
        return ops.to_image(x, self.out), None


# Among the architectures ------------------------------------------------------------------------------------------

NESTED = re.compile(r"model\.model(?:\.1\.model(?:\.3\.model)*)?\.\d\.(\w+)")


class Unet(Architecture[UnetConfig]):
    """Nested levels, of which each halves the picture and doubles it again."""

    name = "unet"
    title = "pix2pix (U-Net)"
    config = UnetConfig
    anchors = ("model.model.0.weight",)
    about_old_files = (
        "if trained with the published code of before 2017-09-22, its levels are joined in the other order, which "
        "isn't supported and not to be told apart"
    )

    def claims(self, shapes: Shapes) -> bool:
        return any(name.startswith("model.model.1.model.") for name in shapes)

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[UnetConfig]:
        depth = max((name.count(".model.") for name in tensors if NESTED.fullmatch(name)), default=0)
        first, last = tensors["model.model.0.weight"], tensors.get("model.model.3.weight")
        if last is None or first.dim() != 4 or last.dim() != 4:
            raise CheckpointError(f"{path} has no model.model.3.weight, the last layer of a U-Net; it is truncated")
        refuse_colours(path, first.shape[1], last.shape[1])
        if not (1 <= len(first) <= MOST_NGF and depth in DEPTHS):
            raise CheckpointError(
                f"{path} has {len(first)} channels and {depth} levels; expected at most {MOST_NGF}, and {DEPTHS[0]} to "
                f"{DEPTHS[-1]}: it is another network, or damaged"
            )
        affine = any(name.endswith(".weight") and tensor.dim() == 1 for name, tensor in tensors.items())
        gathered, biased = any("running_mean" in name for name in tensors), "model.model.0.bias" in tensors
        norm, about_norm = told_norm(path, hints, affine=affine, gathered=gathered, biased=biased)
        config = UnetConfig(ngf=len(first), num_downs=depth, norm=norm, affine=affine, bias=biased)
        dropped = STATISTICS[2:] if norm == "batch-running" else STATISTICS
        options = RunOptions.beside(path)
        side = f"the file doesn't say the size of its training images: {config.img_size}x{config.img_size} unless given"
        return Understood(
            config=config,
            tensors={name: tensor for name, tensor in tensors.items() if not name.endswith(dropped)},
            notes=(*about_norm, *options.notes(), side),
            direction=options.direction,
            chosen=f"norm={norm}" if norm.startswith("batch") else "",
        )

    def configured(self, settings: Mapping[str, Any], side: int) -> UnetConfig:
        return UnetConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: UnetConfig) -> UnetGenerator:
        return UnetGenerator(config)

    def fold(self, reference: Reference) -> FoldedUnet:
        assert isinstance(reference, UnetGenerator), "its config is of this kind"
        return FoldedUnet(reference.config, fold_tensors(reference))

    def folded(self, config: UnetConfig, tensors: Tensors) -> FoldedUnet:
        return FoldedUnet(config, tensors)
