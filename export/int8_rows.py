"""The folded network in eight bits as pixel rows: the form for CPUs with products of bytes.

What `onnx_rows.py` does with Winograd is here one product of gathered bytes, uint8 windows by int8 kernels, exact in
int32 and scaled back to float32 as it is stored. Rows lie from left to right and top to bottom throughout. Half the
time goes into what is between products, so each pass over an activation has to earn its place:

    y    = windows @ kernels - means       means: over photos, per channel, so that y is nearly centred already
    m, v = mean(y), mean(y * y) - m * m    one pass less than deviations need; nothing cancels, because m is small
    q    = uint8(a / scale * y + b / scale)    ReLU is where uint8 ends: zero stands for 0 after one

A place that stays in float32 has `onnx_rows.py`'s arithmetic, put back into this order.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.numpy_helper import to_array

from ugatit_fast.export.calibration import STYLE
from ugatit_fast.export.eight_bits import PICTURE, EightBits, Span, eight_bit_kernels, minds_means
from ugatit_fast.export.onnx_builder import MICROSOFT, OnnxBuilder
from ugatit_fast.export.onnx_rows import RowOperations
from ugatit_fast.export.pixel_rows import Layout
from ugatit_fast.export.row_kernels import GROUP, kernels_of_a_group, row_kernels_of_a_group
from ugatit_fast.export.row_resampling import BLUR, WINDOW
from ugatit_fast.export.row_writer import Rows, widening
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, StageWeights, StyleWeights, WideUpWeights

MIDDLE = 128
"""The uint8 that stands for 0 in a second byte."""


@dataclass(frozen=True)
class Unfinished:
    """An activation of which float32 values are needed only perhaps."""

    pieces: tuple[str, ...]
    """Its rows, one after the other, before the ReLU."""
    relu: bool
    apart: tuple[str, ...] = ()
    """(n, 1, c) to be added to each piece, where they aren't alike."""


