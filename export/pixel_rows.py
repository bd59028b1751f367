"""Images as matrices of pixel rows, and the index arithmetic that moves between them, written into an ONNX graph.

An activation is (n, rows, c): a row a pixel, in whatever order the operation before left them. A `Layout` knows that
order; it is always the sum of a part that depends on y and one that depends on x. A gather by index then pads, cuts
windows and undoes the order at once: each row is one contiguous copy. Indices depend on the image size only. In a
graph of fixed size ONNX Runtime computes them when the session is made; otherwise they cost under a millisecond a
picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto

from ugatit_fast.export.onnx_builder import Attribute, OnnxBuilder
from ugatit_fast.export.winograd import TILE, WINDOW


@dataclass(frozen=True)
class Layout:
    """The pixel (y, x) of an image is row y_part[y] + x_part[x]. Names of values in the graph."""

    height: str
    width: str
    """int32 scalars."""
    y_part: str
    x_part: str
    """int32 (height,) and (width,)."""
    inside: str
    """float32 (rows,): 1 where a row is a pixel, 0 where it fills up a tile."""
    multiple: int
    """The number of rows is a multiple of this, whatever the size."""
    together: int
    """So many neighbouring rows, from the first on, are pixels or fill up a tile together."""
    bands: int
    """In how many bands of tiles the rows are; 0 where they aren't in tiles."""
    outside: str = ""
    """int32 scalar, the row after the last: what windows show outside the image, where a border of zeros is one
    pixel more in `y_part` and `x_part`. Empty where they have none.
    """


@dataclass(frozen=True)
class PictureBand:
    """Indices of the last convolution for one band of the picture."""

    windows: str
    """Rows that are read: (lines with those beyond the band, groups, group + size - 1), flattened."""
    triples: str
    """Triples of the products that make a pixel: (kernel row, line, x), flattened."""


