"""MUNIT's generator: UNIT's, whose decoder takes a style: any of the target domain's looks.

Huang et al., arXiv 1804.04732, with the tensors' names of github.com/NVlabs/MUNIT. A style is a vector, drawn at random
or seen in a picture of the target domain by the style encoder; an MLP makes of it the scale and shift of every instance
norm in the decoder (AdaIN). Content encoder and everything around the styles are in `unit`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Understood
from ugatit_fast.architectures.unit import (
    ContentEncoder,
    ConvBlock,
    Decoder,
    FoldedUnit,
    ResBlock,
    ResBlocks,
    Unit,
    UnitConfig,
    fold_tensors,
)
from ugatit_fast.architectures.unit_tensors import UnitTensors, anchors_of
from ugatit_fast.choices import Hints, drawn_style
from ugatit_fast.errors import CheckpointError
from ugatit_fast.folded_weights import MlpWeights, StyleEncoderWeights
from ugatit_fast.graph import Operations, Picture, Style, Value
from ugatit_fast.model import Reference

Tensors = Mapping[str, Tensor]
ENCODER = "enc_content"
MLP_LAYERS, STYLE_HALVINGS = 3, 4
"""Fixed in the published code."""
UNLESS_CHOSEN = "it draws in the style of seed 0 unless --style says another"
MOST_NUMBERS = 4096
"""In a style, and in a hidden layer of the MLP: far beyond any that was published."""


@dataclass(frozen=True, kw_only=True)
class MunitConfig(UnitConfig):
    """What shapes it; the option names of the published configurations where they have them."""

    architecture = "munit"
    style_dim: int = 8
    """Numbers in a style."""
    mlp_dim: int = 256
    """Of the MLP's hidden layers."""

    @property
    def style_length(self) -> int:
        return self.style_dim

    @property
    def words(self) -> str:
        return f"{super().words}, styles of {self.style_dim} numbers"


# The network as published -----------------------------------------------------------------------------------------


class AdaptiveBlocks(ResBlocks):
    """Residual blocks whose instance norms are scaled and shifted by numbers that are given."""

    def styled(self, x: Tensor, numbers: Tensor) -> Tensor:
        """numbers (n or 1, 4 count c): of each norm in turn its shifts, then its scales."""
        each = iter(torch.split(numbers[:, :, None, None], x.shape[1], dim=1))
        for block in self.model:
            assert isinstance(block, ResBlock)
            first, second = block.model
            x = x + adapted(second, adapted(first, x, each), each)
        return x


def adapted(block: nn.Module, x: Tensor, numbers: Iterator[Tensor]) -> Tensor:
    """A block with the next shift and scale (n or 1, c, 1, 1) between its norm and its activation."""
    assert isinstance(block, ConvBlock)
    shift, scale = next(numbers), next(numbers)
    result: Tensor = block.activation(block.norm(block.conv(block.pad(x))) * scale + shift)
    return result


class StyledDecoder(Decoder):
    """Content and style -> picture in [-1, 1]."""

    def styled(self, content: Tensor, numbers: Tensor) -> Tensor:
        blocks, *rest = self.model
        assert isinstance(blocks, AdaptiveBlocks)
        x = blocks.styled(content, numbers)
        for layer in rest:
            x = layer(x)
        return x


class StyleEncoder(nn.Module):
    """Picture of the target domain (n, 3, h, w) -> its style (n, style_dim). A norm would take the style off."""

    def __init__(self, config: MunitConfig) -> None:
        super().__init__()
        widths = [config.dim << min(i, 2) for i in range(STYLE_HALVINGS + 1)]
        layers: list[nn.Module] = [ConvBlock(3, config.dim, 7, norm="none")]
        for inputs, outputs in pairwise(widths):
            layers.append(ConvBlock(inputs, outputs, 4, 2, norm="none"))
        self.model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], config.style_dim, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return self.model(picture).flatten(1)


class LinearBlock(nn.Module):
    """One layer of the MLP."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.fc(x))


class Mlp(nn.Module):
    """Style -> the numbers of every norm in the decoder's blocks."""

    def __init__(self, config: MunitConfig) -> None:
        super().__init__()
        numbers = 4 * config.n_res * config.widths[-1]
        self.model = nn.Sequential(
            LinearBlock(config.style_dim, config.mlp_dim, nn.ReLU()),
            LinearBlock(config.mlp_dim, config.mlp_dim, nn.ReLU()),
            LinearBlock(config.mlp_dim, numbers, nn.Identity()),
        )

    def forward(self, style: Tensor) -> Tensor:
        return self.model(style)


