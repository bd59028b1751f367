"""The folded network as gathers and matrix products of pixel rows: the form for CPUs, in float32.

ONNX Runtime's CPU convolutions want their own blocked layout and its pads and norms another, so a plain export spends
its time reordering, padding and convolving directly. Here an activation is (n, rows, c), a row a pixel
(`pixel_rows.py`): borders, windows and orders are one gather, a 3x3 convolution is Winograd's (`winograd.py`),
everything else is a matrix product, and no activation is ever transposed.

One more exact rewrite keeps it accurate: activations travel without a constant per channel, which is carried beside
them as (n, 1, c). A convolution with a reflected or replicated border turns a constant into a constant, an instance
norm takes no notice of it, and a layer norm only in its mean. So an image of one colour, whose channels have no
variance, stays exactly zero; otherwise each norm would multiply Winograd's rounding by 1 / sqrt(eps) = 316.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor

from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.pixel_rows import Layout, PixelRows
from ugatit_fast.export.row_kernels import (
    GROUP,
    colour_sums,
    kernels_of_a_group,
    phases_in_3x3,
    row_kernels_of_a_group,
)
from ugatit_fast.export.winograd import (
    KERNEL,
    KERNEL_TRANSFORM,
    OUTPUT_TRANSFORM,
    WINDOW_TRANSFORM,
    Matrix,
    plane,
)
from ugatit_fast.graph import FoldedGenerator, Weights
from ugatit_fast.model import EPS

POINTS = WINDOW_TRANSFORM.shape[0] ** 2
WIDE = 256
"""Norms look at few channels as this many by viewing neighbouring pixels as one: narrow rows leave vector units
idle.
"""
PICTURE_MULTIPLE = 16
"""Sides are multiples of 4, so pixels come in multiples of this."""
BANDS = {"down": 2, "up": 4, "out": 2}
"""In how many pieces the largest windows are made. They bound peak memory: 316 MB instead of 353
for a light 256x256 picture, in the same time.
"""


@dataclass(frozen=True)
class Rows:
    """An activation."""

    value: str
    """(n, rows, channels), without `constant`."""
    layout: Layout
    channels: int
    constant: str | None = None
    """(n, 1, channels) or (1, 1, channels), to be added to every pixel; None is zero."""
    pad_mode: str = "reflect"
    """The border that the next convolution reads; it is never stored."""


class RowOperations:
    """Writes the folded network down as pixel rows; see `ugatit_fast.graph.Operations`."""

    def __init__(self, builder: OnnxBuilder, folded: FoldedGenerator) -> None:
        self.builder = builder
        self.node = builder.node
        self.rows = PixelRows(builder)
        self.names = {id(tensor): name for name, tensor in folded.tensors().items()}

    # Verbs --------------------------------------------------------------------------------------------------------

    def normalise(self, image: str, pad: int) -> Rows:
        """The picture as it is: the first convolution pads, centres and scales what it reads."""
        height, width = self.rows.size_of(image, 1), self.rows.size_of(image, 2)
        return Rows(image, self.rows.raster(height, width, multiple=PICTURE_MULTIPLE), 3)

    def stage(
        self,
        x: Rows,
        weights: Weights,
        *,
        stride: int = 1,
        style: tuple[str, str] | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: Rows | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
    ) -> Rows:
        if x.channels == 3:
            convolved = self.first_convolution(x, weights.weight)
        elif stride == 2:
            convolved = self.strided_convolution(x, weights.weight)
        else:
            convolved = self.convolution(x, weights.weight)
        normalised = self.norm(convolved, weights, style, unbiased, relu)
        if residual is not None:
            normalised = self.added(residual, normalised)
        return replace(normalised, pad_mode=pad_mode)

    def up_stage(self, x: Rows, weights: Weights, *, unbiased: bool, pad: int, pad_mode: str) -> Rows:
        wide = x.channels >= WIDE  # then the product is worth the larger transforms
        up = self.up_convolution_by_phase(x, weights.weight) if wide else self.up_convolution(x, weights.weight)
        return replace(self.norm(up, weights, None, unbiased, relu=True), pad_mode=pad_mode)

    def attend(self, x: Rows, weights: Weights, pad_mode: str) -> Rows:
        matrix = self.stored(self.name_of(weights.weight), weights.weight.numpy()[:, :, 0, 0].T)
        bias = self.vector(cast(Tensor, weights.bias))
        attended = replace(x, value=self.node("MatMul", x.value, matrix), pad_mode=pad_mode)
        moved = bias if x.constant is None else self.node("Add", self.node("MatMul", x.constant, matrix), bias)
        return self.rectified(attended, moved)

    def style(self, attended: Rows, weights: Weights) -> tuple[str, str]:
        channels, inputs = weights.first.shape
        features = self.mean(attended.value, attended) if inputs == channels else self.whole_map(attended)
        if inputs == channels and attended.constant is not None:
            features = self.node("Add", features, attended.constant)
        features = self.node("Flatten", features)
        hidden = self.node("Relu", self.linear(features, weights.first, weights.bias1))
        hidden = self.node("Relu", self.linear(hidden, weights.second, weights.bias2))
        both = self.node("Unsqueeze", self.linear(hidden, weights.heads, weights.bias3), self.builder.integers(1))
        gamma, beta = self.builder.nodes_with("Split", 2, both, axis=2, num_outputs=2)
        return gamma, beta

    def heatmap(self, attended: Rows) -> str:
        total = self.node("ReduceSum", self.in_raster_order(attended), self.builder.integers(2), keepdims=0)
        layout = attended.layout
        shape = self.shape_of(layout.height, layout.width)
        return self.node("Reshape", total, shape)

    def to_image(self, x: Rows, weights: Weights) -> str:
        summed = self.last_convolution(x, weights)
        levels = self.node("Mul", self.node("Add", self.node("Tanh", summed), self.scalar(1.0)), self.scalar(127.5))
        image = self.node("Cast", self.node("Round", levels), to=TensorProto.UINT8)
        return self.node("Reshape", image, self.shape_of(x.layout.height, x.layout.width, 3))

    # Convolutions -------------------------------------------------------------------------------------------------

    def convolution(self, x: Rows, weight: Tensor) -> Rows:
        """3x3 with a border of 1, by Winograd."""
        outputs = weight.shape[0]
        kernels = self.winograd_kernels(self.name_of(weight), weight.numpy(), plane(KERNEL_TRANSFORM, KERNEL_TRANSFORM))
        (index,) = self.rows.tile_windows(x.layout, x.pad_mode)
        value = self.winograd(x, index, kernels, outputs)
        layout = self.rows.tiled(x.layout.height, x.layout.width)
        return Rows(value, layout, outputs, self.constant_through(x, weight, weight.numpy().sum((2, 3))))

    def winograd(self, x: Rows, index: str, kernels: str, outputs: int) -> str:
        windows = self.reshape(self.node("Gather", x.value, index, axis=1), 0, POINTS, -1)
        points = self.reshape(
            self.node("MatMul", self.shared(plane(WINDOW_TRANSFORM, WINDOW_TRANSFORM)), windows),
            0,
            POINTS,
            -1,
            x.channels,
        )
        products = self.reshape(self.node("MatMul", points, kernels), 0, POINTS, -1)
        result = self.node("MatMul", self.shared(plane(OUTPUT_TRANSFORM, OUTPUT_TRANSFORM)), products)
        return self.reshape(result, 0, -1, outputs)

    def winograd_kernels(self, name: str, kernels: NDArray[np.float32], transform: Matrix) -> str:
        """(o, i, 3, 3) -> (points, i, o). Computed when the session is made, so that a file holds 9 values and not
        36.
        """
        outputs, inputs = kernels.shape[:2]
        taps = kernels.transpose(2, 3, 1, 0).reshape(KERNEL * KERNEL, inputs, outputs)
        return self.node("Einsum", self.shared(transform), self.stored(name, taps), equation="pk,kio->pio")

    def up_convolution(self, x: Rows, weight: Tensor) -> Rows:
        """All four phases as one 3x3 convolution at low resolution; each phase reads 2x2 of its taps."""
        outputs = weight.shape[0] // 4
        low_kernels = phases_in_3x3(weight.numpy())
        kernels = self.winograd_kernels(self.name_of(weight), low_kernels, plane(KERNEL_TRANSFORM, KERNEL_TRANSFORM))
        bands = BANDS["up"]
        pieces = [
            self.winograd(x, index, kernels, 4 * outputs)
            for index in self.rows.tile_windows(x.layout, x.pad_mode, bands)
        ]
        value = self.reshape(self.node("Concat", *pieces, axis=1), 0, -1, outputs)
        low = self.rows.tiled(x.layout.height, x.layout.width, bands)
        layout = self.rows.doubled(low, phases_first=False)
        return Rows(value, layout, outputs, self.constant_through(x, weight, weight.numpy()[:outputs].sum((2, 3))))

    def up_convolution_by_phase(self, x: Rows, weight: Tensor) -> Rows:
        """The same with only the 25 of 36 points at which a phase's kernel, one row and one column short, isn't
        zero.
        """
        outputs = weight.shape[0] // 4
        halves = (slice(0, 5), slice(1, 6))  # an even phase vanishes at infinity, an odd one at zero
        pairs = [(halves[a], halves[b]) for a in (0, 1) for b in (0, 1)]
        window = np.concatenate([plane(WINDOW_TRANSFORM[a], WINDOW_TRANSFORM[b]) for a, b in pairs])
        output = np.stack([plane(OUTPUT_TRANSFORM[:, a], OUTPUT_TRANSFORM[:, b]) for a, b in pairs])
        kernels = self.node(
            "Concat",
            *[
                self.winograd_kernels(
                    f"{self.name_of(weight)}.{i}", phase, plane(KERNEL_TRANSFORM[a], KERNEL_TRANSFORM[b])
                )
                for i, (phase, (a, b)) in enumerate(zip(np.split(phases_in_3x3(weight.numpy()), 4), pairs, strict=True))
            ],
            axis=0,
        )

        (index,) = self.rows.tile_windows(x.layout, x.pad_mode)
        windows = self.reshape(self.node("Gather", x.value, index, axis=1), 0, POINTS, -1)
        points = self.reshape(self.node("MatMul", self.shared(window), windows), 0, len(window), -1, x.channels)
        products = self.reshape(self.node("MatMul", points, kernels), 0, 4, output.shape[2], -1)
        value = self.reshape(self.node("MatMul", self.shared(output), products), 0, -1, outputs)
        layout = self.rows.doubled(self.rows.tiled(x.layout.height, x.layout.width), phases_first=True)
        return Rows(value, layout, outputs, self.constant_through(x, weight, weight.numpy()[:outputs].sum((2, 3))))

    def first_convolution(self, x: Rows, weight: Tensor) -> Rows:
        """7x7 on the picture itself, `GROUP` neighbouring pixels at a time.

        The mean colour is taken off, rounded, instead of 127.5: the norm that follows takes no notice, and a picture
        of one colour becomes exactly zero.
        """
        outputs, colours, size, _ = weight.shape
        height, width = x.layout.height, x.layout.width
        levels = self.node("Gather", x.value, self.rows.bordered(height, size // 2), axis=1)
        levels = self.node("Gather", levels, self.rows.bordered(width, GROUP), axis=2)
        levels = self.node("Cast", levels, to=TensorProto.FLOAT)
        mean = self.node("Round", self.node("ReduceMean", levels, self.builder.integers(1, 2), keepdims=1))
        centred = self.node("Mul", self.node("Sub", levels, mean), self.scalar(1 / 127.5))

        groups, reach = self.rows.op("Div", width, GROUP), GROUP + size - 1
        lines = self.reshape(centred, 0, -1, GROUP * colours)
        lines = self.node("Gather", lines, self.rows.group_lines(height, groups, size // 2), axis=1)
        lines = self.reshape(lines, 0, -1, 3 * GROUP * colours)
        first = (GROUP - size // 2) * colours
        ends = (self.builder.integers(first), self.builder.integers(first + reach * colours))
        lines = self.node("Slice", lines, *ends, self.builder.integers(2))
        windows = self.node("Gather", lines, self.rows.group_windows(height, groups, size), axis=1)
        windows = self.reshape(windows, 0, -1, size * reach * colours)
        matrix = self.stored(self.name_of(weight), kernels_of_a_group(weight.numpy()))
        value = self.reshape(self.node("MatMul", windows, matrix), 0, -1, outputs)
        return Rows(value, x.layout, outputs)

    def strided_convolution(self, x: Rows, weight: Tensor) -> Rows:
        """3x3 with stride 2 and a border of 1, as a matrix product of gathered windows."""
        outputs, inputs = weight.shape[:2]
        bands = 1 if x.layout.bands else BANDS["down"]  # the second leaves its rows as the residual blocks do theirs
        matrix = self.stored(self.name_of(weight), weight.numpy().transpose(2, 3, 1, 0).reshape(-1, outputs))
        pieces = [
            self.node("MatMul", self.reshape(self.node("Gather", x.value, index, axis=1), 0, -1, 9 * inputs), matrix)
            for index in self.rows.strided_windows(x.layout, x.pad_mode, bands)
        ]
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        layout = self.rows.tiled(height, width, bands)
        return Rows(self.node("Concat", *pieces, axis=1), layout, outputs)

    def last_convolution(self, x: Rows, weights: Weights) -> str:
        """7x7 to three colours in its row form: (n, 1, 3 * pixels), left to right and top to bottom.

        `GROUP` neighbouring pixels at a time give each kernel row's triple; a gather brings the triples that belong
        to one pixel together. In bands of the picture, which overlap.
        """
        size = weights.weight.shape[3]
        matrix = self.stored(self.name_of(weights.weight), row_kernels_of_a_group(weights.weight.numpy()))
        reach = (GROUP + size - 1) * x.channels
        ones = self.shared(np.ones((1, size)))
        pieces = []
        for band in self.rows.picture_bands(x.layout, size, GROUP, BANDS["out"], x.pad_mode):
            windows = self.reshape(self.node("Gather", x.value, band.windows, axis=1), 0, -1, reach)
            triples = self.reshape(self.node("MatMul", windows, matrix), 0, -1, 3)
            together = self.reshape(self.node("Gather", triples, band.triples, axis=1), 0, size, -1)
            pieces.append(self.node("MatMul", ones, together))
        summed = self.node("Concat", *pieces, axis=2)
        constant = self.constant_through(x, weights.weight, colour_sums(weights.weight.numpy()))
        for moved in (constant, None if weights.bias is None else self.vector(weights.bias)):
            if moved is not None:
                wide = self.reshape(summed, 0, -1, 3 * PICTURE_MULTIPLE)
                summed = self.node("Add", wide, self.repeated(moved, PICTURE_MULTIPLE))
        return summed

    def constant_through(self, x: Rows, weight: Tensor, sums: NDArray[np.float32]) -> str | None:
        """What a convolution whose taps add up to `sums` (o, i) makes of the constant of x."""
        if x.constant is None:
            return None
        return self.node("MatMul", x.constant, self.stored(f"{self.name_of(weight)}.sums", sums.T))

    # Normalisation ------------------------------------------------------------------------------------------------

    def norm(self, x: Rows, weights: Weights, style: tuple[str, str] | None, unbiased: bool, relu: bool) -> Rows:
        """The family of `ugatit_fast.kernels.adalin` on rows; the result leaves `b` to its constant."""
        deviation, mean, variance = self.statistics(x)
        gamma, beta = style or (self.optional(weights.gamma), self.optional(weights.beta))
        scale_c = self.inverse_root(variance, self.pixels(x), unbiased)
        if weights.rho is None:
            a, b = self.times(scale_c, gamma), beta
        else:
            mean = self.plus(self.plus(mean, x.constant), self.optional(weights.bias))
            offset = self.node("Sub", mean, self.over_channels(mean))
            spread = self.node("Add", variance, self.node("Mul", offset, offset))
            count = self.rows.op("Mul", self.pixels(x), self.scalar(float(x.channels)))
            scale = self.inverse_root(self.over_channels(spread), count, unbiased)
            rho = self.vector(weights.rho)
            layer_part = self.times(self.node("Mul", self.node("Sub", self.scalar(1.0), rho), scale), gamma)
            a = self.node("Add", self.times(self.node("Mul", rho, scale_c), gamma), layer_part)
            b = self.plus(self.node("Mul", layer_part, offset), beta)
        scaled = replace(x, value=self.per_channel("Mul", x, deviation, a), constant=b)
        return self.rectified(scaled, b) if relu else scaled

    def statistics(self, x: Rows) -> tuple[str, str, str]:
        """Deviations from the channel means, these means, and the biased variances (n, 1, c)."""
        mean = self.mean(x.value, x)
        deviation = self.per_channel("Sub", x, x.value, mean)
        return deviation, mean, self.mean(self.node("Mul", deviation, deviation), x)

    def mean(self, value: str, like: Rows) -> str:
        """Mean over pixels, (n, 1, c), as the product with a row of weights, which ONNX Runtime has faster than a
        reduction.

        Pixels that exist or don't exist together are viewed as one row, as far as `WIDE` goes.
        """
        wide = min(widening(like), like.layout.together)
        exists = self.rows.op("Reshape", like.layout.inside, self.builder.integers(-1, wide))
        exists = self.rows.op("Slice", exists, *(self.builder.integers(k) for k in (0, 1, 1)))
        exists = self.rows.op("Reshape", exists, self.builder.integers(1, -1))
        weights = self.rows.op("Div", exists, self.pixels(like))
        means = self.node("MatMul", weights, self.reshape(value, 0, -1, wide * like.channels))
        if wide == 1:
            return means
        apart = self.reshape(means, 0, wide, like.channels)
        return self.node("ReduceSum", apart, self.builder.integers(1), keepdims=1)

    def rectified(self, x: Rows, b: str | None) -> Rows:
        """relu(x + b), with relu(b) left to the constant, so that zero stays exactly zero."""
        if b is None:
            return replace(x, value=self.node("Relu", x.value), constant=None)
        constant = self.node("Relu", b)
        active = self.node("Relu", self.per_channel("Add", x, x.value, b))
        return replace(x, value=self.per_channel("Sub", x, active, constant), constant=constant)

    def added(self, residual: Rows, x: Rows) -> Rows:
        """The residual addition; constants add up apart."""
        constant = residual.constant if x.constant is None else self.plus(x.constant, residual.constant)
        return replace(x, value=self.node("Add", residual.value, x.value), constant=constant)

    # Small hands --------------------------------------------------------------------------------------------------

    def per_channel(self, kind: str, like: Rows, value: str, vector: str) -> str:
        """An elementwise operation with one value a channel; the result is (n, rows, channels)."""
        wide = self.node(kind, self.widened(value, like), self.repeated(vector, widening(like)))
        return wide if widening(like) == 1 else self.reshape(wide, 0, -1, like.channels)

    def widened(self, value: str, like: Rows) -> str:
        wide = widening(like)
        return value if wide == 1 else self.reshape(value, 0, -1, wide * like.channels)

    def repeated(self, vector: str, times: int) -> str:
        return vector if times == 1 else self.node("Concat", *[vector] * times, axis=2)

    def inverse_root(self, variance: str, count: str, unbiased: bool) -> str:
        """1 / sqrt(variance + eps), the variance corrected by count / (count - 1) where unbiased."""
        if unbiased:
            correction = self.rows.op("Div", count, self.rows.op("Sub", count, self.scalar(1.0)))
            variance = self.node("Mul", variance, correction)
        return self.node("Reciprocal", self.node("Sqrt", self.node("Add", variance, self.scalar(EPS))))

    def pixels(self, x: Rows) -> str:
        return self.rows.float(self.rows.op("Mul", x.layout.height, x.layout.width))

    def over_channels(self, vector: str) -> str:
        return self.node("ReduceMean", vector, self.builder.integers(2), keepdims=1)

    def plus(self, vector: str, other: str | None) -> str:
        return vector if other is None else self.node("Add", vector, other)

    def times(self, vector: str, factor: str | None) -> str:
        return vector if factor is None else self.node("Mul", vector, factor)

    def optional(self, tensor: Tensor | None) -> str | None:
        return None if tensor is None else self.vector(tensor)

    def vector(self, tensor: Tensor) -> str:
        """A per-channel tensor as (1, 1, c)."""
        return self.stored(self.name_of(tensor), tensor.numpy()[None, None])

    def linear(self, x: str, weight: Tensor, bias: Tensor | None) -> str:
        parts = [self.stored(self.name_of(tensor), tensor.numpy()) for tensor in (weight, bias) if tensor is not None]
        return self.node("Gemm", x, *parts, transB=1)

    def in_raster_order(self, x: Rows) -> str:
        """(n, pixels, c), with the constant."""
        y = self.rows.spread(self.rows.arange(x.layout.height), 0, of=2)
        across = self.rows.spread(self.rows.arange(x.layout.width), 1, of=2)
        value = self.node("Gather", x.value, self.rows.index(x.layout, y, across), axis=1)
        return self.plus(value, x.constant)

    def whole_map(self, x: Rows) -> str:
        """(n, c * pixels), in the order c, h, w of the published weights."""
        return self.node("Transpose", self.in_raster_order(x), perm=[0, 2, 1])

    def shape_of(self, height: str, width: str, *rest: int) -> str:
        """int64 (0, height, width, *rest); the 0 keeps the batch."""
        sides = [self.rows.op("Reshape", self.rows.int64(side), self.builder.integers(1)) for side in (height, width)]
        tail = [self.builder.integers(*rest)] if rest else []
        return self.node("Concat", self.builder.integers(0), *sides, *tail, axis=0)

    def reshape(self, value: str, *shape: int) -> str:
        """0 keeps a dimension, -1 infers one."""
        return self.node("Reshape", value, self.builder.integers(*shape))

    def name_of(self, tensor: Tensor) -> str:
        return self.names[id(tensor)]

    def stored(self, name: str, value: NDArray[np.float32]) -> str:
        return self.builder.constant(value.astype(np.float32), name)

    def shared(self, matrix: Matrix) -> str:
        """A constant that several nodes use, known by its values."""
        rounded = matrix.astype(np.float32)
        return self.builder.constant(rounded, f"matrix_{hashlib.sha256(rounded.tobytes()).hexdigest()[:8]}")

    def scalar(self, value: float) -> str:
        return self.builder.constant(np.array(value, np.float32), f"f32_{value:.9g}")


def widening(x: Rows) -> int:
    """How many neighbouring rows to view as one: the largest power of two that fits `WIDE` and the number of rows."""
    wide = 1
    while 2 * wide * x.channels <= WIDE and x.layout.multiple % (2 * wide) == 0:
        wide *= 2
    return wide
