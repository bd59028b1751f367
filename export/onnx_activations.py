"""Activations of the graphs made of convolutions: where their channels are, their precision, and their borders."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.folded_weights import Weights

ONNX_MODES = {"reflect": "reflect", "replicate": "edge", "zero": "constant"}


class Layout(NamedTuple):
    """The axes of an activation; the batch is the first."""

    channels: int
    plane: tuple[int, int]
    """Height and width, which are neighbours."""


CHANNELS_FIRST = Layout(1, (2, 3))
CHANNELS_LAST = Layout(3, (1, 2))


class ActivationWriter:
    """Writes what every operation on activations needs. float16 is for storage: computing is between `wide` and
    `narrow`.
    """

    def __init__(self, builder: OnnxBuilder, layout: Layout, *, half: bool) -> None:
        """half: whether activations are float16."""
        self.builder, self.node = builder, builder.node
        self.layout, self.half = layout, half
        self.interiors: dict[str, str] = {}

    def wide(self, x: str) -> str:
        """In float32."""
        return self.node("Cast", x, to=TensorProto.FLOAT) if self.half else x

    def narrow(self, x: str) -> str:
        """float32 in the precision of the engine."""
        return self.node("Cast", x, to=TensorProto.FLOAT16) if self.half else x

    def stored(self, weights: Weights, name: str) -> str:
        """A tensor that these weights have."""
        return self.builder.constant(weights.get_buffer(name).numpy(), weights.name(name))

    def per_channel(self, values: NDArray[np.float32], name: str) -> str:
        """A vector that broadcasts over the pixels of an activation."""
        return self.builder.constant(np.expand_dims(values, (0, *self.layout.plane)), name)

    def from_planes(self, x: str) -> str:
        """(n, c, h, w) in this layout; ONNX's convolutions have their channels first."""
        return x if self.layout == CHANNELS_FIRST else self.node("Transpose", x, perm=[0, 2, 3, 1])

    def planes(self, x: str) -> str:
        """The opposite of `from_planes`."""
        return x if self.layout == CHANNELS_FIRST else self.node("Transpose", x, perm=[0, 3, 1, 2])

    def from_pixels(self, x: str) -> str:
        """(n, h, w, c), as pictures are, in this layout."""
        return x if self.layout == CHANNELS_LAST else self.node("Transpose", x, perm=[0, 3, 1, 2])

    def bordered(self, x: str, pad: int, mode: str = "reflect") -> str:
        """x with `pad` more pixels on every side; what it was before is not forgotten, see `interior`."""
        if pad == 0:
            return x
        wider = self.node("Pad", x, self.builder.integers(*self.borders(pad)), mode=ONNX_MODES[mode])
        self.interiors[wider] = x
        return wider

    def finished(
        self, y: str, slope: float | None, residual: str | None, pad: int, pad_mode: str, residual_border: int = 1
    ) -> str:
        """What every stage ends with: ReLU, the addition of the interior of `residual`, and a border. y: float32.

        slope: of the ReLU below zero; None for none.
        """
        if slope is not None:
            y = self.node("LeakyRelu", y, alpha=slope) if slope else self.node("Relu", y)
        if residual is not None:
            y = self.node("Add", y, self.interior(residual) if residual_border else self.wide(residual))
        return self.bordered(self.narrow(y), pad, pad_mode)

    def borders(self, pad: int) -> list[int]:
        """ONNX's way to say `pad` pixels on every side: before each axis, then after each."""
        before = [pad if axis in self.layout.plane else 0 for axis in range(4)]
        return before * 2

    def interior(self, x: str) -> str:
        """x without its border of 1, in float32."""
        return self.wide(self.inside(x))

    def inside(self, x: str) -> str:
        """x without its border of 1."""
        known = self.interiors.get(x)
        return self.cut(x, self.layout.plane, (1, 1), (-1, -1)) if known is None else known

    def cut(self, x: str, axes: Sequence[int], starts: Sequence[int], stops: Sequence[int]) -> str:
        """x from `start` to `stop` along each of some axes; a stop of 0 is the end."""
        ends = [stop or 2**63 - 1 for stop in stops]
        return self.node("Slice", x, *(self.builder.integers(*values) for values in (starts, ends, axes)))

    def split(self, x: str, parts: int, axis: int) -> list[str]:
        """Equal parts."""
        return self.builder.nodes_with("Split", parts, x, axis=axis, num_outputs=parts)

    def reduced(self, kind: str, x: str, *axes: int, **attributes: Any) -> str:
        """A reduction that keeps its axes."""
        return self.node(kind, x, self.builder.integers(*axes), keepdims=1, **attributes)