class PixelRows:
    """Writes layouts and the indices between them."""

    def __init__(self, builder: OnnxBuilder) -> None:
        self.builder = builder
        self.cache: dict[tuple[object, ...], str] = {}

    # Integers -----------------------------------------------------------------------------------------------------

    def int32(self, value: int | Sequence[int]) -> str:
        array = np.array(value, np.int32)
        return self.builder.constant(array, f"i32_{'s' if array.ndim == 0 else 'v'}_" + "_".join(map(str, array.flat)))

    def op(self, kind: str, *inputs: str | int, **attributes: Attribute) -> str:
        """An integer operation; the same one is written once."""
        names = tuple(self.int32(value) if isinstance(value, int) else value for value in inputs)
        key = (kind, names, tuple(sorted(attributes.items())))
        if key not in self.cache:
            self.cache[key] = self.builder.node(kind, *names, domain="", **attributes)
        return self.cache[key]

    def size_of(self, image: str, axis: int) -> str:
        """One dimension of a value, an int32 scalar."""
        dimension = self.op("Shape", image, start=axis, end=axis + 1)
        return self.op("Cast", self.op("Squeeze", dimension), to=TensorProto.INT32)

    def arange(self, stop: str) -> str:
        return self.op("Range", 0, stop, 1)

    def tiles(self, size: str, multiple: int = 1) -> str:
        """How many tiles cover `size` pixels, rounded up to a multiple."""
        step = TILE * multiple
        return self.op("Mul", self.op("Div", self.op("Add", size, step - 1), step), multiple)

    def spread(self, vector: str, dimension: int, of: int) -> str:
        """A vector along one of several dimensions, for broadcasting."""
        axes = [axis for axis in range(of) if axis != dimension]
        return self.op("Unsqueeze", vector, self.builder.integers(*axes))

    def windows(self, count: str, size: str, *, window: int, stride: int, lead: int, pad_mode: str) -> str:
        """Coordinates (window, count): of pixel j of window t, stride * t + j - lead, brought inside [0, size).

        The last windows of an image that isn't a multiple of the tile reach beyond any border; what they read doesn't
        matter.
        """
        starts = self.op("Mul", self.arange(count), stride)
        offsets = self.builder.constant(
            np.arange(-lead, window - lead, dtype=np.int32)[:, None], f"window_{window}_{lead}"
        )
        at = self.op("Add", starts, offsets)
        last = self.op("Sub", size, 1)
        if pad_mode == "zero":
            return self.op("Where", self.op("Less", at, 0), size, self.op("Min", at, size))
        if pad_mode == "reflect":
            at = self.op("Sub", last, self.op("Abs", self.op("Sub", last, self.op("Abs", at))))
        return self.op("Max", self.op("Min", at, last), 0)

    def index(self, layout: Layout, y: str | int, x: str | int) -> str:
        """Rows of the pixels at broadcast coordinates y and x, flattened."""
        rows = self.op("Add", self.op("Gather", layout.y_part, y), self.op("Gather", layout.x_part, x))
        return self.op("Reshape", self.bounded(rows, layout), self.builder.integers(-1))

    def bounded(self, rows: str, layout: Layout) -> str:
        """Rows beyond the last are the one that lies outside."""
        return self.op("Min", rows, layout.outside) if layout.outside else rows

    def edged(self, layout: Layout, pad_mode: str) -> Layout:
        """The same layout for windows over a border of this kind: one of zeros is a pixel more in either direction,
        at whose row, with whatever the other part adds, nothing of the image is.
        """
        if pad_mode != "zero":
            return layout
        rows = self.size_of(layout.inside, 0)
        last = self.op("Reshape", rows, self.builder.integers(1))
        y_part, x_part = (self.op("Concat", part, last, axis=0) for part in (layout.y_part, layout.x_part))
        return replace(layout, y_part=y_part, x_part=x_part, outside=rows)

    # Layouts ------------------------------------------------------------------------------------------------------

    def raster(self, height: str, width: str, multiple: int) -> Layout:
        """Rows from left to right, top to bottom."""
        pixels = self.op("Mul", height, width)
        y_part = self.op("Mul", self.arange(height), width)
        inside = self.op("Expand", self.one(), self.op("Reshape", self.int64(pixels), self.builder.integers(1)))
        return Layout(height, width, y_part, self.arange(width), inside, multiple, together=multiple, bands=0)

    def tiled(self, height: str, width: str, bands: int = 1) -> Layout:
        """Rows as Winograd's output transform leaves them: (band, y in tile, x in tile, tile), tiles from left to
        right.

        A band is an equal share of the rows of tiles; computing them one after the other bounds memory.
        """
        down, across = self.tiles(height, bands), self.tiles(width)
        band_rows = self.op("Div", down, bands)
        in_band = self.op("Mul", band_rows, across)  # tiles of one band
        y, x = self.arange(height), self.arange(width)
        row = self.op("Div", y, TILE)
        y_part = self.total(
            self.op("Mul", self.op("Div", row, band_rows), self.op("Mul", in_band, TILE * TILE)),
            self.op("Mul", self.op("Mod", y, TILE), self.op("Mul", in_band, TILE)),
            self.op("Mul", self.op("Mod", row, band_rows), across),
        )
        x_part = self.total(self.op("Mul", self.op("Mod", x, TILE), in_band), self.op("Div", x, TILE))
        inside = self.inside_tiles(height, width, down, across, bands)
        return Layout(height, width, y_part, x_part, inside, TILE * TILE, together=1, bands=bands)

    def inside_tiles(self, height: str, width: str, down: str, across: str, bands: int) -> str:
        """`Layout.inside` in the order of `tiled`: the outer product of what is inside in y and in x."""
        inside_y = self.inside(height, down)  # (4, down)
        by_band = self.op("Reshape", inside_y, self.builder.integers(TILE, bands, -1))
        by_band = self.op("Transpose", by_band, perm=(1, 0, 2))  # (bands, 4, rows of tiles)
        y = self.op("Unsqueeze", by_band, self.builder.integers(2, 4))
        x = self.op("Unsqueeze", self.inside(width, across), self.builder.integers(0, 1, 3))
        return self.op("Reshape", self.op("Mul", y, x), self.builder.integers(-1))

    def inside(self, size: str, tiles: str) -> str:
        """float32 (4, tiles): 1 where pixel 4 t + a of a line of `size` pixels exists."""
        starts = self.op("Mul", self.arange(tiles), TILE)
        offsets = self.builder.constant(np.arange(TILE, dtype=np.int32)[:, None], f"window_{TILE}_0")
        return self.float(self.op("Less", self.op("Add", starts, offsets), size))

    def doubled(self, low: Layout, *, phases_first: bool) -> Layout:
        """The layout of an image of twice the size whose four phases come before, or after, each row of `low`."""
        height, width = self.op("Mul", low.height, 2), self.op("Mul", low.width, 2)
        y, x = self.arange(height), self.arange(width)
        low_y = self.op("Gather", low.y_part, self.op("Div", y, 2))
        low_x = self.op("Gather", low.x_part, self.op("Div", x, 2))
        if phases_first:
            rows = self.size_of(low.inside, 0)
            y_part = self.total(low_y, self.op("Mul", self.op("Mod", y, 2), self.op("Mul", rows, 2)))
            x_part = self.total(low_x, self.op("Mul", self.op("Mod", x, 2), rows))
            inside, together = self.op("Concat", *[low.inside] * 4, axis=0), low.together
        else:
            y_part = self.total(self.op("Mul", low_y, 4), self.op("Mul", self.op("Mod", y, 2), 2))
            x_part = self.total(self.op("Mul", low_x, 4), self.op("Mod", x, 2))
            column = self.op("Unsqueeze", low.inside, self.builder.integers(1))
            repeated = self.op("Expand", column, self.builder.integers(1, 4))
            inside, together = self.op("Reshape", repeated, self.builder.integers(-1)), 4 * low.together
        return Layout(height, width, y_part, x_part, inside, 4 * low.multiple, together=together, bands=0)

    # Windows of a layout ------------------------------------------------------------------------------------------

    def tile_windows(self, layout: Layout, pad_mode: str, bands: int = 1) -> list[str]:
        """Index of every 6x6 window of a 3x3 convolution with a border of 1, (36 * tiles,), for each band of
        `tiled`.
        """
        layout = self.edged(layout, pad_mode)
        down, across = self.tiles(layout.height, bands), self.tiles(layout.width)
        y = self.windows(down, layout.height, window=WINDOW, stride=TILE, lead=1, pad_mode=pad_mode)
        x = self.windows(across, layout.width, window=WINDOW, stride=TILE, lead=1, pad_mode=pad_mode)
        x = self.op("Unsqueeze", x, self.builder.integers(0, 2))
        pieces = [y] if bands == 1 else self.builder.nodes_with("Split", bands, y, axis=1, num_outputs=bands)
        return [self.index(layout, self.op("Unsqueeze", piece, self.builder.integers(1, 3)), x) for piece in pieces]

    def raster_windows(self, layout: Layout, size: int, pad_mode: str, stride: int = 1) -> str:
        """Index of every window, of `size` pixels a side, around a pixel: of its first pixel in all windows, from left
        to right and top to bottom, then of its second, ...
        """
        layout = self.edged(layout, pad_mode)
        sides = (layout.height, layout.width)
        counts = sides if stride == 1 else tuple(self.op("Div", side, stride) for side in sides)
        y, x = (
            self.windows(count, side, window=size, stride=stride, lead=size // 2, pad_mode=pad_mode)
            for count, side in zip(counts, sides, strict=True)
        )
        y, x = (
            self.op("Unsqueeze", y, self.builder.integers(1, 3)),
            self.op("Unsqueeze", x, self.builder.integers(0, 2)),
        )
        return self.index(layout, y, x)

    def strided_windows(self, layout: Layout, size: int, pad_mode: str, bands: int) -> list[str]:
        """Index of every window, of `size` pixels a side, of a convolution of stride 2 with a border of 1, its outputs
        in `tiled` order.

        A sum over (y in tile, x in tile, tile row, tile column, window row, window column). Both parts are spread over
        the last three dimensions first, so that the one large addition runs along long lines.
        """
        layout = self.edged(layout, pad_mode)
        height, width = self.op("Div", layout.height, 2), self.op("Div", layout.width, 2)
        y = self.op(
            "Gather", layout.y_part, self.strided_tiles(self.tiles(height, bands), layout.height, size, pad_mode)
        )
        x = self.op("Gather", layout.x_part, self.strided_tiles(self.tiles(width), layout.width, size, pad_mode))
        nothing = self.op("Unsqueeze", self.op("Mul", x, 0), self.builder.integers(1, 2, 4))
        nothing = self.op("Slice", nothing, *(self.builder.integers(k) for k in (0, 1, 0)))
        x = self.op("Unsqueeze", x, self.builder.integers(0, 2, 4))
        x = self.op("Expand", x, self.builder.integers(1, 1, 1, 1, size, 1))
        x = self.op("Reshape", x, self.builder.integers(0, 0, 0, -1))
        result = []
        for piece in self.builder.nodes_with("Split", bands, y, axis=1, num_outputs=bands):
            rows = self.op("Add", self.op("Unsqueeze", piece, self.builder.integers(1, 3, 5)), nothing)
            rows = self.op("Reshape", rows, self.builder.integers(0, 0, 0, -1))
            rows = self.bounded(self.op("Add", rows, x), layout)
            result.append(self.op("Reshape", rows, self.builder.integers(-1)))
        return result

    def strided_tiles(self, tiles: str, length: str, size: int, pad_mode: str) -> str:
        """Coordinates (4, tiles, size) read by output 4 t + a of a line, kernel position j."""
        reach = 2 * (TILE - 1) + size
        at = self.windows(tiles, length, window=reach, stride=2 * TILE, lead=1, pad_mode=pad_mode)  # (reach, tiles)
        name = "strided_taps" if size == 3 else f"strided_taps_{size}"
        taps = self.builder.constant(np.add.outer(2 * np.arange(TILE), np.arange(size)).astype(np.int32), name)
        return self.op("Transpose", self.op("Gather", at, taps, axis=0), perm=(0, 2, 1))

    def end(self, length: str, offset: int) -> str | int:
        """A coordinate counted from the beginning of a line, or, where it is negative, from its end."""
        return offset if offset >= 0 else self.op("Add", length, offset)

    def line(self, layout: Layout, at: str | int, across: bool) -> str:
        """Rows of the pixels of one line: row `at` of the image, from left to right, or column `at`, downwards."""
        if across:
            return self.index(layout, at, self.arange(layout.width))
        return self.index(layout, self.arange(layout.height), at)

    def doubled_taps(self, length: str, taps: int, pad_mode: str) -> str:
        """Coordinates in a line that a convolution reads of it when every pixel is doubled: (2 length * taps,)."""
        twice = self.op("Mul", length, 2)
        at = self.windows(twice, twice, window=taps, stride=1, lead=taps // 2, pad_mode=pad_mode)
        return self.op("Reshape", self.op("Transpose", self.op("Div", at, 2), perm=(1, 0)), self.builder.integers(-1))

    def bordered(self, size: str, border: int) -> str:
        """Coordinates of a line with a reflected border."""
        line = self.op("Sub", self.arange(self.op("Add", size, 2 * border)), border)
        last = self.op("Sub", size, 1)
        return self.op("Sub", last, self.op("Abs", self.op("Sub", last, self.op("Abs", line))))

    def group_lines(self, height: str, groups: str, border: int) -> str:
        """Index that gives each group of neighbouring pixels of a bordered picture its two neighbours."""
        lines = self.op("Mul", self.arange(self.op("Add", height, 2 * border)), self.op("Add", groups, 2))
        across = self.op("Add", self.spread(self.arange(groups), 0, of=2), self.axis_constant(3, 1, of=2))
        return self.sum_over_lines(lines, across)

    def group_windows(self, height: str, groups: str, size: int) -> str:
        """Index of the `size` lines that each group of output pixels reads."""
        lines = self.op("Mul", self.arange(height), groups)
        below = self.op("Mul", self.axis_constant(size, 1, of=2), groups)
        return self.sum_over_lines(lines, self.op("Add", self.spread(self.arange(groups), 0, of=2), below))

    def sum_over_lines(self, lines: str, within: str) -> str:
        """lines (l,) + within (any shape), as one index: for each line all of `within`."""
        within = self.op("Reshape", within, self.builder.integers(1, -1))
        total = self.op("Add", self.op("Unsqueeze", lines, self.builder.integers(1)), within)
        return self.op("Reshape", total, self.builder.integers(-1))

    def picture_bands(self, layout: Layout, size: int, group: int, bands: int, pad_mode: str) -> list["PictureBand"]:
        """For each of several bands of lines: what the last convolution reads, and where its triples belong."""
        groups = self.op("Div", layout.width, group)
        x = self.windows(groups, layout.width, window=group + size - 1, stride=group, lead=size // 2, pad_mode=pad_mode)
        x = self.op("Unsqueeze", self.op("Transpose", x, perm=(1, 0)), self.builder.integers(0))
        lines = self.windows(layout.height, layout.height, window=size, stride=1, lead=size // 2, pad_mode=pad_mode)
        result = []
        for band in range(bands):
            start, stop = (self.op("Div", self.op("Mul", layout.height, k), bands) for k in (band, band + 1))
            top = self.op("Max", self.op("Sub", start, size // 2), 0)
            end = self.op("Min", self.op("Add", stop, size // 2), layout.height)
            y = self.op("Unsqueeze", self.op("Range", top, end, 1), self.builder.integers(1, 2))
            # Not a Gather of a Range: ONNX Runtime 1.32 rewrites that into a Slice with scalar bounds, which it then
            # refuses.
            ends = [self.op("Reshape", self.int64(end), self.builder.integers(1)) for end in (start, stop)]
            own = self.op("Slice", lines, *ends, self.builder.integers(1))  # (size, lines of the band)
            at = self.op("Mul", self.op("Sub", own, top), self.op("Mul", layout.width, size))
            at = self.op("Unsqueeze", self.op("Add", at, self.axis_constant(size, 0, of=2)), self.builder.integers(2))
            pixels = self.spread(self.op("Mul", self.arange(layout.width), size), 2, of=3)
            triples = self.op("Reshape", self.op("Add", at, pixels), self.builder.integers(-1))
            result.append(PictureBand(self.index(layout, y, x), triples))
        return result

    def axis_constant(self, count: int, dimension: int, of: int) -> str:
        """0 .. count - 1 along one of several dimensions."""
        shape = [count if axis == dimension else 1 for axis in range(of)]
        return self.builder.constant(np.arange(count, dtype=np.int32).reshape(shape), f"axis_{count}_{dimension}_{of}")

    def total(self, first: str, *others: str) -> str:
        for other in others:
            first = self.op("Add", first, other)
        return first

    def float(self, value: str) -> str:
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def int64(self, value: str) -> str:
        return self.op("Cast", value, to=TensorProto.INT64)

    def one(self) -> str:
        return self.builder.constant(np.array(1, np.float32), "one")
