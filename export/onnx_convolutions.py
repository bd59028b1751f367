"""The folded network as ONNX convolutions: the form for GPUs (TensorRT, ONNX Runtime with CUDA) and for float16.

Activations are (n, c, h, w) in the precision of the engine. Project operations are nodes of domain `ugatit`; each has a
function body of standard operators, so that ONNX Runtime and plain TensorRT run the file. Normalisations can also carry
the attributes by which TensorRT takes our kernels in place of the bodies: `plugin_namespace` (its parser ignores a
node's domain when a function of that name exists) and `aot` (ahead-of-time, no Python in the engine). Statistics and
long sums are float32 whatever the precision, by explicit casts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from ugatit_fast.export.onnx_builder import DOMAIN, OnnxBuilder
from ugatit_fast.fold import FoldedGenerator, Weights
from ugatit_fast.model import EPS

KERNEL_VERSION = 1
"""Of the TensorRT plugins and their kernels; part of their names and of the timing cache's, since TensorRT caches how
long a plugin took under its name and shapes alone. Goes up with every change to them.
"""
STATS = f"channel_stats_v{KERNEL_VERSION}"
APPLY = f"norm_apply_v{KERNEL_VERSION}"
APPLY_ADD = f"norm_apply_add_v{KERNEL_VERSION}"
"""Operators, their functions and their plugins have one name each."""
PLUGIN = {"plugin_namespace": DOMAIN, "aot": 1}
NO_FLOOR = float(np.finfo(np.float32).min)
"""The lower bound that stands for "no ReLU"."""
WANTED_PROGRAMS = 512
"""Of a statistics kernel: about four for every multiprocessor of the largest GPUs. Not timed."""
LARGEST_SPLIT_COUNT = 32
"""Every program of the second kernel reads the statistics of all splits."""
SMALLEST_SPLIT_PIXELS = 64
CHANNEL_TILE = 64
"""Channels of a program: a 128-byte line of float16."""

CHANNEL_STATS = f"""
{STATS} <splits: ints, tiles: ints> (x, bias) => (channels, layer) {{
    parts = Constant <value_ints: ints = @splits> ()
    groups = Constant <value_ints: ints = @tiles> ()
    keep = Constant <value_ints = [0]> ()
    rest = Constant <value_ints = [-1]> ()
    one = Constant <value_ints = [1]> ()
    last = Constant <value_ints = [3]> ()
    wide = Cast <to = 1> (x)
    split_shape = Concat <axis = 0> (keep, keep, parts, rest)
    split = Reshape (wide, split_shape)
    mean = ReduceMean <keepdims = 1> (split, last)
    deviation = Sub (split, mean)
    square = Mul (deviation, deviation)
    m2 = ReduceSum <keepdims = 1> (square, last)
    pair = Concat <axis = 3> (mean, m2)
    channels = Transpose <perm = [0, 2, 3, 1]> (pair)

    bias_axes = Constant <value_ints = [1, 2]> ()
    bias3 = Unsqueeze (bias, bias_axes)
    moved = Add (mean, bias3)
    tile_shape = Concat <axis = 0> (keep, groups, rest, parts)
    tile_mean = Reshape (moved, tile_shape)
    tile_m2 = Reshape (m2, tile_shape)
    tile_axis = Constant <value_ints = [2]> ()
    layer_mean = ReduceMean <keepdims = 1> (tile_mean, tile_axis)
    apart = Sub (tile_mean, layer_mean)
    apart2 = Mul (apart, apart)
    pixels_i = Shape <start = 3, end = 4> (split)
    pixels = Cast <to = 1> (pixels_i)
    between = Mul (apart2, pixels)
    spread = Add (tile_m2, between)
    layer_m2 = ReduceSum <keepdims = 1> (spread, tile_axis)
    layer_pair = Concat <axis = 2> (layer_mean, layer_m2)
    layer = Transpose <perm = [0, 3, 1, 2]> (layer_pair)
}}
"""
"""What kernels/statistics_triton.py computes, for splits and channel tiles of equal size: mean and summed squared
deviation of every channel over every split, float32 (n, splits, 2, c), and of x + bias over the channels of a tile,
float32 (n, splits, tiles, 2).
"""

NORM_APPLY_BODY = """
    one = Constant <value_float = 1.0> ()
    small = Constant <value_floats: floats = @eps> ()
    lost = Constant <value_ints: ints = @correction> ()
    lost_f = Cast <to = 1> (lost)
    floor_ = Constant <value_floats: floats = @floor> ()
    borders = Constant <value_ints: ints = @pads> ()
    parts_axes = Constant <value_ints = [1, 2]> ()
    plane_axes = Constant <value_ints = [2, 3]> ()

    plane = Shape <start = 2, end = 4> (x)
    pixels_i = ReduceProd <keepdims = 0> (plane)
    pixels = Cast <to = 1> (pixels_i)
    channels_i = Shape <start = 1, end = 2> (x)
    channel_count = Cast <to = 1> (channels_i)
    count = Mul (pixels, channel_count)
    splits_i = Shape <start = 1, end = 2> (channels)
    splits = Cast <to = 1> (splits_i)
    tiles_i = Shape <start = 2, end = 3> (layer)
    tiles = Cast <to = 1> (tiles_i)

    part_mean, part_m2 = Split <axis = 2, num_outputs = 2> (channels)
    mean_kept = ReduceMean <keepdims = 1> (part_mean, parts_axes)
    apart = Sub (part_mean, mean_kept)
    apart2 = Mul (apart, apart)
    split_pixels = Div (pixels, splits)
    between = Mul (apart2, split_pixels)
    spread = Add (part_m2, between)
    m2 = ReduceSum <keepdims = 0> (spread, parts_axes)
    mean = Squeeze (mean_kept, parts_axes)

    tile_mean, tile_m2 = Split <axis = 3, num_outputs = 2> (layer)
    layer_kept = ReduceMean <keepdims = 1> (tile_mean, parts_axes)
    tile_apart = Sub (tile_mean, layer_kept)
    tile_apart2 = Mul (tile_apart, tile_apart)
    pairs = Mul (splits, tiles)
    pair_count = Div (count, pairs)
    tile_between = Mul (tile_apart2, pair_count)
    tile_spread = Add (tile_m2, tile_between)
    layer_m2 = ReduceSum <keepdims = 0> (tile_spread, parts_axes)
    layer_mean = Squeeze (layer_kept, parts_axes)

    mean_c = Add (mean, bias)
    offset = Sub (mean_c, layer_mean)
    count_less = Sub (count, lost_f)
    var_l = Div (layer_m2, count_less)
    pixels_less = Sub (pixels, lost_f)
    var_c = Div (m2, pixels_less)

    safe_c = Add (var_c, small)
    root_c = Sqrt (safe_c)
    scale_c = Div (one, root_c)
    safe_l = Add (var_l, small)
    root_l = Sqrt (safe_l)
    scale_l = Div (one, root_l)
    rest = Sub (one, rho)
    layer_part = Mul (rest, scale_l)
    instance_part = Mul (rho, scale_c)
    mixed = Add (instance_part, layer_part)
    a = Mul (gamma, mixed)
    shift_l = Mul (layer_part, offset)
    shift = Mul (gamma, shift_l)
    b = Add (beta, shift)

    a4 = Unsqueeze (a, plane_axes)
    b4 = Unsqueeze (b, plane_axes)
    mean4 = Unsqueeze (mean, plane_axes)
    wide = Cast <to = 1> (x)
    centred = Sub (wide, mean4)
    scaled = Mul (centred, a4)
    affine = Add (scaled, b4)
    active = Max (affine, floor_)
