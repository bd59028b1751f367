"""DRIT's and DRIT++'s generator (`drit_network`) folded, and what the tensors of a file say.

A file holds what a run knows: `enc_c`, which sees contents, `enc_a`, which sees styles, and `gen`, both domains in
each; and discriminators and optimisers.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.architectures.architecture import Architecture, T, Understood
from ugatit_fast.architectures.drit_network import (
    HALVINGS,
    OWN_BLOCKS,
    SLOPE,
    STYLE_SLOPE,
    STYLED_BLOCKS,
    DritConfig,
    DritGenerator,
)
from ugatit_fast.architectures.foreign import OF_DRIT
from ugatit_fast.architectures.munit import MOST_NUMBERS, UNLESS_CHOSEN
from ugatit_fast.architectures.published_options import STATISTICS
from ugatit_fast.architectures.rewrites import transposed_phases
from ugatit_fast.architectures.unit_tensors import MOST_DIM, WRAPPERS
from ugatit_fast.choices import Direction, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import row_kernels
from ugatit_fast.folded_weights import ConvolutionWeights, MlpWeights, StageWeights, StyleEncoderWeights
from ugatit_fast.graph import FoldedNetwork, Operations, Picture, StageOptions, Style, Value
from ugatit_fast.model import Reference

Tensors = Mapping[str, Tensor]


# Folded -----------------------------------------------------------------------------------------------------------


def shifts_of(kernel: Tensor, bias: Tensor, layer: Tensor, layer_bias: Tensor) -> tuple[Tensor, Tensor]:
    """What constant channels add by a 1x1 convolution, which is a shift, by the linear layer that makes them.

    kernel (k, constants, 1, 1), its columns for the constants; bias (k,); layer (constants, inputs) and its bias.
    Returns one layer, (k, inputs) and (k,).
    """
    matrix = kernel[:, :, 0, 0]
    return matrix @ layer, matrix @ layer_bias + bias


def pooled_kernel(weight: Tensor) -> Tensor:
    """3x3 with a border of 1, then means of four = 4x4 of stride 2 with that border. (k, c, 3, 3) -> (k, c, 4, 4)."""
    corners = [(a, 1 - a, b, 1 - b) for a in (0, 1) for b in (0, 1)]
    return torch.stack([F.pad(weight, corner) for corner in corners]).mean(0)


def fold_tensors(config: DritConfig, tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the folded network from those of the published one, in their dtype. The convolutions' biases
    cancel in instance norms (rewrite 5); the first has no norm.
    """
    blocks = [*(f"enc_c.convA.{i}" for i in range(1 + HALVINGS, 1 + HALVINGS + OWN_BLOCKS)), "enc_c.conv_share.0"]
    blocks += ["gen.dec_share.0"] if config.concat else []
    places = {"stem": "enc_c.convA.0.model.1"} | {f"down.{i}": f"enc_c.convA.{1 + i}.model.1" for i in range(HALVINGS)}
    places |= {f"encoder.{i}.{j}": f"{name}.model.{1 + 4 * j}" for i, name in enumerate(blocks) for j in range(2)}
    folded = {f"{place}.weight": tensors[f"{layer}.weight"] for place, layer in places.items()}
    folded["stem.bias"] = tensors["enc_c.convA.0.model.1.bias"]
    decoder = fold_joining(config, tensors) if config.concat else fold_mixing(config, tensors)
    return folded | decoder | fold_style_encoder(config, tensors)


def fold_up(tensors: Tensors, layer: str) -> dict[str, Tensor]:
    """A doubling; its layer norm is AdaLIN's with rho 0, whose statistics the bias before it moves."""
    bias = tensors[f"{layer}.0.bias"]
    norm = {"gamma": tensors[f"{layer}.1.weight"].flatten(), "beta": tensors[f"{layer}.1.bias"].flatten()}
    weight = transposed_phases(tensors[f"{layer}.0.weight"].transpose(0, 1))
    return {"weight": weight, "bias": bias, "rho": torch.zeros_like(bias), **norm}


