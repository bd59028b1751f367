"""Activations as pixel rows, and the small hands that every operation on them is written with."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.pixel_rows import Layout, PixelRows
from ugatit_fast.export.winograd import Matrix
from ugatit_fast.folded_weights import Weights

WIDE = 256
"""Norms look at few channels as this many by viewing neighbouring pixels as one: narrow rows leave vector units
idle.
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


class RowWriter:
    """Writes nodes, constants and weights."""

    def __init__(self, builder: OnnxBuilder) -> None:
        self.builder = builder
        self.node, self.scalar = builder.node, builder.scalar
        self.rows = PixelRows(builder)
        self.edged: dict[str, str] = {}

    def per_channel(self, kind: str, like: Rows, value: str, vector: str) -> str:
        """An elementwise operation with one value a channel; the result is (n, rows, channels)."""
        wide = self.node(kind, self.widened(value, like), self.repeated(vector, widening(like)))
        return wide if widening(like) == 1 else self.reshape(wide, 0, -1, like.channels)

    def widened(self, value: str, like: Rows) -> str:
        wide = widening(like)
        return value if wide == 1 else self.reshape(value, 0, -1, wide * like.channels)

    def repeated(self, vector: str, times: int) -> str:
        return vector if times == 1 else self.node("Concat", *[vector] * times, axis=2)

    def pixels(self, x: Rows) -> str:
        return self.rows.float(self.rows.op("Mul", x.layout.height, x.layout.width))

    def plus(self, vector: str, other: str | None) -> str:
        return vector if other is None else self.node("Add", vector, other)

    def times(self, vector: str, factor: str | None) -> str:
        return vector if factor is None else self.node("Mul", vector, factor)

    def optional(self, weights: Weights, name: str) -> str | None:
        return self.vector(weights, name) if weights.has(name) else None

    def vector(self, weights: Weights, name: str) -> str:
        """A per-channel tensor that these weights have, as (1, 1, c)."""
        return self.stored(weights.name(name), weights.get_buffer(name).numpy()[None, None])

    def readable(self, x: Rows) -> str:
        """The rows of x as windows read them: where they have a border of zeros, with one more, which is zero together
        with the constant.
        """
        if x.pad_mode != "zero":
            return x.value
        if x.value not in self.edged:
            self.edged[x.value] = self.with_zero(x)
        return self.edged[x.value]

    def with_zero(self, x: Rows) -> str:
        if x.constant is None:
            return self.node("Pad", x.value, self.builder.integers(0, 0, 0, 0, 1, 0))
        batch = self.node("Shape", x.value, start=0, end=1)
        shape = self.node("Concat", batch, self.builder.integers(1, x.channels), axis=0)
        return self.node("Concat", x.value, self.node("Expand", self.node("Neg", x.constant), shape), axis=1)

    def whole(self, x: Rows) -> Rows:
        """The same with its constant in the rows."""
        if x.constant is None:
            return x
        return replace(x, value=self.per_channel("Add", x, x.value, x.constant), constant=None)

    def in_raster_order(self, x: Rows) -> str:
        """(n, pixels, c), with the constant."""
        y = self.rows.spread(self.rows.arange(x.layout.height), 0, of=2)
        across = self.rows.spread(self.rows.arange(x.layout.width), 1, of=2)
        value = self.node("Gather", x.value, self.rows.index(x.layout, y, across), axis=1)
        return self.plus(value, x.constant)

    def shape_of(self, height: str, width: str, *rest: int) -> str:
        """int64 (0, height, width, *rest); the 0 keeps the batch."""
        sides = [self.rows.op("Reshape", self.rows.int64(side), self.builder.integers(1)) for side in (height, width)]
        tail = [self.builder.integers(*rest)] if rest else []
        return self.node("Concat", self.builder.integers(0), *sides, *tail, axis=0)

    def reshape(self, value: str, *shape: int) -> str:
        """0 keeps a dimension, -1 infers one."""
        return self.node("Reshape", value, self.builder.integers(*shape))

    def stored(self, name: str, value: NDArray[np.float32]) -> str:
        return self.builder.constant(value.astype(np.float32), name)

    def shared(self, matrix: Matrix) -> str:
        """A constant that several nodes use, known by its values."""
        rounded = matrix.astype(np.float32)
        return self.builder.constant(rounded, f"matrix_{hashlib.sha256(rounded.tobytes()).hexdigest()[:8]}")

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


def widening(x: Rows) -> int:
    """How many neighbouring rows to view as one: the largest power of two that fits `WIDE` and the number of rows."""
    wide = 1
    while 2 * wide * x.channels <= WIDE and x.layout.multiple % (2 * wide) == 0:
        wide *= 2
    return wide