"""
NORM_ATTRIBUTES = "eps: floats, correction: ints, floor: floats, pads: ints, mode: string"
"""Numbers are lists of one: bindings before 11.2 can't read a single one beside NumPy 2.4."""
NORM_APPLY = f"""
{APPLY} <{NORM_ATTRIBUTES}>
(x, channels, layer, gamma, beta, rho, bias) => (y) {{ {NORM_APPLY_BODY}
    narrow = CastLike (active, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}}
"""
"""relu(gamma * (rho * IN + (1 - rho) * LN) + beta), then the border; the formula is in kernels/adalin.py."""

NORM_APPLY_ADD = f"""
{APPLY_ADD} <{NORM_ATTRIBUTES}>
(x, channels, layer, gamma, beta, rho, bias, residual) => (y) {{ {NORM_APPLY_BODY}
    starts = Constant <value_ints = [1, 1]> ()
    ends = Constant <value_ints = [-1, -1]> ()
    inside = Slice (residual, starts, ends, plane_axes)
    inside32 = Cast <to = 1> (inside)
    sum = Add (active, inside32)
    narrow = CastLike (sum, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}}
"""
"""The same, plus the interior of a residual that has a border of 1."""

BIAS_RELU = """
bias_relu <pads: ints, mode: string> (x, bias) => (y) {
    borders = Constant <value_ints: ints = @pads> ()
    bias_axes = Constant <value_ints = [1, 2]> ()
    wide = Cast <to = 1> (x)
    bias3 = Unsqueeze (bias, bias_axes)
    sum = Add (wide, bias3)
    active = Relu (sum)
    narrow = CastLike (active, x)
    y = Pad <mode: string = @mode> (narrow, borders)
}
"""

