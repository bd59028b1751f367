"""UNIT's generator: the content encoder of one domain and the decoder of the other.

Liu et al., arXiv 1703.00848, with the tensors' names of github.com/mingyuliutw/UNIT and github.com/NVlabs/MUNIT, whose
networks are the same. A file holds both domains, and either direction takes tensors of both; in use the code is the
encoder's mean, so nothing here is random. What a file holds is told by `unit_tensors`; MUNIT's generator, which builds
on this one, is in `munit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, T, Understood
from ugatit_fast.architectures.unit_tensors import UnitTensors, anchors_of, source_and_target
from ugatit_fast.choices import ArchitectureName, Direction, Hints, Sides
from ugatit_fast.fold import row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights, WideUpWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import EPS, Config, Reference

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class UnitConfig(Config):
    """What shapes it; the option names of the published configurations where they have them."""

    architecture: ClassVar[ArchitectureName] = "unit"
    dim: int = 64
    """Channels after the first convolution."""
    n_downsample: int = 2
    """How often the picture is halved, and doubled again."""
    n_res: int = 4
    """Residual blocks of the encoder, and as many of the decoder."""
    img_size: int = 256
    """Side of the square training images in pixels, as far as it is known."""

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def sides(self) -> Sides:
        return Sides(multiple=2**self.n_downsample, smallest=2 ** (self.n_downsample + 1))

    @property
    def words(self) -> str:
        return f"dim {self.dim}, {self.n_res} blocks at 1/{2**self.n_downsample}"

    @property
    def widths(self) -> list[int]:
        """Channels at each resolution, the picture's first."""
        return [self.dim << i for i in range(self.n_downsample + 1)]


# The network as published -----------------------------------------------------------------------------------------


class LayerNorm(nn.Module):
    """Layer norm over channels and pixels of a picture, scaled and shifted per channel. The variance is divided by
    count - 1, and the epsilon is added to the deviation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, dim=(1, 2, 3), correction=1, keepdim=True)
        return (x - mean) / (deviation + EPS) * self.gamma[:, None, None] + self.beta[:, None, None]


class ConvBlock(nn.Module):
    """Reflected border, convolution, norm, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        norm: Literal["instance", "layer", "none"] = "instance",
        activation: Literal["relu", "tanh", "none"] = "relu",
    ) -> None:
        super().__init__()
        norms = {"instance": nn.InstanceNorm2d, "layer": LayerNorm, "none": nn.Identity}
        activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}
        self.pad = nn.ReflectionPad2d((kernel - stride) // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm = norms[norm](outputs)
        self.activation = activations[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(self.pad(x))))


class ResBlock(nn.Module):
    """Two convolutions and an addition; no ReLU after it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            ConvBlock(channels, channels, 3), ConvBlock(channels, channels, 3, activation="none")
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.model(x)


class ResBlocks(nn.Module):
    """Several, one after the other."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(ResBlock(channels) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ContentEncoder(nn.Module):
    """Picture (n, 3, h, w) -> content (n, 4 dim, h / 4, w / 4), with two halvings."""

    def __init__(self, config: UnitConfig) -> None:
        super().__init__()
        halvings = [ConvBlock(width, 2 * width, 4, 2) for width in config.widths[:-1]]
        blocks = ResBlocks(config.widths[-1], config.n_res)
        self.model = nn.Sequential(ConvBlock(3, config.dim, 7), *halvings, blocks)

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)