def fold_joining(config: DritConfig, tensors: Tensors) -> dict[str, Tensor]:
    """Of `--concat 1`. Constant channels before a reflected convolution and an instance norm are dead, so the blocks
    see no style. The channels that would hand it on are kept without it, and what the first transposed convolution
    would make of it there is added to what it makes of the style beside them. In the last convolution it is a shift.
    """
    wide, numbers = config.widths[2], config.style_dim
    folded = {
        f"decoder.{i}.{j}.weight": tensors[f"gen.decB1.{i}.model.{1 + 4 * j}.weight"]
        for i in range(STYLED_BLOCKS[True])
        for j in range(2)
    }
    folded["decoder.0.0.weight"] = folded["decoder.0.0.weight"][:, :wide]
    through, beside_them = tensors["gen.decB2.0.model.0.weight"][wide:].chunk(2)
    first = torch.cat([tensors["gen.decB2.0.model.0.weight"][:-numbers], through + beside_them])
    tensors = {**tensors, "gen.decB2.0.model.0.weight": first}
    for i in range(HALVINGS):
        folded |= {f"up.{i}.{name}": t for name, t in fold_up(tensors, f"gen.decB{2 + i}.0.model").items()}
    last, one = tensors["gen.decB4.0.weight"].transpose(0, 1), torch.eye(numbers).to(first)
    folded["out.weight"] = row_kernels(last[:, :-numbers])
    folded |= {"mlp.layer1": one, "mlp.bias1": one.new_zeros(numbers)}
    shift = shifts_of(last[:, -numbers:], tensors["gen.decB4.0.bias"], one, folded["mlp.bias1"])
    return folded | dict(zip(("last.layer1", "last.bias1"), shift, strict=True))


def fold_mixing(config: DritConfig, tensors: Tensors) -> dict[str, Tensor]:
    """Of `--concat 0`: what is mixed in is constant, so that half of the widest convolutions is a shift, which the
    MLP's last layer gives as well.
    """
    wide, mlp, shifts = config.widths[2], "gen.mlpB", []
    folded, last = {}, [tensors[f"{mlp}.4.{name}"].chunk(STYLED_BLOCKS[False]) for name in ("weight", "bias")]
    for i, (layer, layer_bias) in enumerate(zip(*last, strict=True)):
        for j in range(2):
            block, mix = f"gen.decB{1 + i}", f"gen.decB{1 + i}.blk{1 + j}"
            kernel, bias = tensors[f"{mix}.0.weight"], tensors[f"{mix}.0.bias"]
            shifts.append(shifts_of(kernel[:, wide:], bias, layer, layer_bias))
            folded[f"decoder.{i}.{3 * j}.weight"] = tensors[f"{block}.conv{1 + j}.0.1.weight"]
            folded[f"decoder.{i}.{3 * j + 1}.weight"] = kernel[:, :wide]
            folded[f"decoder.{i}.{3 * j + 2}.weight"] = tensors[f"{mix}.2.weight"]
            folded[f"decoder.{i}.{3 * j + 2}.bias"] = tensors[f"{mix}.2.bias"]
    for i in range(2):
        folded |= {
            f"mlp.layer{1 + i}": tensors[f"{mlp}.{2 * i}.weight"],
            f"mlp.bias{1 + i}": tensors[f"{mlp}.{2 * i}.bias"],
        }
        folded |= {f"up.{i}.{name}": t for name, t in fold_up(tensors, f"gen.decB5.{i}.model").items()}
    folded["mlp.layer3"], folded["mlp.bias3"] = (torch.cat(each) for each in zip(*shifts, strict=True))
    folded["out.weight"] = row_kernels(tensors["gen.decB5.2.weight"].transpose(0, 1))
    return folded | {"out.bias": tensors["gen.decB5.2.bias"]}


def fold_style_encoder(config: DritConfig, tensors: Tensors) -> dict[str, Tensor]:
    """As `ugatit_fast.backends.styles` runs it."""
    if not config.concat:
        layers = [f"enc_a.model_b.{i}" for i in (1, 4, 7, 10, 13, 16)]
        return {
            f"style_encoder.{i}.{ours}": tensors[f"{layer}.{theirs}"]
            for i, layer in enumerate(layers)
            for ours, theirs in (("kernel", "weight"), ("bias", "bias"))
        }
    blocks = [f"enc_a.conv_B.{i}" for i in (2, 3, 4)]
    layers = [
        "enc_a.conv_B.1",
        *(f"{block}.{name}" for block in blocks for name in ("conv.2", "conv.4.1")),
        "enc_a.fc_B.0",
    ]
    folded = {}
    for i, layer in enumerate(layers):
        weight, bias = tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]
        folded[f"style_encoder.{i}.slope"] = torch.tensor(STYLE_SLOPE).to(weight)
        if layer.endswith(".4.1"):
            shortcut = layer.replace("conv.4.1", "shortcut.1")
            folded[f"style_encoder.{i}.shortcut"] = tensors[f"{shortcut}.weight"]
            weight, bias = pooled_kernel(weight), bias + tensors[f"{shortcut}.bias"]
        folded[f"style_encoder.{i}.kernel"] = weight if weight.dim() == 4 else weight[:, :, None, None]
        folded[f"style_encoder.{i}.bias"] = bias
    return folded