class Int8RowOperations(RowOperations):
    """Writes the folded network down with eight bits where `EightBits` has them; activations have no constant apart.

    No two products share a matrix: ONNX Runtime's mode for CPUs without VNNI (`session.x64quantprecision`), which
    rewrites matrices, fails on one that it meets twice.
    """

    out_bands = 1
    """Windows of bytes are a quarter of float32's."""

    def __init__(self, builder: OnnxBuilder, eight: EightBits) -> None:
        super().__init__(builder)
        self.eight = eight
        self.unfinished: dict[str, Unfinished] = {}
        """First piece of an activation -> all of it; `Rows.value` is that piece."""
        self.finished: dict[str, str] = {}
        self.quantised: dict[tuple[str, Span], str] = {}
        self.matrices: dict[str, tuple[str, str]] = {}
        """Place -> its int8 matrix and the scale of each column."""

    # Activations --------------------------------------------------------------------------------------------------

    def floats(self, x: Rows) -> str:
        """(n, rows, c) float32."""
        whole = self.unfinished.get(x.value)
        if whole is None:
            return x.value
        if x.value not in self.finished:
            value = whole.pieces[0] if len(whole.pieces) == 1 else self.node("Concat", *whole.pieces, axis=1)
            self.finished[x.value] = self.node("Relu", value) if whole.relu else value
        return self.finished[x.value]

    def bytes(self, x: Rows, span: Span) -> str:
        """(n, rows, c) uint8, by the scale of the place that reads it."""
        key = (x.value, span)
        if key not in self.quantised:
            whole = self.unfinished.get(x.value, Unfinished((x.value,), relu=False))
            pieces = whole.pieces
            if whole.relu and span.zero != 0:
                pieces = (self.floats(x),)
            scale, zero = self.scale(span), self.zero(span)
            parts = [self.node("QuantizeLinear", piece, scale, zero) for piece in pieces]
            self.quantised[key] = parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)
        return self.quantised[key]

    def outlined(self, read: str, x: Rows, zero: str) -> str:
        """Bytes as windows read them: where x has a border of zeros, with one more row, of what stands for 0."""
        if x.pad_mode != "zero":
            return read
        return self.node("Pad", read, self.builder.integers(0, 0, 0, 0, 1, 0), zero)

    def rest(self, x: Rows, span: Span) -> str:
        """The second byte: what the first leaves, in steps of `rest_scale` around 128."""
        first = self.node("DequantizeLinear", self.bytes(x, span), self.scale(span), self.zero(span))
        left = self.node("Sub", self.floats(x), first)
        return self.node("QuantizeLinear", left, self.scalar(span.rest_scale), self.byte(MIDDLE))

    def scale(self, span: Span) -> str:
        return self.scalar(span.scale)

    def zero(self, span: Span) -> str:
        return self.byte(span.zero)

    def byte(self, value: int) -> str:
        return self.builder.constant(np.array(value, np.uint8), f"u8_{value}")

    # Products -----------------------------------------------------------------------------------------------------

    def kernels(self, place: str, matrix: NDArray[np.int8], scale: NDArray[np.float32]) -> str:
        """Keep a matrix (inputs, outputs) and its columns' scales under the name of the place."""
        stored = self.builder.constant(matrix, f"{place}.int8")
        self.matrices[place] = stored, self.stored(f"{place}.scale", scale)
        return place

    def multiplied(self, x: Rows, kernel: str, cut: Callable[[str], str], shift: str = "") -> str:
        """What a place reads of x, times its int8 matrix, in float32. kernel: the place, or one of its phases,
        "place/0"; cut: makes windows (n, rows, inputs) of bytes (n, rows, c); shift: (outputs,) added to the result.
        """
        place = kernel.partition("/")[0]
        span = self.eight.span(place)
        assert span is not None, "only what has bytes is multiplied so"
        zero = self.zero(span)
        read = self.outlined(self.bytes(x, span), x, zero)
        first = self.by_matrix(cut(read), kernel, self.scale(span), zero, shift)
        if place not in self.eight.fine:
            return first
        middle = self.byte(MIDDLE)
        left = self.outlined(self.rest(x, span), x, middle)
        again = f"{kernel}.rest"
        self.matrices[again] = self.copied(kernel), self.matrices[kernel][1]
        second = self.by_matrix(cut(left), again, self.scalar(span.rest_scale), middle)
        return self.node("Add", first, second)

    def copied(self, kernel: str) -> str:
        """Another tensor with the same matrix."""
        return self.builder.constant(
            to_array(self.builder.initializers[self.matrices[kernel][0]]), f"{kernel}.rest.int8"
        )

    def by_matrix(self, read: str, kernel: str, scale: str, zero: str, shift: str = "") -> str:
        matrix, columns = self.matrices[kernel]
        given = [read, matrix, scale, columns, zero, *(["", shift] if shift else [])]
        return self.node("MatMulIntegerToFloat", *given, domain=MICROSOFT)

    def product(self, x: Rows, index: str, width: int, matrix: str) -> str:
        """See `RowConvolutions.product`; matrix is the name of a place where that has eight bits."""

        def cut(rows: str) -> str:
            return self.reshape(self.node("Gather", rows, index, axis=1), 0, -1, width)

        if matrix in self.matrices:
            return self.multiplied(x, matrix, cut)
        return self.node("MatMul", cut(self.readable(self.as_floats(x))), matrix)

    def centred(self, x: Rows, index: str, place: str, kernel: NDArray[np.float32], means: str) -> str:
        """Bytes gathered into windows, times a kernel (o, i, k, k) of a place, less the means of its channels."""
        outputs, inputs, size, _ = kernel.shape
        levels, scale = eight_bit_kernels(kernel)
        self.kernels(place, levels.transpose(2, 3, 1, 0).reshape(-1, outputs), scale)

        def cut(rows: str) -> str:
            return self.reshape(self.node("Gather", rows, index, axis=1), 0, -1, size * size * inputs)

        return self.multiplied(x, place, cut, means)

    def less_means(self, place: str, means: NDArray[np.float32]) -> str:
        return self.stored(f"{place}.means", -means)

    # Convolutions -------------------------------------------------------------------------------------------------

    def window_index(self, x: Rows, *, window: int, stride: int = 1, lead: tuple[int, int] = (1, 1)) -> str:
        """Rows that the windows of all outputs read, one window after the other."""
        rows = self.rows
        layout = rows.edged(x.layout, x.pad_mode)
        sides = []
        for side, first, axes in ((layout.height, lead[0], (1, 3)), (layout.width, lead[1], (0, 2))):
            count = side if stride == 1 else rows.op("Div", side, stride)
            at = rows.windows(count, side, window=window, stride=stride, lead=first, pad_mode=x.pad_mode)
            line = rows.op("Transpose", at, perm=(1, 0))
            sides.append(rows.op("Unsqueeze", line, self.builder.integers(*axes)))
        return rows.index(layout, *sides)

    def convolution(self, x: Rows, weights: StageWeights) -> Rows:
        place = weights.prefix
        if self.eight.span(place) is None:
            return self.in_order(super().convolution(self.as_floats(x), weights))
        means = self.less_means(place, self.eight.means[place])
        value = self.centred(x, self.window_index(x, window=3), place, weights.weight.numpy(), means)
        self.unfinished[value] = Unfinished((value,), relu=False, apart=self.given_back(x, weights, 1))
        return Rows(value, self.raster_like(x), len(weights.weight))

    def pointwise(self, x: Rows, weights: ConvolutionWeights | AttentionWeights) -> Rows:
        place = weights.prefix
        if self.eight.span(place) is None:
            return super().pointwise(self.as_floats(x), weights)
        levels, scale = eight_bit_kernels(weights.weight.numpy())
        self.kernels(place, levels[:, :, 0, 0].T, scale)
        value = self.multiplied(x, place, lambda rows: rows, self.less_means(place, self.eight.means[place]))
        self.unfinished[value] = Unfinished((value,), relu=False)
        return Rows(value, x.layout, len(levels))

    def with_constants(self, x: Rows, more: int, shift: tuple[str, str] | None = None, *, pad_mode: str) -> Rows:
        return super().with_constants(self.as_floats(x), more, shift, pad_mode=pad_mode)

    def strided_convolution(self, x: Rows, weights: StageWeights, *, norm: bool) -> Rows:
        place, weight = weights.prefix, weights.weight.numpy()
        outputs, inputs, size, _ = weight.shape
        index = self.window_index(x, window=size, stride=2)
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        layout = self.rows.raster(height, width, multiple=x.layout.multiple // 4)
        if self.eight.span(place):
            value = self.centred(x, index, place, weight, self.less_means(place, self.eight.means[place]))
        else:
            taps = self.stored(weights.name("weight"), weight.transpose(2, 3, 1, 0).reshape(-1, outputs))
            value = self.product(x, index, size * size * inputs, taps)
        return Rows(value, layout, outputs)

    def up_convolution(self, x: Rows, weights: StageWeights) -> Rows:
        if self.eight.span(weights.prefix) is None:
            return super().up_convolution(self.as_floats(x), weights)
        return self.phases(x, weights)

    def up_convolution_by_phase(self, x: Rows, weights: StageWeights) -> Rows:
        if self.eight.span(weights.prefix) is None:
            return super().up_convolution_by_phase(self.as_floats(x), weights)
        return self.phases(x, weights)

    def phases(self, x: Rows, weights: StageWeights) -> Rows:
        """Four 2x2 convolutions; their results stay apart until they are bytes."""
        place, weight = weights.prefix, weights.weight.numpy()
        outputs = len(weight) // 4
        means = self.less_means(place, self.eight.means[place].reshape(4, outputs).mean(0))
        pieces = []
        for phase, (a, b) in enumerate((a, b) for a in (0, 1) for b in (0, 1)):
            index = self.window_index(x, window=2, lead=(1 - a, 1 - b))
            kernel = weight[phase * outputs :][:outputs]
            pieces.append(self.centred(x, index, f"{place}/{phase}", kernel, means))
        layout = self.rows.doubled(self.raster_like(x), phases_first=True)
        self.unfinished[pieces[0]] = Unfinished(tuple(pieces), relu=False, apart=self.given_back(x, weights, 4))
        return Rows(pieces[0], layout, outputs)

    def given_back(self, x: Rows, weights: StageWeights, pieces: int) -> tuple[str, ...]:
        """What rounding took from the sums of a place's kernels, times the mean of what they read, (n, 1, c) for each
        piece; see `eight_bits.minds_means`.
        """
        if not minds_means(weights):
            return ()
        place = weights.prefix
        average = self.average_read(x, place)
        parts = np.split(self.eight.lost(place), pieces)
        return tuple(
            self.node("MatMul", average, self.stored(f"{place}/{i}.lost", lost.T)) for i, lost in enumerate(parts)
        )

    def average_read(self, x: Rows, place: str) -> str:
        """(n, 1, c) float32, the mean of the bytes that a place reads of each channel."""
        span = self.eight.span(place)
        assert span is not None, "only what has bytes reads them"
        exists = self.rows.op("Reshape", x.layout.inside, self.builder.integers(1, -1))
        exists = self.rows.op("Cast", exists, to=TensorProto.UINT8)
        sums = self.node("MatMulInteger", exists, self.bytes(x, span), self.byte(0), self.zero(span))
        total = self.node("Mul", self.node("Cast", sums, to=TensorProto.FLOAT), self.scale(span))
        return self.node("Div", total, self.pixels(x))

    def first_convolution(self, x: Rows, weights: StageWeights, *, norm: bool) -> Rows:
        """On the picture's own bytes, which no scale rounds."""
        span = self.eight.span(PICTURE)
        if span is None:
            return self.whole(super().first_convolution(x, weights, norm=norm))
        outputs, _, size, _ = weights.weight.shape
        windows = self.picture_windows(self.bordered_picture(x, size), x, size)
        levels, scale = eight_bit_kernels(weights.weight.numpy())
        group = kernels_of_a_group(levels.astype(np.float32)).astype(np.int8)
        place = self.kernels(PICTURE, group, np.tile(scale, GROUP))
        middle = (span.zero - 127.5) * span.scale * scale * levels.sum((1, 2, 3))  # 0 of the picture is no byte
        means = self.less_means(PICTURE, np.tile(self.eight.means[PICTURE] - middle.astype(np.float32), GROUP))
        value = self.by_matrix(windows, place, self.scale(span), self.zero(span), means)
        value = self.reshape(value, 0, -1, outputs)
        return Rows(value, x.layout, outputs)

    def row_matrix(self, weights: ConvolutionWeights) -> str:
        if self.eight.span(weights.prefix) is None:
            return super().row_matrix(weights)
        levels, scale = eight_bit_kernels(weights.weight.numpy())
        group = row_kernels_of_a_group(levels.astype(np.float32)).astype(np.int8)
        return self.kernels(weights.prefix, group, np.tile(scale, GROUP))

    def wide_up_stage(self, x: Rows, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Rows:
        """In float32: its outermost lines are sums of their own."""
        return super().wide_up_stage(self.as_floats(x), weights, pad=pad, pad_mode=pad_mode)

    def halved(self, x: Rows) -> Rows:
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        index = self.rows.raster_windows(x.layout, WINDOW, x.pad_mode, stride=2)
        layout = self.rows.raster(height, width, multiple=max(x.layout.multiple // 4, 1))
        return Rows(self.mixed(self.as_floats(x), index, BLUR), layout, x.channels)

    def doubled(self, x: Rows) -> Rows:
        return super().doubled(self.as_floats(x))

    def as_floats(self, x: Rows) -> Rows:
        return Rows(self.floats(x), x.layout, x.channels, pad_mode=x.pad_mode)

    def in_order(self, x: Rows) -> Rows:
        """From the tiles of Winograd's convolution to left to right, top to bottom."""
        return Rows(self.in_raster_order(x), self.raster_like(x), x.channels)

    def raster_like(self, x: Rows) -> Layout:
        """Left to right, top to bottom. Sides at a quarter of the resolution may be odd."""
        multiple = x.layout.multiple if x.layout.together == x.layout.multiple else 1
        return self.rows.raster(x.layout.height, x.layout.width, multiple)

    # Norms --------------------------------------------------------------------------------------------------------

    def norm(
        self,
        x: Rows,
        weights: StageWeights,
        style: tuple[str, str] | None,
        unbiased: bool,
        relu: bool,
        *,
        eps_outside: bool = False,
    ) -> Rows:
        """The family of `ugatit_fast.kernels.adalin`, as a * y + b for each piece of y."""
        pieces = self.pieces_of(x)
        piece = replace(x, layout=self.layout_of(x, pieces))
        if self.eight.span(weights.prefix) is None:
            deviation, mean, variance = self.statistics(piece)
            a, b = self.coefficients(x, weights, style, mean, variance, unbiased, eps_outside)
            made: tuple[str, ...] = (self.affine(piece, deviation, a, b),)
        else:
            apart = self.unfinished[x.value].apart if x.value in self.unfinished else ()
            mean, variance = self.moments(pieces, piece, apart)
            seen = replace(x, constant=self.means_of(weights, x.channels))
            a, b = self.coefficients(seen, weights, style, mean, variance, unbiased, eps_outside)
            moved = self.node("Mul", a, mean)
            shift = self.node("Neg", moved) if b is None else self.node("Sub", b, moved)
            shifts = [self.node("Add", shift, self.node("Mul", a, one)) for one in apart] or [shift] * len(pieces)
            made = tuple(self.affine(piece, one, a, own) for one, own in zip(pieces, shifts, strict=True))
        self.unfinished[made[0]] = Unfinished(made, relu)
        return Rows(made[0], x.layout, x.channels)

    def moved(self, x: Rows, weights: StageWeights, bias: str | None, slope: float | None) -> Rows:
        pieces = self.pieces_of(x)
        piece = replace(x, layout=self.layout_of(x, pieces))
        apart = self.unfinished[x.value].apart if x.value in self.unfinished else ()
        for constant in (self.means_of(weights, x.channels), bias):
            if constant is not None:
                pieces = tuple(self.per_channel("Add", piece, one, constant) for one in pieces)
        if apart:
            pieces = tuple(self.per_channel("Add", piece, one, own) for one, own in zip(pieces, apart, strict=True))
        if slope:  # where uint8 ends is no LeakyReLU
            pieces = tuple(self.relu(one, slope) for one in pieces)
        self.unfinished[pieces[0]] = Unfinished(pieces, slope == 0)
        return Rows(pieces[0], x.layout, x.channels)

    def pieces_of(self, x: Rows) -> tuple[str, ...]:
        return self.unfinished[x.value].pieces if x.value in self.unfinished else (x.value,)

    def means_of(self, weights: StageWeights, channels: int) -> str | None:
        """What a product was made less of, (1, 1, c)."""
        place = weights.prefix
        if self.eight.span(place) is None:
            return None
        return self.stored(f"{place}.apart", self.eight.means[place].reshape(-1, channels).mean(0)[None, None])

    def moments(self, pieces: tuple[str, ...], piece: Rows, apart: tuple[str, ...]) -> tuple[str, str]:
        """Mean and biased variance (n, 1, c) of rows that are nearly centred, with what is apart of each piece.

        Where there are several pieces, they are as many rows each.
        """
        means = [self.mean(one, piece) for one in pieces]
        squares = [self.mean(self.node("Mul", one, one), piece) for one in pieces]
        if apart:
            moved = [self.node("Add", one, own) for one, own in zip(means, apart, strict=True)]
            added = [
                self.node("Mul", own, self.node("Add", *pair)) for own, *pair in zip(apart, means, moved, strict=True)
            ]
            squares = [self.node("Add", *pair) for pair in zip(squares, added, strict=True)]
            means = moved
        mean, square = (self.average(vectors) for vectors in (means, squares))
        variance = self.node("Sub", square, self.node("Mul", mean, mean))
        return mean, self.node("Max", variance, self.scalar(0.0))

    def average(self, vectors: list[str]) -> str:
        return vectors[0] if len(vectors) == 1 else self.node("Mean", *vectors)

    def affine(self, piece: Rows, value: str, a: str, b: str | None) -> str:
        """a * value + b, with one a and b a channel."""
        times = widening(piece)
        wide = self.node("Mul", self.widened(value, piece), self.repeated(a, times))
        if b is not None:
            wide = self.node("Add", wide, self.repeated(b, times))
        return wide if times == 1 else self.reshape(wide, 0, -1, piece.channels)

    def layout_of(self, x: Rows, pieces: tuple[str, ...]) -> Layout:
        """Of one piece: all of them, or one of four phases."""
        if len(pieces) == 1:
            return x.layout
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        return self.rows.raster(height, width, x.layout.multiple // 4)

    def added(self, residual: Rows, x: Rows) -> Rows:
        return Rows(self.node("Add", self.floats(residual), self.floats(x)), x.layout, x.channels)

    # The rest -----------------------------------------------------------------------------------------------------

    def attend(self, x: Rows, weights: AttentionWeights, pad_mode: str) -> Rows:
        place, bias = weights.prefix, weights.bias.numpy()
        if self.eight.span(place) is None:
            matrix = self.stored(weights.name("weight"), weights.weight.numpy()[:, :, 0, 0].T)
            moved = self.node("Add", self.node("MatMul", self.floats(x), matrix), self.vector(weights, "bias"))
        else:
            levels, scale = eight_bit_kernels(weights.weight.numpy())
            self.kernels(place, levels[:, :, 0, 0].T, scale)
            moved = self.multiplied(x, place, lambda rows: rows, self.stored(weights.name("bias"), bias))
        return Rows(self.node("Relu", moved), x.layout, x.channels, pad_mode=pad_mode)

    def first_linear(self, attended: Rows, weights: StyleWeights) -> str:
        """A full generator's reads the whole map; its columns are put in the order of the rows."""
        if self.eight.span(STYLE) is None:
            return super().first_linear(attended, weights)
        levels, scale = eight_bit_kernels(weights.first.numpy())
        outputs, inputs = levels.shape
        by_pixel = levels.reshape(outputs, attended.channels, -1).transpose(2, 1, 0).reshape(inputs, outputs)
        self.kernels(STYLE, by_pixel, scale)
        shift = "" if weights.bias1 is None else self.stored(weights.name("bias1"), weights.bias1.numpy())
        return self.reshape(self.multiplied(attended, STYLE, lambda rows: self.reshape(rows, 0, 1, -1), shift), 0, -1)