class MunitGenerator(Reference):
    """One direction: what the source domain's encoder sees, drawn by the target domain's decoder in a style."""

    config: MunitConfig

    def __init__(self, config: MunitConfig) -> None:
        super().__init__()
        self.config = config
        self.usual_style = torch.from_numpy(drawn_style(config.style_dim))
        self.enc_content = ContentEncoder(config)
        self.enc_style = StyleEncoder(config)
        self.mlp = Mlp(config)
        self.dec = StyledDecoder(config, AdaptiveBlocks(config.widths[-1], config.n_res))

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """image: float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes; style (n or 1, style_dim).

        Returns the translated image, like `image`.
        """
        return self.dec.styled(self.enc_content(image), self.mlp(style))

    def pictures(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        given = self.usual_style if style is None else style
        return self(image, given.to(image)[None]), None


# Folded -----------------------------------------------------------------------------------------------------------


def fold_styles(config: MunitConfig, tensors: Tensors) -> dict[str, Tensor]:
    """The MLP, whose last layer gives of each norm the scales, then the shifts, as every verb takes them; and the style
    encoder as it is.
    """
    folded: dict[str, Tensor] = {}
    for i in range(MLP_LAYERS):
        weight, bias = (tensors[f"mlp.model.{i}.fc.{name}"] for name in ("weight", "bias"))
        if i == MLP_LAYERS - 1:
            weight, bias = (swapped(tensor, config.widths[-1]) for tensor in (weight, bias))
        folded |= {f"mlp.layer{i + 1}": weight, f"mlp.bias{i + 1}": bias}
    names = [f"enc_style.model.{i}.conv" for i in range(STYLE_HALVINGS + 1)] + [f"enc_style.model.{STYLE_HALVINGS + 2}"]
    for i, name in enumerate(names):
        folded[f"style_encoder.{i}.kernel"] = tensors[f"{name}.weight"]
        folded[f"style_encoder.{i}.bias"] = tensors[f"{name}.bias"]
    return folded


def swapped(rows: Tensor, channels: int) -> Tensor:
    """Every other run of `channels` rows before the one that it follows."""
    return rows.reshape(-1, 2, channels, *rows.shape[1:]).flip(1).reshape(rows.shape)


class FoldedMunit(FoldedUnit):
    """The inference graph."""

    config: MunitConfig

    def __init__(self, config: MunitConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors` and `fold_styles`."""
        super().__init__(config, tensors)
        self.mlp = MlpWeights(tensors, "mlp")
        layers = [StyleEncoderWeights(tensors, f"style_encoder.{i}") for i in range(STYLE_HALVINGS + 2)]
        self.style_encoder = nn.ModuleList(layers)

    def styles(self, ops: Operations[Picture, Value, Style]) -> Sequence[Style | None]:
        norms = 2 * self.config.n_res
        return [None] * norms + list(ops.given_styles(self.mlp, norms))


# Among the architectures ------------------------------------------------------------------------------------------


class Munit(Unit):
    """Generators of two domains that share contents, each with styles of its own."""

    name = "munit"
    title = "MUNIT"
    config = MunitConfig
    anchors = anchors_of(ENCODER)
    encoder = ENCODER

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[UnitConfig]:
        found = UnitTensors.of(path, tensors, self.title, self.encoder)
        first = tensors.get("mlp.model.0.fc.weight")
        if first is None or first.dim() != 2 or not 1 <= max(first.shape) <= MOST_NUMBERS:
            raise CheckpointError(f"{path} has no MLP that takes a style (mlp.model.0.fc.weight); it is truncated")
        config = MunitConfig(
            dim=found.dim,
            n_downsample=found.n_downsample,
            n_res=found.n_res,
            style_dim=first.shape[1],
            mlp_dim=first.shape[0],
        )
        return Understood(config=config, tensors=found.tensors, notes=(*found.notes, UNLESS_CHOSEN))

    def configured(self, settings: Mapping[str, Any], side: int) -> MunitConfig:
        return MunitConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: UnitConfig) -> Reference:
        assert isinstance(config, MunitConfig), "it is this architecture's"
        return MunitGenerator(config)

    def fold(self, reference: Reference) -> FoldedMunit:
        assert isinstance(reference, MunitGenerator), "its config is of this kind"
        config, tensors = reference.config, reference.state_dict()
        return FoldedMunit(config, fold_tensors(config, tensors, ENCODER) | fold_styles(config, tensors))

    def folded(self, config: UnitConfig, tensors: Tensors) -> FoldedMunit:
        assert isinstance(config, MunitConfig), "it is this architecture's"
        return FoldedMunit(config, tensors)