INTERLEAVE_PHASES = """
interleave_phases (phases) => (y) {
    axes = Constant <value_ints = [2, 3]> ()
    p0, p1, p2, p3 = Split <axis = 1, num_outputs = 4> (phases)
    s0 = Constant <value_ints = [0, 0]> ()
    s1 = Constant <value_ints = [0, 1]> ()
    s2 = Constant <value_ints = [1, 0]> ()
    s3 = Constant <value_ints = [1, 1]> ()
    e0 = Constant <value_ints = [-1, -1]> ()
    e1 = Constant <value_ints = [-1, 9223372036854775807]> ()
    e2 = Constant <value_ints = [9223372036854775807, -1]> ()
    e3 = Constant <value_ints = [9223372036854775807, 9223372036854775807]> ()
    q0 = Slice (p0, s0, e0, axes)
    q1 = Slice (p1, s1, e1, axes)
    q2 = Slice (p2, s2, e2, axes)
    q3 = Slice (p3, s3, e3, axes)
    together = Concat <axis = 1> (q0, q1, q2, q3)
    y = DepthToSpace <blocksize = 2, mode = "DCR"> (together)
}
"""

NORMALISE_IMAGE = """
normalise_image <pads: ints, dtype: int> (image) => (x) {
    borders = Constant <value_ints: ints = @pads> ()
    half_range = Constant <value_float = 127.5> ()
    one = Constant <value_float = 1.0> ()
    wide = Cast <to = 1> (image)
    scaled = Div (wide, half_range)
    centred = Sub (scaled, one)
    planes = Transpose <perm = [0, 3, 1, 2]> (centred)
    padded = Pad <mode = "reflect"> (planes, borders)
    x = Cast <to: int = @dtype> (padded)
}
"""


def rows_to_image(rows: int) -> str:
    """The function that finishes a convolution in row form with `rows` kernel rows.

    The cast to uint8 is its last step: TensorRT has the type for inputs and outputs of a network only.
    """
    lines = [
        "rows_to_image (rows, bias) => (image) {",
        "    height_axis = Constant <value_ints = [2]> ()",
        "    bias_axes = Constant <value_ints = [1, 2]> ()",
        "    wide = Cast <to = 1> (rows)",
        ", ".join(f"r{r}" for r in range(rows)) + f" = Split <axis = 1, num_outputs = {rows}> (wide)",
    ]
    for r in range(rows):
        end = r - rows + 1 or 2**63 - 1
        lines += [
            f"    from{r} = Constant <value_ints = [{r}]> ()",
            f"    to{r} = Constant <value_ints = [{end}]> ()",
            f"    shifted{r} = Slice (r{r}, from{r}, to{r}, height_axis)",
        ]
    lines += [
        "    total = Sum (" + ", ".join(f"shifted{r}" for r in range(rows)) + ")",
        "    bias3 = Unsqueeze (bias, bias_axes)",
        "    biased = Add (total, bias3)",
        "    picture = Tanh (biased)",
        "    half_range = Constant <value_float = 127.5> ()",
        "    scaled = Mul (picture, half_range)",
        "    levels = Add (scaled, half_range)",
        "    rounded = Round (levels)",
        "    pixels = Transpose <perm = [0, 2, 3, 1]> (rounded)",
        "    image = Cast <to = 2> (pixels)",
        "}",
    ]
    return "\n".join(lines)