class FoldedDrit(FoldedNetwork):
    """The inference graph."""

    config: DritConfig

    def __init__(self, config: DritConfig, tensors: Tensors) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        shared = 2 if config.concat else 1
        self.stem = StageWeights(tensors, "stem")
        self.downs = [StageWeights(tensors, f"down.{i}") for i in range(HALVINGS)]
        self.encoder_blocks = blocks_of(tensors, "encoder", OWN_BLOCKS + shared, 2)
        self.decoder_blocks = blocks_of(tensors, "decoder", STYLED_BLOCKS[config.concat], 2 if config.concat else 6)
        self.ups = [StageWeights(tensors, f"up.{i}") for i in range(HALVINGS)]
        self.mlp, self.last = MlpWeights(tensors, "mlp"), MlpWeights(tensors, "last")
        self.out = ConvolutionWeights(tensors, "out")
        # PyTorch finds buffers in modules, not in lists: each under its flat name.
        self.down, self.up = nn.ModuleList(self.downs), nn.ModuleList(self.ups)
        self.encoder, self.decoder = (
            nn.ModuleList(nn.ModuleList(block) for block in blocks)
            for blocks in (self.encoder_blocks, self.decoder_blocks)
        )
        layers = range(8 if config.concat else 6)
        self.style_encoder = nn.ModuleList(StyleEncoderWeights(tensors, f"style_encoder.{i}") for i in layers)

    def with_tensors(self, tensors: Tensors) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        return self.config.widths

    @property
    def decoder_widths(self) -> tuple[int, ...]:
        return self.config.decoder_widths

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, StageOptions(norm=False, relu=True, slope=SLOPE, pad=1))
        for down in self.downs:
            x = ops.stage(x, down, StageOptions(stride=2, relu=True, pad=1))
        for first, second in self.encoder_blocks:
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1))
            x = ops.stage(hidden, second, StageOptions(pad=1), residual=x)
        return (self.joining(ops, x) if self.config.concat else self.mixing(ops, x)), None

    def joining(self, ops: Operations[Picture, Value, Style], x: Value) -> Picture:
        """The decoder of `--concat 1`."""
        numbers = self.config.style_dim
        stream = ops.with_constants(x, numbers, pad_mode="reflect")
        for i, (first, second) in enumerate(self.decoder_blocks, start=1):
            pad_mode = "zero" if i == len(self.decoder_blocks) else "reflect"
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1))
            x = stream = ops.stage(hidden, second, StageOptions(pad=1, pad_mode=pad_mode), residual=stream)
        (style,) = ops.given_shifts(self.mlp, 1)
        for up, pad in zip(self.ups, (1, 0), strict=True):
            x = ops.with_constants(x, numbers, style, pad_mode="zero")
            x = ops.up_stage(x, up, StageOptions(relu=True, pad=pad, pad_mode="zero" if pad else "reflect"))
        return ops.to_image(x, self.out, *ops.given_shifts(self.last, 1))

    def mixing(self, ops: Operations[Picture, Value, Style], x: Value) -> Picture:
        """The decoder of `--concat 0`."""
        styles = iter(ops.given_shifts(self.mlp, 2 * len(self.decoder_blocks)))
        for i, (conv1, wide1, narrow1, conv2, wide2, narrow2) in enumerate(self.decoder_blocks, start=1):
            pad_mode = "zero" if i == len(self.decoder_blocks) else "reflect"
            hidden = ops.stage(x, conv1, StageOptions())
            hidden = ops.stage(hidden, wide1, StageOptions(norm=False, relu=True), style=next(styles))
            hidden = ops.stage(hidden, narrow1, StageOptions(norm=False, relu=True, pad=1))
            hidden = ops.stage(hidden, conv2, StageOptions())
            hidden = ops.stage(hidden, wide2, StageOptions(norm=False, relu=True), style=next(styles))
            mixed = StageOptions(norm=False, relu=True, pad=1, pad_mode=pad_mode)
            x = ops.stage(hidden, narrow2, mixed, residual=x)
        x = ops.up_stage(x, self.ups[0], StageOptions(relu=True, pad=1, pad_mode="zero"))
        x = ops.up_stage(x, self.ups[1], StageOptions(relu=True))
        return ops.to_image(x, self.out)


