"""Pixel rows at half and at twice the size, written into an ONNX graph: results are products of the nine pixels of a
window with a few weights, for all channels and windows at once. Weights add up to 1, so that constants stay.
"""

from dataclasses import replace

import numpy as np

from ugatit_fast.choices import Upsampling
from ugatit_fast.export.row_writer import Rows, RowWriter
from ugatit_fast.export.winograd import Matrix, plane

WINDOW = 3
"""Pixels a side that are read."""
BLUR: Matrix = np.array([[1, 2, 1]]) / 4
"""One result a window."""
BILINEAR: dict[Upsampling, Matrix] = {
    "half-pixel": np.array([[1, 3, 0], [0, 3, 1]]) / 4,
    "tensorflow": np.array([[0, 2, 0], [0, 1, 1]]) / 2,
}
"""The two results of a pixel in one direction, a row each."""


class RowResampling(RowWriter):
    """See `halve` and `double` of `ugatit_fast.graph.Operations`."""

    def halved(self, x: Rows) -> Rows:
        """In the order in which convolutions leave their rows, so that it can be added to what they make of it."""
        height, width = (self.rows.op("Div", side, 2) for side in (x.layout.height, x.layout.width))
        (windows,) = self.rows.strided_windows(x.layout, WINDOW, "reflect", bands=1)
        by_place = self.rows.op("Reshape", windows, self.builder.integers(-1, WINDOW**2))
        index = self.rows.op("Reshape", self.rows.op("Transpose", by_place, perm=(1, 0)), self.builder.integers(-1))
        return replace(x, value=self.mixed(x, index, BLUR), layout=self.rows.tiled(height, width))

    def doubled(self, x: Rows, grid: Upsampling) -> Rows:
        if grid == "align-corners":
            return self.stretched(self.stretched(x, down=True), down=False)
        index = self.rows.raster_windows(x.layout, WINDOW, "replicate")
        low = self.rows.raster(x.layout.height, x.layout.width, multiple=1)
        layout = self.rows.doubled(low, phases_first=True)
        return replace(x, value=self.mixed(x, index, BILINEAR[grid]), layout=layout)

    def stretched(self, x: Rows, *, down: bool) -> Rows:
        """Corners onto corners, in one direction: pixels are further apart in larger pictures."""
        rows, height, width = self.rows, x.layout.height, x.layout.width
        before, after, share = rows.between_corners(height if down else width)
        other = rows.spread(rows.arange(width if down else height), 1 if down else 0, of=2)
        along = [rows.spread(place, 0 if down else 1, of=2) for place in (before, after)]
        index = [rows.index(x.layout, *((at, other) if down else (other, at))) for at in along]
        first, second = (self.node("Gather", x.value, one, axis=1) for one in index)
        height, width = (rows.op("Mul", height, 2), width) if down else (height, rows.op("Mul", width, 2))
        shape = self.shape_of(height, width, x.channels)
        apart = self.node("Reshape", self.node("Sub", second, first), shape)
        moved = self.node("Mul", apart, rows.spread(share, 0 if down else 1, of=3))
        value = self.node("Add", first, self.reshape(moved, 0, -1, x.channels))
        return replace(x, value=value, layout=rows.raster(height, width, multiple=1 if down else 4))

    def mixed(self, x: Rows, index: str, weights: Matrix) -> str:
        """For every row of `weights` down and every one across, the sums of all windows: (n, rows squared * windows,
        c). index: of a window's first pixel in all windows, then of its second, ...
        """
        windows = self.reshape(self.node("Gather", x.value, index, axis=1), 0, WINDOW**2, -1)
        sums = self.node("MatMul", self.shared(plane(weights, weights)), windows)
        return self.reshape(sums, 0, -1, x.channels)
