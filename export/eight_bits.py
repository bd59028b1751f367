"""The folded network in eight bits: the scales that every runtime's form stands on, and what they do to a picture.

    activation  uint8, one scale and zero point each, fixed by photos        x = scale * (q - zero)
    kernel      int8 in [-127, 127], one scale an output channel             w = scale[o] * q
    sums        int32, exact; norms, style and residual streams in float32

TensorRT has other numbers, around zero and beside float16: `around_zero` says which.

The first convolution reads the picture's own bytes, with no rounding at all. A place (the convolutions by their names
in the folded network, and "style", the first linear layer of a full generator) has eight bits where `EightBits.spans`
names it, and float32 elsewhere. Between the two: where `EightBits.fine` names it, what it reads is two bytes, a uint8
as above and one more for what that leaves, and its kernels are int8 all the same. `Emulated` is the plain meaning of
all this, in PyTorch: every integer here is far below 2^24, so that float32 holds it exactly.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ugatit_fast.engine import EightBitFacts
from ugatit_fast.export.around_zero import AroundZero
from ugatit_fast.export.calibration import STYLE, Calibration, Reading, drawn
from ugatit_fast.export.equalise import equalised
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, StageWeights, StyleWeights
from ugatit_fast.graph import FoldedNetwork, TorchOperations
from ugatit_fast.kernels.padding import interior
from ugatit_fast.media.images import Pixels

PICTURE = "stem"
"""The place that reads the picture."""
LEVELS = 255
"""Steps of a uint8."""
LARGEST_KERNEL = 127
"""Of an int8 kernel: -128 has no counterpart, and none is needed."""
CONVOLUTION_AXES = 4
BYTES_AT_ONCE = 16
"""Channels that TensorRT's convolutions of eight bits come in."""
TRUNK_TAPS = {2, 3}
"""Sides of its kernels; those of 2 are the phases of an up-sampling one."""
SMALLEST_SCALE = 1e-12
"""What a channel of zeros has: it stays zero, and nothing is divided by zero."""


@dataclass(frozen=True)
class Span:
    """What one place reads lies from low to high, and zero with it."""

    low: float
    high: float

    @classmethod
    def of(cls, place: str, reading: Reading) -> "Span":
        """What a place reads; the picture's is that of its bytes, whatever the photos had of them."""
        return cls(-1, 1) if place == PICTURE else cls(float(reading.low.min()), float(reading.high.max()))

    @property
    def scale(self) -> float:
        """Of uint8 with `zero`, as the nearest float32."""
        return float(np.float32(max((self.high - self.low) / LEVELS, SMALLEST_SCALE)))

    @property
    def zero(self) -> int:
        """The uint8 that stands for 0."""
        return min(max(round(-self.low / self.scale), 0), LEVELS)

    @property
    def rest_scale(self) -> float:
        """Of the second byte, around 128: what the first leaves is half a step at most."""
        return float(np.float32(self.scale / (2 * LARGEST_KERNEL)))

    @property
    def largest(self) -> float:
        """Magnitude."""
        return max(-self.low, self.high)