def borders(pad: int) -> list[int]:
    """ONNX's way to say `pad` pixels on every side of the last two of four dimensions."""
    return [0, 0, pad, pad, 0, 0, pad, pad]


ONNX_MODES = {"reflect": "reflect", "replicate": "edge"}


@dataclass(frozen=True)
class PluginShapes:
    """What the splits of the statistics depend on: images in a batch, and pixels of an image by its channels."""

    batch: int
    pixels: Mapping[int, int]

    @classmethod
    def of(cls, folded: FoldedGenerator, batch: int, height: int, width: int) -> "PluginShapes":
        """For inputs (batch, height, width, 3). Every halving of the sides doubles the channels, until the blocks."""
        ch = folded.config.ch
        return cls(batch, {ch << i: (height >> i) * (width >> i) for i in range(3)})

    def splits(self, channels: int) -> int:
        """Runs of pixels of equal length whose statistics are taken apart: enough for a whole GPU, none too short."""
        pixels = self.pixels[channels]
        most = min(LARGEST_SPLIT_COUNT, pixels // SMALLEST_SPLIT_PIXELS)
        wanted = max(1, min(most, -(-WANTED_PROGRAMS // (self.batch * tiles_of(channels)))))
        return max(splits for splits in range(1, wanted + 1) if pixels % splits == 0)


def tiles_of(channels: int) -> int:
    """Tiles of equal size that the channels of a layer are taken in."""
    return channels // CHANNEL_TILE if channels % CHANNEL_TILE == 0 else 1


class ConvolutionOperations:
    """Writes the folded network down as convolutions; see `ugatit_fast.fold.Operations`."""

    def __init__(self, builder: OnnxBuilder, folded: FoldedGenerator, plugins: PluginShapes | None = None) -> None:
        """plugins: write normalisations for our TensorRT plugins, for inputs of this shape."""
        self.builder = builder
        self.names = {id(tensor): name for name, tensor in folded.tensors().items()}
        self.half = folded.stem.weight.dtype == torch.float16
        self.plugins = plugins
        kernel_rows = folded.out.weight.shape[0] // 3
        functions = (CHANNEL_STATS, NORM_APPLY, NORM_APPLY_ADD, BIAS_RELU, INTERLEAVE_PHASES, NORMALISE_IMAGE)
        for text in (*functions, rows_to_image(kernel_rows)):
            builder.define(text)

    def project_node(self, op: str, *inputs: str, results: int = 1, **attributes: Any) -> list[str]:
        return self.builder.nodes_with(op, results, *inputs, domain=DOMAIN, **attributes)

    def plugin_node(self, op: str, *inputs: str, results: int = 1, **attributes: Any) -> list[str]:
        """A project node that TensorRT may run as a plugin."""
        return self.project_node(op, *inputs, results=results, **attributes, **(PLUGIN if self.plugins else {}))

    def weight(self, tensor: Tensor) -> str:
        return self.builder.constant(tensor.numpy(), self.names[id(tensor)])

    def filled(self, value: float, *shape: int) -> str:
        """A constant of one value, for a parameter that this checkpoint doesn't have."""
        stem = f"{'ones' if value else 'zeros'}_{'x'.join(map(str, shape))}"
        return self.builder.constant(np.full(shape, value, np.float32), stem)

    def normalise(self, image: str, pad: int) -> str:
        dtype = TensorProto.FLOAT16 if self.half else TensorProto.FLOAT
        return self.project_node("normalise_image", image, pads=borders(pad), dtype=dtype)[0]

    def stage(
        self,
        x: str,
        weights: Weights,
        *,
        stride: int = 1,
        style: tuple[str, str] | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: str | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
    ) -> str:
        x = self.builder.node("Conv", x, self.weight(weights.weight), strides=[stride, stride])
        gamma_beta = style or self.own_style(weights)
        return self.norm(x, gamma_beta, weights, unbiased, relu, residual, pad, pad_mode)

    def up_stage(self, x: str, weights: Weights, *, unbiased: bool, pad: int, pad_mode: str) -> str:
        phases = self.builder.node("Conv", x, self.weight(weights.weight))
        (x,) = self.project_node("interleave_phases", phases)
        return self.norm(x, self.own_style(weights), weights, unbiased, True, None, pad, pad_mode)

    def norm(
        self,
        x: str,
        gamma_beta: tuple[str, str],
        weights: Weights,
        unbiased: bool,
        relu: bool,
        residual: str | None,
        pad: int,
        pad_mode: str,
    ) -> str:
        channels = channels_out(weights)
        rho = self.filled(1, channels) if weights.rho is None else self.weight(weights.rho)
        bias = self.filled(0, channels) if weights.bias is None else self.weight(weights.bias)
        splits = self.plugins.splits(channels) if self.plugins else 1
        tiles = tiles_of(channels) if self.plugins else 1
        parts, layer = self.plugin_node(STATS, x, bias, results=2, splits=[splits], tiles=[tiles])
        added = () if residual is None else (residual,)
        return self.plugin_node(
            APPLY if residual is None else APPLY_ADD,
            *(x, parts, layer, *gamma_beta, rho, bias, *added),
            eps=[EPS],
            correction=[int(unbiased)],
            floor=[0.0 if relu else NO_FLOOR],
            pads=borders(pad),
            mode=ONNX_MODES[pad_mode],
        )[0]

    def own_style(self, weights: Weights) -> tuple[str, str]:
        """gamma and beta (1, c) that the weights themselves have, or 1 and 0."""
        channels = channels_out(weights)
        gamma = self.filled(1, 1, channels) if weights.gamma is None else self.row(weights.gamma)
        beta = self.filled(0, 1, channels) if weights.beta is None else self.row(weights.beta)
        return gamma, beta

    def row(self, tensor: Tensor) -> str:
        """A per-channel tensor as (1, c)."""
        return self.builder.constant(tensor.numpy()[None], self.names[id(tensor)])

    def attend(self, x: str, weights: Weights, pad_mode: str) -> str:
        x = self.builder.node("Conv", x, self.weight(weights.weight))
        bias = self.weight(cast(Tensor, weights.bias))
        return self.project_node("bias_relu", x, bias, pads=borders(1), mode=ONNX_MODES[pad_mode])[0]

    def inside(self, x: str) -> str:
        """x without its border of 1, in float32."""
        node, axes = self.builder.node, self.builder.integers(2, 3)
        inner = node("Slice", x, self.builder.integers(1, 1), self.builder.integers(-1, -1), axes)
        return node("Cast", inner, to=TensorProto.FLOAT)

    def heatmap(self, attended: str) -> str:
        return self.builder.node("ReduceSum", self.inside(attended), self.builder.integers(1), keepdims=0)

    def style(self, attended: str, weights: Weights) -> tuple[str, str]:
        """gamma and beta in float32; a float16 first layer is widened, so that its long sums are float32 too."""
        node = self.builder.node
        features = self.inside(attended)
        channels, inputs = weights.first.shape
        if inputs == channels:
            features = node("ReduceMean", features, self.builder.integers(2, 3), keepdims=0)
        else:
            features = node("Flatten", features)
        first = node("Cast", self.weight(weights.first), to=TensorProto.FLOAT)
        hidden = node("Relu", self.linear(features, first, weights.bias1))
        hidden = node("Relu", self.linear(hidden, self.weight(weights.second), weights.bias2))
        both = self.linear(hidden, self.weight(weights.heads), weights.bias3)
        gamma, beta = self.builder.nodes_with("Split", 2, both, axis=1, num_outputs=2)
        return gamma, beta

    def linear(self, x: str, weight: str, bias: Tensor | None) -> str:
        return self.builder.node("Gemm", x, weight, *([] if bias is None else [self.weight(bias)]), transB=1)

    def to_image(self, x: str, weights: Weights) -> str:
        rows = self.builder.node("Conv", x, self.weight(weights.weight))
        bias = self.filled(0, 3) if weights.bias is None else self.weight(weights.bias)
        return self.project_node("rows_to_image", rows, bias)[0]


def channels_out(weights: Weights) -> int:
    """Channels after a stage's normalisation: those of rho or gamma where it has them (an up-sampling stage), else
    of the convolution.
    """
    for tensor in (weights.rho, weights.gamma):
        if tensor is not None:
            return len(tensor)
    return len(weights.weight)
