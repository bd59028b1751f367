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

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from ugatit_fast.choices import Upsampling
from ugatit_fast.export.onnx_styles import given_numbers
from ugatit_fast.export.row_convolutions import PICTURE_MULTIPLE, RowConvolutions
from ugatit_fast.export.row_norms import RowNorms
from ugatit_fast.export.row_resampling import RowResampling
from ugatit_fast.export.row_writer import WIDE, Rows
from ugatit_fast.folded_weights import (
    AttentionWeights,
    ConvolutionWeights,
    MlpWeights,
    SoftStyleWeights,
    StageWeights,
    StyleWeights,
    WideUpWeights,
)
from ugatit_fast.graph import StageOptions
from ugatit_fast.model import EPS

BY_CONVOLUTIONS = "networks of it are written as convolutions: `Config.by_rows`"
"""Of what some verb can do and no network needs here."""


class RowOperations(RowConvolutions, RowNorms, RowResampling):
    """Writes the folded network down as pixel rows; see `ugatit_fast.graph.Operations`."""

    def normalise(self, image: str, pad: int, pad_mode: str = "reflect") -> Rows:
        """The picture as it is: the first convolution pads, centres and scales what it reads."""
        height, width = self.rows.size_of(image, 1), self.rows.size_of(image, 2)
        return Rows(image, self.rows.raster(height, width, multiple=PICTURE_MULTIPLE), 3, pad_mode=pad_mode)

    def stage(
        self,
        x: Rows,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: tuple[str, str] | None = None,
        residual: Rows | None = None,
    ) -> Rows:
        assert not (options.slope and options.norm), BY_CONVOLUTIONS
        assert not options.depthwise, BY_CONVOLUTIONS
        assert options.eps == EPS, BY_CONVOLUTIONS
        alone = options.norm and weights.rho is None  # each channel, so that its constant doesn't matter
        if x.channels == 3:
            convolved = self.first_convolution(x, weights, norm=alone)
        elif options.stride == 2:
            convolved = self.strided_convolution(x, weights, norm=alone)
        elif weights.weight.shape[3] == 1:
            convolved = self.pointwise(x, weights)
        else:
            convolved = self.convolution(x, weights)
        convolved = replace(convolved, pad_mode=options.pad_mode)
        if options.norm:
            normalised = self.norm(convolved, weights, style, options.unbiased, options.relu)
        else:
            bias = style[1] if style else self.optional(weights, "bias")
            normalised = self.moved(convolved, weights, bias, options.slope if options.relu else None)
        if residual is not None:
            normalised = self.added(residual, normalised)
        return replace(normalised, pad_mode=options.pad_mode)

    def up_stage(self, x: Rows, weights: StageWeights, options: StageOptions) -> Rows:
        if x.pad_mode == "zero":  # then phases needn't have taps that add up to the same, and no constant comes of one
            x = self.whole(x)
        wide = x.channels >= WIDE  # then the product is worth the larger transforms
        up = self.up_convolution_by_phase(x, weights) if wide else self.up_convolution(x, weights)
        up = replace(up, pad_mode=options.pad_mode)
        if options.norm:
            normalised = self.norm(up, weights, None, options.unbiased, options.relu)
        else:
            normalised = self.moved(up, weights, self.optional(weights, "bias"), 0.0 if options.relu else None)
        return replace(normalised, pad_mode=options.pad_mode)

    def joined(self, skipped: Rows, x: Rows) -> Rows:
        raise AssertionError(BY_CONVOLUTIONS)

    def with_constants(self, x: Rows, more: int, shift: tuple[str, str] | None = None, *, pad_mode: str) -> Rows:
        x = self.whole(x)
        constant = shift[1] if shift else self.stored(f"zeros_{more}", np.zeros((1, 1, more), np.float32))
        shape = self.node("Concat", self.node("Shape", x.value, start=0, end=2), self.builder.integers(more), axis=0)
        value = self.node("Concat", x.value, self.node("Expand", constant, shape), axis=2)
        return replace(x, value=value, channels=x.channels + more)

    def preactivated(self, x: Rows, weights: StageWeights) -> Rows:
        raise AssertionError(BY_CONVOLUTIONS)

    def joined_onto(self, x: Rows, parts: Sequence[Rows]) -> Rows:
        raise AssertionError(BY_CONVOLUTIONS)

    def pooled(self, x: Rows) -> Rows:
        raise AssertionError(BY_CONVOLUTIONS)

    def doubled_onto(self, x: Rows, skipped: Rows) -> Rows:
        raise AssertionError(BY_CONVOLUTIONS)

    def wide_up_stage(self, x: Rows, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Rows:
        up = self.with_edges(self.up_convolution(x, weights), x, weights)
        normalised = self.norm(up, weights, None, unbiased=True, relu=True, eps_outside=True)
        return replace(normalised, pad_mode=pad_mode)

    def halve(self, x: Rows, *, pad: int, pad_mode: str) -> Rows:
        return replace(self.halved(x), pad_mode=pad_mode)

    def double(
        self, x: Rows, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel", residual: Rows | None = None
    ) -> Rows:
        assert grid == "half-pixel", BY_CONVOLUTIONS
        assert residual is None, BY_CONVOLUTIONS
        return replace(self.doubled(x), pad_mode=pad_mode)

    def attend(self, x: Rows, weights: AttentionWeights, pad_mode: str) -> Rows:
        self.map_of(weights)  # before the bias, as shipped engines have it
        bias = self.vector(weights, "bias")
        attended = replace(self.pointwise(x, weights), pad_mode=pad_mode)
        moved = bias if attended.constant is None else self.node("Add", attended.constant, bias)
        return self.rectified(attended, moved)

    def style(self, attended: Rows, weights: StyleWeights) -> tuple[str, str]:
        both = self.node("Unsqueeze", self.style_numbers(attended, weights), self.builder.integers(1))
        gamma, beta = self.builder.nodes_with("Split", 2, both, axis=2, num_outputs=2)
        return gamma, beta

    def style_numbers(self, attended: Rows, weights: StyleWeights) -> str:
        """(n, rows of the heads)"""
        hidden = self.node("Relu", self.first_linear(attended, weights))
        hidden = self.node("Relu", self.linear(hidden, weights, "second", "bias2"))
        return self.linear(hidden, weights, "heads", "bias3")

    def soft_styles(self, attended: Rows, content: Rows, weights: SoftStyleWeights) -> Sequence[tuple[str, str]]:
        heads, channels, _ = weights.content_second.shape
        mean = self.node("Flatten", self.plus(self.mean(content.value, content), content.constant))
        inner = self.node("Relu", self.linear(mean, weights, "content_first", "content_bias"))
        second = self.stored(weights.name("content_second"), weights.content_second.numpy())
        products = self.node("Mul", self.reshape(inner, 0, heads, 1, channels), second)
        by_content = self.node("ReduceSum", products, self.builder.integers(3), keepdims=0)
        by_style = self.reshape(self.style_numbers(attended, weights), 0, heads, channels)
        both = self.node("Add", by_style, by_content)
        parts = self.builder.nodes_with("Split", heads, both, axis=1, num_outputs=heads)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[tuple[str, str]]:
        numbers = given_numbers(self.builder, weights)
        parts = self.builder.nodes_with("Split", 2 * count, numbers, axis=1, num_outputs=2 * count)
        vectors = [self.node("Unsqueeze", part, self.builder.integers(1)) for part in parts]
        return list(zip(vectors[::2], vectors[1::2], strict=True))

    def given_shifts(self, weights: MlpWeights, count: int) -> Sequence[tuple[str, str]]:
        numbers = self.node("Unsqueeze", given_numbers(self.builder, weights), self.builder.integers(1))
        if count == 1:
            return [("", numbers)]
        return [("", part) for part in self.builder.nodes_with("Split", count, numbers, axis=2, num_outputs=count)]

    def first_linear(self, attended: Rows, weights: StyleWeights) -> str:
        """The first layer of the style, of what the generator pools or of the whole map."""
        channels, inputs = weights.first.shape
        features = self.mean(attended.value, attended) if inputs == channels else self.whole_map(attended)
        if inputs == channels and attended.constant is not None:
            features = self.node("Add", features, attended.constant)
        return self.linear(self.node("Flatten", features), weights, "first", "bias1")

    def heatmap(self, attended: Rows, weights: AttentionWeights) -> str:
        features = self.in_raster_order(attended)
        if weights.heat is not None:
            features = self.node("Mul", features, self.vector(weights, "heat"))
        total = self.node("ReduceSum", features, self.builder.integers(2), keepdims=0)
        layout = attended.layout
        shape = self.shape_of(layout.height, layout.width)
        return self.node("Reshape", total, shape)

    def to_image(self, x: Rows, weights: ConvolutionWeights, shift: tuple[str, str] | None = None) -> str:
        summed = self.last_convolution(x, weights, shift[1] if shift else self.optional(weights, "bias"))
        levels = self.node("Mul", self.node("Add", self.node("Tanh", summed), self.scalar(1.0)), self.scalar(127.5))
        image = self.node("Cast", self.node("Round", levels), to=TensorProto.UINT8)
        return self.node("Reshape", image, self.shape_of(x.layout.height, x.layout.width, 3))

    def to_guided_image(self, x: Rows, weights: ConvolutionWeights, image: str) -> str:
        raise AssertionError(BY_CONVOLUTIONS)

    def linear(self, x: str, weights: StyleWeights, *names: str) -> str:
        """One layer: its matrix, and its bias where it has one."""
        given = [name for name in names if weights.has(name)]
        parts = [self.stored(weights.name(name), weights.get_buffer(name).numpy()) for name in given]
        return self.node("Gemm", x, *parts, transB=1)

    def whole_map(self, x: Rows) -> str:
        """(n, c * pixels), in the order c, h, w of the published weights."""
        return self.node("Transpose", self.in_raster_order(x), perm=[0, 2, 1])