@dataclass(frozen=True)
class EightBits:
    """A network, the same function as the float32 one, with what of it is rounded to eight bits, and how."""

    even: FoldedNetwork
    """Its channels scaled, in float32."""
    spans: Mapping[str, Span]
    """Of the places in eight bits, in the order of the network."""
    fine: Mapping[str, Span]
    """Of the places that read two bytes; a runtime that has no such thing computes them in float32."""
    means: Mapping[str, NDArray[np.float32]]
    """(o,) of each channel that a place makes, without its bias, over the photos."""
    multiply_adds: Mapping[str, int]
    """Of every place, whether it has eight bits or not."""
    photos: int
    """That the spans are from."""
    rounded: Mapping[str, Tensor] = field(default_factory=dict)
    """Kernels of places that have better ones than the nearest bytes: float32 that eight bits hold exactly."""
    around_zero: AroundZero | None = None
    """What the bytes are for TensorRT, which knows no zero points; None: what stands at the top of this file."""

    @cached_property
    def folded(self) -> FoldedNetwork:
        """The network to run or to write: with rounded kernels where it has bytes, as it was where it has not."""
        kernels = {f"{place}.weight": kernel for place, kernel in self.rounded.items() if self.span(place) is not None}
        return self.even.with_tensors({**self.even.tensors(), **kernels}) if kernels else self.even

    @classmethod
    def of(cls, folded: FoldedNetwork, calibration: Calibration) -> "EightBits":
        """All places of a network in eight bits, but convolutions of single channels, which have little to multiply."""
        even, measured = equalised(folded, calibration)
        readings, tensors = measured.readings, even.tensors()
        spans = {place: Span.of(place, reading) for place, reading in readings.items()}
        return cls(
            even,
            {
                place: span
                for place, span in spans.items()
                if reads_all(readings[place], tensors.get(f"{place}.weight"))
            },
            {},
            {place: reading.made for place, reading in readings.items()},
            {place: reading.multiply_adds for place, reading in readings.items()},
            measured.photos,
        )

    def only(self, places: Collection[str]) -> "EightBits":
        """The same with float32 everywhere else."""
        spans, fine = (
            {place: span for place, span in kind.items() if place in places} for kind in (self.spans, self.fine)
        )
        return replace(self, spans=spans, fine=fine)

    def without(self, places: Collection[str]) -> "EightBits":
        """The same with float32 there."""
        return self.only(set(self.multiply_adds) - set(places))

    def refined(self, places: Collection[str]) -> "EightBits":
        """The same with two bytes instead of one there, but for the picture, whose bytes are all there is."""
        moved = {place: span for place, span in self.spans.items() if place in places and place != PICTURE}
        rest = {place: span for place, span in self.spans.items() if place not in moved}
        return replace(self, spans=rest, fine={**self.fine, **moved})

    def for_tensor_cores(self, numbers: AroundZero) -> "EightBits":
        """The same in eight bits around zero, in the places that TensorRT's convolutions of these take."""
        tensors = self.even.tensors()
        places = [place for place in self.spans if fits_tensor_cores(tensors.get(f"{place}.weight"))]
        return replace(self.only(places), around_zero=numbers)

    def scale(self, span: Span) -> float:
        """Of what a place reads."""
        return self.around_zero.scale(span.largest) if self.around_zero else span.scale

    def lost(self, place: str) -> NDArray[np.float32]:
        """(o, i): what rounding to int8 took from the sum of each kernel's taps."""
        exact, weight = (one.tensors()[f"{place}.weight"].numpy() for one in (self.even, self.folded))
        kernels, scale = eight_bit_kernels(weight)
        lost = exact.sum((2, 3), dtype=np.float64) - kernels.sum((2, 3), dtype=np.float64) * scale[:, None]
        return lost.astype(np.float32)

    def span(self, place: str) -> Span | None:
        """Of what a place reads; None where that is float32."""
        return self.spans.get(place) or self.fine.get(place)

    @property
    def has_bytes(self) -> bool:
        """Whether any place has eight bits."""
        return bool(self.spans or self.fine)

    def facts(self) -> EightBitFacts:
        """For the engine's description."""
        halves = self.around_zero is not None
        return EightBitFacts(
            calibration_photos=self.photos,
            layers_of_two_bytes=tuple(self.fine),
            layers_in_float32=() if halves else self.without_bytes,
            layers_in_float16=self.without_bytes if halves else (),
        )

    @property
    def without_bytes(self) -> tuple[str, ...]:
        """The places that have none: in float32, or for TensorRT in float16."""
        return tuple(place for place in self.multiply_adds if self.span(place) is None)


def reads_all(reading: Reading, weight: Tensor | None) -> bool:
    """Whether a kernel (o, c, h, w), where a place has one, reads every channel that is there, not one each."""
    return weight is None or weight.shape[1] == len(reading.low)


def fits_tensor_cores(weight: Tensor | None) -> bool:
    """Whether a kernel (o, c, h, w) is one of those between the ends that all the time goes to: convolutions of a few
    taps, of as many channels as tensor cores multiply bytes by.
    """
    if weight is None or weight.ndim != CONVOLUTION_AXES:
        return False
    outputs, inputs, *taps = weight.shape
    return not outputs % BYTES_AT_ONCE and not inputs % BYTES_AT_ONCE and set(taps) <= TRUNK_TAPS


