"""What the tensors of a generator of residual blocks say: which layer each is of, whatever counted the layers.

The published code numbers layers (`model.10.conv_block.1.weight`), and numbers shift: dropout is a layer, a border of
zeros is none. So tensors are put in order and walked: convolutions, the norms after them, blocks.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ugatit_fast.architectures.architecture import Shapes
from ugatit_fast.architectures.published_options import STATISTICS, refuse_colours, told_norm
from ugatit_fast.choices import Hints
from ugatit_fast.errors import CheckpointError

LAYER = re.compile(r"model\.(\d+)\.(?:(?:conv_block|block)\.(\d+)\.)?(\w+)")
BLOCK_WEIGHT = re.compile(r"model\.\d+\.(conv_block|block)\.\d+\.weight")
BLOCKS = {(1, 5): "reflect", (1, 6): "reflect", (0, 3): "zero", (0, 4): "zero"}
"""Where the two convolutions of a block stand -> the border that they have; the later of each is after a dropout."""
Layer = dict[str, Tensor]
"""Its tensors, by the last part of their names."""


def is_resnet(shapes: Shapes) -> bool:
    """Whether there are blocks among numbered layers."""
    return any(BLOCK_WEIGHT.fullmatch(name) for name in shapes)


@dataclass(frozen=True)
class Stage:
    """A convolution and what normalises after it, which may have no tensors."""

    convolution: Layer
    norm: Layer = field(default_factory=dict)


@dataclass(frozen=True)
class ResnetTensors:
    """The layers of a generator, in order."""

    stem: Stage
    downs: list[Stage]
    blocks: list[tuple[Stage, Stage]]
    ups: list[Stage]
    last: Layer
    block_pad: str
    others: Layer
    """By their whole names: what belongs to no layer."""

    @classmethod
    def of(cls, path: Path, tensors: Mapping[str, Tensor], *, transposed: bool = True) -> "ResnetTensors":
        """transposed: whether transposed convolutions double.

        Raises CheckpointError where they are of a network that is nearly this, and isn't translated with.
        """
        layers: dict[int, dict[int, Layer]] = {}
        others: Layer = {}
        for name, tensor in tensors.items():
            found = LAYER.fullmatch(name)
            if found is None:
                others[name] = tensor
            else:
                layers.setdefault(int(found[1]), {}).setdefault(int(found[2] or -1), {})[found[3]] = tensor
        if 0 in layers:
            raise CheckpointError(
                f"{path} is a generator of before 2017-07-05, with borders of zeros (model.0 is a convolution), which "
                "no engine computes; train again with today's published code"
            )
        numbers = sorted(layers)
        plain = [n for n in numbers if -1 in layers[n]]
        blocks = [n for n in numbers if -1 not in layers[n]]
        if not blocks:
            raise CheckpointError(f"{path} has no whole block; it is truncated, or another network")
        before = staged([layers[n][-1] for n in plain if n < blocks[0]])
        after = staged([layers[n][-1] for n in plain if n > blocks[-1]])
        if len(before) < 2 or len(after) < 2:
            raise CheckpointError(
                f"{path} has blocks, but no convolutions around them: it is truncated, or another network"
            )
        pads = {block_pad(path, n, layers[n]) for n in blocks}
        if len(pads) > 1:
            raise CheckpointError(f"{path} has blocks with borders of both kinds; it is mixed from two networks")
        pairs = [tuple(staged([layers[n][k] for k in sorted(layers[n])])) for n in blocks]
        made = cls(
            stem=before[0],
            downs=before[1:],
            blocks=[(pair[0], pair[1]) for pair in pairs],
            ups=after[:-1],
            last=after[-1].convolution,
            block_pad=pads.pop(),
            others=others,
        )
        made.refuse_others(path)
        if transposed:
            made.refuse_resizing(path)
        return made

    @property
    def first(self) -> Layer:
        """The convolution of the picture."""
        return self.stem.convolution

    @property
    def stages(self) -> list[Stage]:
        """All but the last convolution."""
        return [self.stem, *self.downs, *(stage for pair in self.blocks for stage in pair), *self.ups]

    @property
    def affine(self) -> bool:
        return any("weight" in stage.norm for stage in self.stages)

    def refuse_others(self, path: Path) -> None:
        """Networks of the same layers that make no pictures of pictures."""
        refuse_colours(path, self.first["weight"].shape[1], self.last["weight"].shape[0])

    def refuse_resizing(self, path: Path) -> None:
        """Networks that double without a transposed convolution, and have no tensors that say how."""
        if any(up.convolution["weight"].shape[0] < up.convolution["weight"].shape[1] for up in self.ups):
            raise CheckpointError(
                f"{path} is of a fork that doubles pictures by resizing and a convolution, whose weights don't tell "
                "how; expected transposed convolutions, as published"
            )

    def norm(self, path: Path, hints: Hints) -> tuple[str, list[str]]:
        """As `told_norm`."""
        gathered = any("running_mean" in stage.norm for stage in self.stages)
        return told_norm(path, hints, affine=self.affine, gathered=gathered, biased="bias" in self.first)

    def published(self, places: Iterable[tuple[str, str, str]], last: str, *, running: bool) -> dict[str, Tensor]:
        """The tensors under the names that the published code gives them without dropout. running: with statistics."""
        named = dict(self.others)
        dropped = STATISTICS[2:] if running else STATISTICS
        for stage, (_, convolution, norm) in zip(self.stages, places, strict=True):
            named |= {f"{convolution}.{name}": tensor for name, tensor in stage.convolution.items()}
            named |= {f"{norm}.{name}": tensor for name, tensor in stage.norm.items() if name not in dropped}
        return named | {f"{last}.{name}": tensor for name, tensor in self.last.items()}


def staged(layers: list[Layer]) -> list[Stage]:
    """Convolutions, each with the norm after it; what comes before the first convolution belongs to none."""
    stages: list[Stage] = []
    for layer in layers:
        if layer.get("weight") is not None and layer["weight"].dim() == 4:
            stages.append(Stage(layer))
        elif stages:
            stages[-1].norm.update(layer)
    return stages


def block_pad(path: Path, number: int, layers: dict[int, Layer]) -> str:
    """The border in a block."""
    at = tuple(k for k in sorted(layers) if "weight" in layers[k] and layers[k]["weight"].dim() == 4)
    if at not in BLOCKS:
        raise CheckpointError(
            f"{path}: block model.{number} has convolutions at {at}; expected two, at one of "
            f"{', '.join(map(str, BLOCKS))}"
        )
    return BLOCKS[at]