def blocks_of(tensors: Tensors, part: str, count: int, stages: int) -> list[list[StageWeights]]:
    """So many blocks of so many stages each."""
    return [[StageWeights(tensors, f"{part}.{i}.{j}") for j in range(stages)] for i in range(count)]


# Among the architectures ------------------------------------------------------------------------------------------

FIRST, WRAPPED = "convA.0.model.1.weight", re.compile(r"(?<=\.)(module|_orig_mod)\.")
DOMAIN = re.compile(r"((?:conv|fc|model)_?|dec|mlp)([ABab])(?=[.\d])")
"""What says of which domain a tensor is."""
OTHER = str.maketrans("ABab", "BAba")
ONE_WAY = (
    "enc_c.convA.",
    "enc_c.conv_",
    "enc_a.model_b.",
    "enc_a.conv_B.",
    "enc_a.fc_B.",
    "gen.dec_share.",
    "gen.decB",
    "gen.mlpB.",
)
"""How the names of the tensors begin that translate from A to B."""
DECODERS = {"gen.dec_share.0.model.1.weight": True, "gen.mlpB.0.weight": False}
"""Which of them a file has, and `DritConfig.concat` then."""
MEAN = "of the styles that it sees in a picture, --style takes the mean; the published test code draws one at random"


class Drit(Architecture[DritConfig]):
    """Generators of two domains that share contents, each with styles of its own."""

    name = "drit"
    title = "DRIT"
    config = DritConfig
    anchors = tuple(f"enc_c.{wrapper}{FIRST}" for wrapper in WRAPPERS)
    both_ways = True
    parts = ("enc_c.", "enc_a.", "gen.")

    def towards(self, direction: Direction, tensors: Mapping[str, T]) -> dict[str, T]:
        """With the names of A to B, in either direction."""
        named = {WRAPPED.sub("", name): tensor for name, tensor in tensors.items()}
        if direction == "B2A":
            named = {DOMAIN.sub(lambda m: m[1] + m[2].translate(OTHER), name): t for name, t in named.items()}
        return {name: tensor for name, tensor in named.items() if name.startswith(ONE_WAY)}

    def understand(self, path: Path, tensors: Tensors, hints: Hints) -> Understood[DritConfig]:
        first = tensors.get(f"enc_c.{FIRST}")
        concat = next((concat for name, concat in DECODERS.items() if name in tensors), None)
        seen = tensors.get("enc_a.fc_B.0.weight" if concat else "enc_a.model_b.16.weight")
        if first is None or concat is None or seen is None:
            raise CheckpointError(f"{path} has not all of a DRIT generator, {OF_DRIT}")
        dim, style_dim = (len(tensor) if tensor.dim() else 0 for tensor in (first, seen))
        if not (1 <= dim <= MOST_DIM and 1 <= style_dim <= MOST_NUMBERS):
            raise CheckpointError(
                f"{path} has {dim} channels and styles of {style_dim} numbers; expected at most {MOST_DIM} and "
                f"{MOST_NUMBERS}: it is another network, or damaged"
            )
        config = DritConfig(concat=concat, dim=dim, style_dim=style_dim)
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(STATISTICS)}
        return Understood(config=config, tensors=kept, notes=(UNLESS_CHOSEN, *([MEAN] if concat else [])))

    def configured(self, settings: Mapping[str, Any], side: int) -> DritConfig:
        return DritConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: DritConfig) -> DritGenerator:
        return DritGenerator(config)

    def fold(self, reference: Reference) -> FoldedDrit:
        assert isinstance(reference, DritGenerator), "its config is of this kind"
        return FoldedDrit(reference.config, fold_tensors(reference.config, reference.state_dict()))

    def folded(self, config: DritConfig, tensors: Tensors) -> FoldedDrit:
        return FoldedDrit(config, tensors)
