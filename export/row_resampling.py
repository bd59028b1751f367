"""Pixel rows at half and at twice the size, written into an ONNX graph: results are products of the nine pixels of a
window with a few weights, for all channels and windows at once. Weights add up to 1, so that constants stay.
"""

from dataclasses import replace

import numpy as np

from ugatit_fast.export.row_writer import Rows, RowWriter
from ugatit_fast.export.winograd import Matrix, plane

WINDOW = 3
"""Pixels a side that are read."""
BLUR: Matrix = np.array([[1, 2, 1]]) / 4
"""One result a window."""
BILINEAR: Matrix = np.array([[1, 3, 0], [0, 3, 1]]) / 4
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

    def doubled(self, x: Rows) -> Rows:
        index = self.rows.raster_windows(x.layout, WINDOW, "replicate")
        low = self.rows.raster(x.layout.height, x.layout.width, multiple=1)
        layout = self.rows.doubled(low, phases_first=True)
        layout = replace(layout, together=layout.multiple)  # every row is a pixel
        return replace(x, value=self.mixed(x, index, BILINEAR), layout=layout)

    def mixed(self, x: Rows, index: str, weights: Matrix) -> str:
        """For every row of `weights` down and every one across, the sums of all windows: (n, rows squared * windows,
        c). index: of a window's first pixel in all windows, then of its second, ...
        """
        windows = self.reshape(self.node("Gather", x.value, index, axis=1), 0, WINDOW**2, -1)
        sums = self.node("MatMul", self.shared(plane(weights, weights)), windows)
        return self.reshape(sums, 0, -1, x.channels)
