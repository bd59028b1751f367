"""Convolutions of pixel rows, written into an ONNX graph: 3x3 by Winograd, all others as products of gathered rows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ugatit_fast.export.row_kernels import (
    GROUP,
    colour_sums,
    kernels_of_a_group,
    phases_in_3x3,
    row_kernels_of_a_group,
)
from ugatit_fast.export.row_writer import Rows, RowWriter
from ugatit_fast.export.winograd import (
    KERNEL,
    KERNEL_TRANSFORM,
    OUTPUT_TRANSFORM,
    WINDOW_TRANSFORM,
    Matrix,
    plane,
)
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, StageWeights, WideUpWeights

POINTS = WINDOW_TRANSFORM.shape[0] ** 2
PICTURE_MULTIPLE = 16
"""Sides are multiples of 4, so pixels come in multiples of this."""
BANDS = {"down": 2, "up": 4, "out": 2}
"""In how many pieces the largest windows are made. They bound peak memory: 316 MB instead of 353
for a light 256x256 picture, in the same time.
"""


class RowConvolutions(RowWriter):
    """Every convolution of the folded network; the constant of its input comes out as a constant."""

    out_bands = BANDS["out"]

    def convolution(self, x: Rows, weights: StageWeights) -> Rows:
        """3x3 with a border of 1, by Winograd."""
        weight = weights.weight.numpy()
        kernels = self.winograd_kernels(weights.name("weight"), weight, plane(KERNEL_TRANSFORM, KERNEL_TRANSFORM))
        (index,) = self.rows.tile_windows(x.layout, x.pad_mode)
        value = self.winograd(x, index, kernels, len(weight))
        layout = self.rows.tiled(x.layout.height, x.layout.width)
        return Rows(value, layout, len(weight), self.constant_through(x, weights, weight.sum((2, 3))))

    def winograd(self, x: Rows, index: str, kernels: str, outputs: int) -> str:
        windows = self.reshape(self.node("Gather", self.readable(x), index, axis=1), 0, POINTS, -1)
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

    def map_of(self, weights: ConvolutionWeights | AttentionWeights) -> str:
        """Of a 1x1 convolution, what pixels are multiplied by."""
        return self.stored(weights.name("weight"), weights.weight.numpy()[:, :, 0, 0].T)

    def pointwise(self, x: Rows, weights: ConvolutionWeights | AttentionWeights) -> Rows:
        """1x1, in the order that the rows have."""
        matrix = self.map_of(weights)
        value = self.node("MatMul", x.value, matrix)
        constant = None if x.constant is None else self.node("MatMul", x.constant, matrix)
        return replace(x, value=value, channels=len(weights.weight), constant=constant)

    def up_convolution(self, x: Rows, weights: StageWeights) -> Rows:
        """All four phases as one 3x3 convolution at low resolution; a phase of 2x2 reads as many of its taps."""
        weight = weights.weight.numpy()
        outputs = len(weight) // 4
        low_kernels = weight if weight.shape[3] == KERNEL else phases_in_3x3(weight)
        kernels = self.winograd_kernels(weights.name("weight"), low_kernels, plane(KERNEL_TRANSFORM, KERNEL_TRANSFORM))
        bands = BANDS["up"]
        pieces = [
            self.winograd(x, index, kernels, 4 * outputs)
            for index in self.rows.tile_windows(x.layout, x.pad_mode, bands)
        ]
        value = self.reshape(self.node("Concat", *pieces, axis=1), 0, -1, outputs)
        low = self.rows.tiled(x.layout.height, x.layout.width, bands)
        layout = self.rows.doubled(low, phases_first=False)
        return Rows(value, layout, outputs, self.constant_through(x, weights, weight[:outputs].sum((2, 3))))

    def with_edges(self, up: Rows, x: Rows, weights: WideUpWeights) -> Rows:
        """The image with what its outermost lines lack of a reflected border; see
        `ugatit_fast.architectures.unit.edge_kernels`. x: the input; in differences its constant cancels.
        """
        rows, integers = self.rows, self.builder.integers
        height, width = x.layout.height, x.layout.width
        lines = {"top": (0, 1), "bottom": (-1, -2), "left": (0, 1), "right": (-1, -2)}
        places, added = [], []
        for name, (last, next_to_last) in lines.items():
            across = name in ("top", "bottom")
            side, length = (height, width) if across else (width, height)
            last_line, inner = (rows.line(x.layout, rows.end(side, end), across) for end in (last, next_to_last))
            apart = self.node("Sub", *(self.node("Gather", x.value, line, axis=1) for line in (inner, last_line)))
            taps = rows.doubled_taps(length, weights.top.shape[2], "reflect" if across else "replicate")
            windows = self.node("Gather", apart, taps, axis=1)
            kernel = weights.get_buffer(name).numpy()
            matrix = self.stored(weights.name(name), kernel.transpose(2, 1, 0).reshape(-1, len(kernel)))
            added.append(self.node("MatMul", self.reshape(windows, 0, -1, kernel[0].size), matrix))
            edge = rows.end(up.layout.height if across else up.layout.width, last)
            places.append(rows.line(up.layout, edge, across))
        updates = self.node("Concat", *added, axis=1)
        place = rows.op("Unsqueeze", rows.op("Concat", *places, axis=0), integers(0, 2))
        place = self.node("Expand", place, self.node("Shape", updates))
        value = self.node("ScatterElements", up.value, place, updates, axis=1, reduction="add")
        return replace(up, value=value)

    def up_convolution_by_phase(self, x: Rows, weights: StageWeights) -> Rows:
        """The same with only the 25 of 36 points at which a phase's kernel, one row and one column short, isn't
        zero.
        """
        weight = weights.weight.numpy()
        outputs = len(weight) // 4
        halves = (slice(0, 5), slice(1, 6))  # an even phase vanishes at infinity, an odd one at zero
        pairs = [(halves[a], halves[b]) for a in (0, 1) for b in (0, 1)]
        window = np.concatenate([plane(WINDOW_TRANSFORM[a], WINDOW_TRANSFORM[b]) for a, b in pairs])
        output = np.stack([plane(OUTPUT_TRANSFORM[:, a], OUTPUT_TRANSFORM[:, b]) for a, b in pairs])
        phases = np.split(phases_in_3x3(weight), 4)
        by_phase = [
            self.winograd_kernels(
                f"{weights.name('weight')}.{i}", phase, plane(KERNEL_TRANSFORM[a], KERNEL_TRANSFORM[b])
            )
            for i, (phase, (a, b)) in enumerate(zip(phases, pairs, strict=True))
        ]
        kernels = self.node("Concat", *by_phase, axis=0)

        (index,) = self.rows.tile_windows(x.layout, x.pad_mode)
        windows = self.reshape(self.node("Gather", self.readable(x), index, axis=1), 0, POINTS, -1)
        points = self.reshape(self.node("MatMul", self.shared(window), windows), 0, len(window), -1, x.channels)
        products = self.reshape(self.node("MatMul", points, kernels), 0, 4, output.shape[2], -1)
        value = self.reshape(self.node("MatMul", self.shared(output), products), 0, -1, outputs)
        layout = self.rows.doubled(self.rows.tiled(x.layout.height, x.layout.width), phases_first=True)
        return Rows(value, layout, outputs, self.constant_through(x, weights, weight[:outputs].sum((2, 3))))

    def first_convolution(self, x: Rows, weights: StageWeights, *, norm: bool) -> Rows:
        """7x7 on the picture itself, `GROUP` neighbouring pixels at a time.

        The mean colour is taken off, rounded, instead of 127.5: a picture of one colour becomes exactly zero. A norm
        of each channel alone, where it follows, takes no notice; otherwise the difference is the constant.
        """
        outputs, colours, size, _ = weights.weight.shape
        levels = self.node("Cast", self.bordered_picture(x, size), to=TensorProto.FLOAT)
        mean = self.node("Round", self.node("ReduceMean", levels, self.builder.integers(1, 2), keepdims=1))
        centred = self.node("Mul", self.node("Sub", levels, mean), self.scalar(1 / 127.5))

        windows = self.picture_windows(centred, x, size)
        matrix = self.stored(weights.name("weight"), kernels_of_a_group(weights.weight.numpy()))
        value = self.reshape(self.node("MatMul", windows, matrix), 0, -1, outputs)
        if norm:
            return Rows(value, x.layout, outputs)
        apart = self.node("Sub", self.reshape(mean, 0, 1, colours), self.scalar(127.5))
        colour = replace(x, constant=self.node("Mul", apart, self.scalar(1 / 127.5)))
        sums = weights.weight.numpy().sum((2, 3))
        return Rows(value, x.layout, outputs, self.constant_through(colour, weights, sums))

    def bordered_picture(self, x: Rows, size: int) -> str:
        """With a reflected border of size // 2 rows and `GROUP` columns, as uint8."""
        levels = self.node("Gather", x.value, self.rows.bordered(x.layout.height, size // 2), axis=1)
        return self.node("Gather", levels, self.rows.bordered(x.layout.width, GROUP), axis=2)

    def picture_windows(self, bordered: str, x: Rows, size: int) -> str:
        """The windows of `GROUP` neighbouring pixels each, of the picture x with a border of size // 2 rows and
        `GROUP` columns: (n, groups, size * (GROUP + size - 1) * colours).
        """
        height, width, colours = x.layout.height, x.layout.width, x.channels
        groups, reach = self.rows.op("Div", width, GROUP), GROUP + size - 1
        lines = self.reshape(bordered, 0, -1, GROUP * colours)
        lines = self.node("Gather", lines, self.rows.group_lines(height, groups, size // 2), axis=1)
        lines = self.reshape(lines, 0, -1, 3 * GROUP * colours)
        first = (GROUP - size // 2) * colours
        ends = (self.builder.integers(first), self.builder.integers(first + reach * colours))
        lines = self.node("Slice", lines, *ends, self.builder.integers(2))
        windows = self.node("Gather", lines, self.rows.group_windows(height, groups, size), axis=1)
        return self.reshape(windows, 0, -1, size * reach * colours)

    def strided_convolution(self, x: Rows, weights: StageWeights, *, norm: bool) -> Rows:
        """3x3 or 4x4 with stride 2 and a border of 1, as a matrix product of gathered windows. An instance norm that
        follows takes no notice of the constant.
        """
        outputs, inputs, size, _ = weights.weight.shape
        bands = 1 if x.layout.bands else BANDS["down"]  # the second leaves its rows as the residual blocks do theirs
        taps = weights.weight.numpy().transpose(2, 3, 1, 0).reshape(-1, outputs)
        matrix = self.stored(weights.name("weight"), taps)
        pieces = [
            self.product(x, index, size * size * inputs, matrix)
            for index in self.rows.strided_windows(x.layout, size, x.pad_mode, bands)
        ]
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        layout = self.rows.tiled(height, width, bands)
        constant = None if norm else self.constant_through(x, weights, weights.weight.numpy().sum((2, 3)))
        return Rows(self.node("Concat", *pieces, axis=1), layout, outputs, constant)

    def last_convolution(self, x: Rows, weights: ConvolutionWeights, bias: str | None) -> str:
        """To three colours in its row form: (n, 1, 3 * pixels), left to right and top to bottom. bias: (1, 1, 3).

        `GROUP` neighbouring pixels at a time give each kernel row's triple; a gather brings the triples that belong
        to one pixel together. In bands of the picture, which overlap.
        """
        weight = weights.weight.numpy()
        size = weight.shape[3]
        matrix = self.row_matrix(weights)
        reach = (GROUP + size - 1) * x.channels
        ones = self.shared(np.ones((1, size)))
        pieces = []
        for band in self.rows.picture_bands(x.layout, size, GROUP, self.out_bands, x.pad_mode):
            triples = self.reshape(self.product(x, band.windows, reach, matrix), 0, -1, 3)
            together = self.reshape(self.node("Gather", triples, band.triples, axis=1), 0, size, -1)
            pieces.append(self.node("MatMul", ones, together))
        summed = self.node("Concat", *pieces, axis=2)
        constant = self.constant_through(x, weights, colour_sums(weight))
        for moved in (constant, bias):
            if moved is not None:
                wide = self.reshape(summed, 0, -1, 3 * PICTURE_MULTIPLE)
                summed = self.node("Add", wide, self.repeated(moved, PICTURE_MULTIPLE))
        return summed

    def row_matrix(self, weights: ConvolutionWeights) -> str:
        """What the last convolution's windows are multiplied by."""
        return self.stored(weights.name("weight"), row_kernels_of_a_group(weights.weight.numpy()))

    def product(self, x: Rows, index: str, width: int, matrix: str) -> str:
        """Rows gathered into windows of `width` values, times a matrix (width, outputs)."""
        windows = self.reshape(self.node("Gather", self.readable(x), index, axis=1), 0, -1, width)
        return self.node("MatMul", windows, matrix)

    def constant_through(self, x: Rows, weights: ConvolutionWeights, sums: NDArray[np.float32]) -> str | None:
        """What a convolution whose taps add up to `sums` (o, i) makes of the constant of x."""
        if x.constant is None:
            return None
        return self.node("MatMul", x.constant, self.stored(f"{weights.name('weight')}.sums", sums.T))
