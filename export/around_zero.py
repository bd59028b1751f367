"""Eight bits around zero, as TensorRT multiplies them: int8, or float8 of 4 bits of exponent and 3 of mantissa (E4M3).

    activation  one scale, that its largest value of photos is the largest number there is    x = scale * q
    kernel      one scale an output channel, likewise                                         w = scale[o] * q

There are no zero points. What isn't in eight bits is float16 there, and so are scales: no value is beyond the ends,
since a scale is rounded upwards. (Micikevicius et al., arXiv 2209.05433, for E4M3.)
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

from ugatit_fast.choices import Precision

SMALLEST_SCALE = np.float16(2**-20)
"""Sixteen times the smallest float16, so that rounding upwards costs 6 % of the steps at most."""


@dataclass(frozen=True)
class AroundZero:
    """Numbers of eight bits, symmetric."""

    dtype: torch.dtype
    largest: int
    onnx_type: int
    """`TensorProto`'s."""

    def scales(self, largest: NDArray[np.float32]) -> NDArray[np.float16]:
        """By which values up to these (same shape) become numbers."""
        exact = largest / np.float32(self.largest)
        nearest = exact.astype(np.float16)
        upwards = np.where(nearest < exact, np.nextafter(nearest, np.float16(np.inf)), nearest)
        return np.maximum(upwards, SMALLEST_SCALE).astype(np.float16)

    def scale(self, largest: float) -> float:
        """Of one activation."""
        return float(self.scales(np.array(largest, np.float32)))

    def nearest(self, x: Tensor) -> Tensor:
        """The number that stands for each value, in steps of its scale: of the same shape and dtype."""
        within = x.clamp(-self.largest, self.largest)
        return within.round() if self.dtype == torch.int8 else within.to(self.dtype).to(x.dtype)

    def kernels(self, weight: NDArray[np.float32]) -> tuple[Tensor, NDArray[np.float16]]:
        """(o, ...) -> the numbers in float32, of the same shape, and the scale (o,) of each output channel."""
        scale = self.scales(np.abs(weight.reshape(len(weight), -1)).max(1))
        spread = scale.astype(np.float32).reshape(len(weight), *[1] * (weight.ndim - 1))
        return self.nearest(torch.from_numpy(weight / spread)), scale

    def tensor(self, numbers: Tensor, name: str) -> TensorProto:
        """As ONNX stores them, a byte each."""
        stored = numbers.to(self.dtype).contiguous().view(torch.uint8).numpy()
        return helper.make_tensor(name, self.onnx_type, list(numbers.shape), stored.tobytes(), raw=True)


INT8 = AroundZero(torch.int8, 127, TensorProto.INT8)
FLOAT8 = AroundZero(torch.float8_e4m3fn, 448, TensorProto.FLOAT8E4M3FN)
NUMBERS: dict[Precision, AroundZero] = {"int8": INT8, "fp8": FLOAT8}
"""Of an engine's precision."""