class Decoder(nn.Module):
    """Content -> picture in [-1, 1]."""

    def __init__(self, config: UnitConfig, blocks: nn.Module) -> None:
        """blocks: those at the content's resolution."""
        super().__init__()
        layers: list[nn.Module] = [blocks]
        for width in config.widths[:0:-1]:
            layers += [nn.Upsample(scale_factor=2), ConvBlock(width, width // 2, 5, norm="layer")]
        self.model = nn.Sequential(*layers, ConvBlock(config.dim, 3, 7, norm="none", activation="tanh"))

    def forward(self, content: Tensor) -> Tensor:
        return self.model(content)


class UnitGenerator(Reference):
    """One direction: what the source domain's encoder sees, drawn by the target domain's decoder."""

    config: UnitConfig

    def __init__(self, config: UnitConfig) -> None:
        super().__init__()
        self.config = config
        self.enc = ContentEncoder(config)
        self.dec = Decoder(config, ResBlocks(config.widths[-1], config.n_res))

    def forward(self, image: Tensor) -> Tensor:
        """float (n, 3, h, w) RGB in [-1, 1], of sides that the config takes -> the translated image, alike."""
        return self.dec(self.enc(image))


# Folded -----------------------------------------------------------------------------------------------------------


def aligned_phases(weight: Tensor) -> Tensor:
    """nearest x2 -> border of 2 -> convolution 5x5 = border of 1 -> four 3x3 convolutions at low resolution, for
    replicated borders.

    The taps that fall on the same low-resolution row add up: (w0 + w1, w2 + w3, w4) for even output rows, (w0, w1 + w2,
    w3 + w4) for odd ones, and likewise for columns: 9 multiply-adds for 25. weight (k, c, 5, 5). Returns
    (4 k, c, 3, 3), phase (a, b), of the output pixels (2 i + a, 2 j + b), the 2 a + b'th.

    A reflected border of 2 shows one thing else than a replicated one, in its outermost line: the line next to the last
    instead of the last. Only the outermost lines of the result see it; `edge_kernels` is what they lack.
    """
    even = weight.new_tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    odd = weight.new_tensor([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]])
    return torch.cat([rows @ weight @ columns.T for rows in (even, odd) for columns in (even, odd)])


def edge_kernels(weight: Tensor) -> dict[str, Tensor]:
    """The outermost taps of a 5x5 convolution, on each side, (k, c, 5): what they make of the difference between a line
    next to the last and the last, doubled, is what `aligned_phases` lacks there of a reflected border.

    A border is rows first, then columns: R_v R_h = E_v E_h + (R_v - E_v) R_h + E_v (R_h - E_h), for E replicating and R
    reflecting. So the difference of rows has a border that reflects, that of columns one that replicates, and corners
    need nothing besides.
    """
    return {
        "top": weight[:, :, 0].contiguous(),
        "bottom": weight[:, :, 4].contiguous(),
        "left": weight[:, :, :, 0].contiguous(),
        "right": weight[:, :, :, 4].contiguous(),
    }


def fold_tensors(config: UnitConfig, tensors: Tensors, encoder: str = "enc") -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype.

    encoder: what the published code calls it. The convolutions' biases cancel in instance norm (rewrite 5); before
    layer norm they don't.
    """
    halvings = config.n_downsample
    places = {"stem": f"{encoder}.model.0"}
    places |= {f"down.{i}": f"{encoder}.model.{1 + i}" for i in range(halvings)}
    for part, blocks in (("encoder", f"{encoder}.model.{1 + halvings}"), ("decoder", "dec.model.0")):
        for i in range(config.n_res):
            places |= {f"{part}.{i}.{j}": f"{blocks}.model.{i}.model.{j}" for j in range(2)}
    folded = {f"{place}.weight": tensors[f"{block}.conv.weight"] for place, block in places.items()}
    for i in range(halvings):
        block = f"dec.model.{2 + 2 * i}"
        weight, bias = tensors[f"{block}.conv.weight"], tensors[f"{block}.conv.bias"]
        up = {"weight": aligned_phases(weight), "bias": bias, "rho": torch.zeros_like(bias), **edge_kernels(weight)}
        up |= {name: tensors[f"{block}.norm.{name}"] for name in ("gamma", "beta")}
        folded |= {f"up.{i}.{name}": tensor for name, tensor in up.items()}
    last = f"dec.model.{1 + 2 * halvings}.conv"
    return folded | {"out.weight": row_kernels(tensors[f"{last}.weight"]), "out.bias": tensors[f"{last}.bias"]}


class FoldedUnit(FoldedNetwork):
    """The inference graph."""

    config: UnitConfig

    def __init__(self, config: UnitConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.stem = StageWeights(tensors, "stem")
        self.downs = [StageWeights(tensors, f"down.{i}") for i in range(config.n_downsample)]
        self.encoder_blocks, self.decoder_blocks = (
            [
                (StageWeights(tensors, f"{part}.{i}.0"), StageWeights(tensors, f"{part}.{i}.1"))
                for i in range(config.n_res)
            ]
            for part in ("encoder", "decoder")
        )
        self.ups = [WideUpWeights(tensors, f"up.{i}") for i in range(config.n_downsample)]
        # PyTorch finds buffers in modules, not in lists: each under its flat name.
        self.down, self.up = nn.ModuleList(self.downs), nn.ModuleList(self.ups)
        self.encoder, self.decoder = (
            nn.ModuleList(nn.ModuleList(block) for block in blocks)
            for blocks in (self.encoder_blocks, self.decoder_blocks)
        )
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.config.widths)

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        styles = self.styles(ops)
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, StageOptions(relu=True, pad=1))
        for down in self.downs:
            x = ops.stage(x, down, StageOptions(stride=2, relu=True, pad=1))
        blocks = [*self.encoder_blocks, *self.decoder_blocks]
        for i, (first, second) in enumerate(blocks, start=1):
            pad_mode = "replicate" if i == len(blocks) else "reflect"
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1), style=styles[2 * i - 2])
            x = ops.stage(hidden, second, StageOptions(pad=1, pad_mode=pad_mode), style=styles[2 * i - 1], residual=x)
        for up in self.ups[:-1]:
            x = ops.wide_up_stage(x, up, pad=1, pad_mode="replicate")
        x = ops.wide_up_stage(x, self.ups[-1], pad=3, pad_mode="reflect")
        return ops.to_image(x, self.out), None

    def styles(self, ops: Operations[Picture, Value, Style]) -> Sequence[Style | None]:
        """What scales and shifts each norm of the blocks, in their order; None where nothing does."""
        return [None] * (4 * self.config.n_res)


# Among the architectures ------------------------------------------------------------------------------------------


class Unit(Architecture[UnitConfig]):
    """Generators of two domains that share a code."""

    name: ClassVar[ArchitectureName] = "unit"
    title = "UNIT"
    config = UnitConfig
    anchors = anchors_of("enc")
    both_ways = True
    encoder: ClassVar[str] = "enc"

    def towards(self, direction: Direction, tensors: Mapping[str, T]) -> dict[str, T]:
        return source_and_target(direction, tensors, self.encoder)

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[UnitConfig]:
        found = UnitTensors.of(path, tensors, self.title, self.encoder)
        config = UnitConfig(dim=found.dim, n_downsample=found.n_downsample, n_res=found.n_res)
        return Understood(config=config, tensors=found.tensors, notes=found.notes)

    def configured(self, settings: Mapping[str, Any], side: int) -> UnitConfig:
        return UnitConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: UnitConfig) -> Reference:
        return UnitGenerator(config)

    def fold(self, reference: Reference) -> FoldedUnit:
        assert isinstance(reference, UnitGenerator), "its config is of this kind"
        return FoldedUnit(reference.config, fold_tensors(reference.config, reference.state_dict()))

    def folded(self, config: UnitConfig, tensors: Tensors) -> FoldedUnit:
        return FoldedUnit(config, tensors)