def minds_means(weights: ConvolutionWeights | AttentionWeights) -> bool:
    """Whether what follows a convolution sees the means of its channels: a layer norm, or an image of four phases
    (nothing else has kernels of 2x2), which have to be alike where it has one colour. Then what rounding took from the
    kernels' sums is given back: a norm over a picture of one colour, which has no other variance, would draw it.
    """
    return weights.weight.shape[2] == 2 or (isinstance(weights, StageWeights) and weights.rho is not None)


def eight_bit_kernels(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(o, ...) float32 -> the nearest int8 of the same shape, and the scale (o,) of each output channel."""
    outputs = len(weight)
    largest = np.abs(weight.reshape(outputs, -1)).max(1)
    scale = (np.maximum(largest, SMALLEST_SCALE * LARGEST_KERNEL) / LARGEST_KERNEL).astype(np.float32)
    spread = scale.reshape(outputs, *[1] * (weight.ndim - 1))
    return np.clip(np.rint(weight / spread), -LARGEST_KERNEL, LARGEST_KERNEL).astype(np.int8), scale


class Emulated(TorchOperations):
    """The folded network with eight bits where there are spans; sums are as exact as float32 makes them."""

    def __init__(self, eight: EightBits) -> None:
        super().__init__(torch.float32)
        self.eight = eight
        self.kernels: dict[str, tuple[Tensor, Tensor]] = {}

    def convolved(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> Tensor:
        place = weights.prefix
        span = self.eight.span(place)
        if span is None:
            return super().convolved(x, weights, stride)
        kernel, scale = self.kernel(place, weights.weight)
        result = F.conv2d(self.read(x, place, span), kernel, stride=stride)
        result *= (scale * self.eight.scale(span))[:, None, None]
        given_back = self.eight.around_zero is None and minds_means(weights)
        return result + self.given_back(x, weights, span) if given_back else result

    def given_back(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, span: Span) -> Tensor:
        """What rounding took from the sums of kernels, times the mean of what they read, (n, o, 1, 1)."""
        average = levels(interior(x, 1), span).mean((2, 3)) * span.scale
        return (average @ torch.from_numpy(self.eight.lost(weights.prefix)).T)[:, :, None, None]

    def read(self, x: Tensor, place: str, span: Span) -> Tensor:
        """What a place reads of an activation, in steps of its scale."""
        if self.eight.around_zero:
            return self.eight.around_zero.nearest(x / self.eight.scale(span))
        read = x / span.scale if place == PICTURE else levels(x, span)
        if place in self.eight.fine:
            read = read + rest(x, read, span) * (span.rest_scale / span.scale)
        return read

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        span = self.eight.span(STYLE)
        if span is None:
            return super().style(attended, weights)
        read = self.read(attended, STYLE, span) * span.scale
        kernel, scale = self.kernel(STYLE, weights.first)
        tensors = {weights.name(name): tensor for name, tensor in weights.named_buffers()}
        first = {weights.name("first"): kernel * scale[:, None]}
        return super().style(read, StyleWeights(tensors | first, weights.prefix))

    def kernel(self, place: str, weight: Tensor) -> tuple[Tensor, Tensor]:
        if place not in self.kernels and self.eight.around_zero:
            numbers, half_scale = self.eight.around_zero.kernels(weight.numpy())
            self.kernels[place] = numbers, torch.from_numpy(half_scale.astype(np.float32))
        if place not in self.kernels:
            kernel, scale = eight_bit_kernels(weight.numpy())
            self.kernels[place] = torch.from_numpy(kernel.astype(np.float32)), torch.from_numpy(scale)
        return self.kernels[place]


def levels(x: Tensor, span: Span) -> Tensor:
    """The nearest uint8 less the zero point, as float32 integers; what is beyond the span takes its ends."""
    return ((x / span.scale).round() + span.zero).clamp(0, LEVELS) - span.zero


def rest(x: Tensor, read: Tensor, span: Span) -> Tensor:
    """The second byte less 128, as float32 integers, where the first made `read` of x."""
    return ((x - read * span.scale) / span.rest_scale).round().clamp(-128, 127)


def emulate(eight: EightBits, pictures: list[Pixels]) -> NDArray[np.uint8]:
    """What an engine makes of pictures, uint8 (h, w, 3) each: uint8 (n, h, w, 3), as `calibration.drawn`."""
    with torch.inference_mode():
        return torch.cat(list(drawn(eight.folded, Emulated(eight), pictures))).numpy()
