"""The folded network as pixel rows, but for its hourglasses, which are convolutions: in float32 on CPUs, the fastest of
each.

A convolution of few channels gains nothing by Winograd, whose windows are more than twice what it reads; one of many is
worth the two transpositions at either end of a trunk of them. So an hourglass's activations are planes, (n, c, h, w),
from its first verb on, until a convolution halves the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ugatit_fast.export.onnx_activations import CHANNELS_FIRST
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.onnx_rows import RowOperations
from ugatit_fast.export.pixel_rows import Layout
from ugatit_fast.export.row_convolutions import PICTURE_MULTIPLE
from ugatit_fast.export.row_writer import Rows
from ugatit_fast.folded_weights import ConvolutionWeights, StageWeights
from ugatit_fast.graph import FoldedNetwork, StageOptions

NO_ROWS = Layout("", "", "", "", "", multiple=0, together=0, bands=0)


@dataclass(frozen=True)
class Planes(Rows):
    """An activation that isn't rows."""

    plane: str = ""
    """(n, channels, h, w), with its border."""


class RowsAroundPlanes(RowOperations):
    """Writes the folded network down as either; see `ugatit_fast.graph.Operations`."""

    def __init__(self, builder: OnnxBuilder, folded: FoldedNetwork) -> None:
        super().__init__(builder)
        self.planes = ConvolutionOperations(builder, folded, CHANNELS_FIRST)
        self.made: dict[tuple[str, str | None], str] = {}
        """Rows and their constant -> the planes that were made of them."""

    def stage(
        self,
        x: Rows,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: tuple[str, str] | None = None,
        residual: Rows | None = None,
    ) -> Rows:
        if not isinstance(x, Planes) or options.stride != 1:
            return super().stage(self.rows_of(x), weights, options, style=style, residual=residual)
        added = None if residual is None else self.planes_of(residual)
        return self.planes_like(self.planes.stage(x.plane, weights, options, residual=added), len(weights.weight))

    def preactivated(self, x: Rows, weights: StageWeights) -> Rows:
        return self.planes_like(self.planes.preactivated(self.planes_of(x), weights), len(weights.weight))

    def joined_onto(self, x: Rows, parts: Sequence[Rows]) -> Rows:
        given = [self.planes_of(part) for part in parts]
        return self.planes_like(self.planes.joined_onto(self.planes_of(x), given), x.channels)

    def pooled(self, x: Rows) -> Rows:
        return self.planes_like(self.planes.pooled(self.planes_of(x)), x.channels)

    def doubled_onto(self, x: Rows, skipped: Rows) -> Rows:
        return self.planes_like(self.planes.doubled_onto(*map(self.planes_of, (x, skipped))), x.channels)

    def to_image(self, x: Rows, weights: ConvolutionWeights, shift: tuple[str, str] | None = None) -> str:
        if isinstance(x, Planes):
            return self.planes.to_image(x.plane, weights)
        return super().to_image(x, weights, shift)

    def planes_like(self, plane: str, channels: int) -> Planes:
        return Planes("", NO_ROWS, channels, plane=plane)

    def planes_of(self, x: Rows) -> str:
        if isinstance(x, Planes):
            return x.plane
        key = (x.value, x.constant)
        if key not in self.made:
            shape = self.shape_of(x.layout.height, x.layout.width, x.channels)
            pixels = self.node("Reshape", self.in_raster_order(x), shape)
            self.made[key] = self.node("Transpose", pixels, perm=[0, 3, 1, 2])
        return self.made[key]

    def rows_of(self, x: Rows) -> Rows:
        """Without the border, which rows never have."""
        if not isinstance(x, Planes):
            return x
        pixels = self.node("Transpose", self.planes.interiors.get(x.plane, x.plane), perm=[0, 2, 3, 1])
        height, width = (self.rows.size_of(pixels, axis) for axis in (1, 2))
        layout = self.rows.raster(height, width, multiple=PICTURE_MULTIPLE)
        return Rows(self.reshape(pixels, 0, -1, x.channels), layout, x.channels)
