"""The folded network in eight bits as OpenVINO runs it fastest: convolutions of uint8 activations and int8 kernels.

Every convolution that has eight bits reads a `DequantizeLinear` of its activation and one of its kernels, in standard
operators, and OpenVINO makes one of the three; all else is float32. Whoever reads an activation rounds it, so the
border is put around bytes, and the four phases of an up-sampling convolution are woven into one image as bytes, too.
Each phase is a convolution of its own whose border is where it needs one: cut out of one convolution with a border all
around, they would be copied once more, in float32.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ugatit_fast.choices import Upsampling
from ugatit_fast.export.calibration import STYLE
from ugatit_fast.export.eight_bits import EightBits, eight_bit_kernels
from ugatit_fast.export.fused_norms import FusedNorms
from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, ONNX_MODES
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.onnx_norms import Ending
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, StageWeights, StyleWeights
from ugatit_fast.graph import StageOptions

HALF_RANGE = 127.5
"""Of a picture's levels: -1 is 0, 1 is 255."""
MIDDLE = 128
"""The byte that stands for 0: of a picture, whose middle is 127.5, for half a level more."""
Edges = tuple[int, int, int, int]
"""Pixels of a border: above, left, below, right."""


class QuantisedConvolutions(ConvolutionOperations):
    """Writes the folded network down with eight bits where `EightBits` has them; see `ugatit_fast.graph.Operations`."""

    def __init__(self, builder: OnnxBuilder, eight: EightBits) -> None:
        super().__init__(builder, eight.folded, CHANNELS_FIRST)
        self.eight = eight
        self.fused = FusedNorms(self)
        self.norms = self.fused
        self.frames: dict[str, tuple[int, str]] = {}
        """Of activations, put around them by who reads them."""
        self.phases: dict[str, list[str]] = {}
        """First phase of an activation -> all four; the activation goes by the name of the first."""
        self.rounded_for: dict[tuple[str, str], list[tuple[str, float, int]]] = {}
        """See `levels`."""
        self.scalar = builder.scalar
        self.picture = self.picture_bytes = ""
        """The picture, uint8 with channels first; and as the first convolution reads that, where it does."""

    def normalise(self, image: str, pad: int, pad_mode: str = "reflect") -> str:
        self.picture = self.bordered(self.from_pixels(image), pad, pad_mode)
        return self.picture

    def up_stage(self, x: str, weights: StageWeights, options: StageOptions) -> str:
        corners = [(a, b) for a in (0, 1) for b in (0, 1)]
        kernels = np.split(weights.weight.numpy(), len(corners))
        planes, apart = [], self.given_back(x, weights.prefix)
        for (a, b), kernel in zip(corners, kernels, strict=True):
            read = self.read(x, weights.prefix, (1 - a, 1 - b, a, b))
            planes.append(self.product(read, weights.prefix, kernel, f"{weights.name('weight')}.{a}{b}"))
        channels = len(kernels[0])
        ending = Ending(channels=channels, options=replace(options, pad=0))
        if options.norm:
            self.fused.apart[planes[0]] = apart
            made = self.fused.phases(planes, weights, ending)
        else:
            whole = [self.node("Add", *both) for both in zip(planes, apart, strict=True)] if apart else planes
            made = [self.moved(plane, weights, ending) for plane in whole]
        self.phases[made[0]] = made
        return self.bordered(made[0], options.pad, options.pad_mode)

    def joined(self, skipped: str, x: str) -> str:
        return self.bordered(super().joined(self.interior(skipped), self.interior(x)), *self.frames[x])

    def preactivated(self, x: str, weights: StageWeights) -> str:
        return self.borderless(super().preactivated(self.interior(x), weights))

    def joined_onto(self, x: str, parts: Sequence[str]) -> str:
        return self.borderless(super().joined_onto(self.interior(x), parts))

    def pooled(self, x: str) -> str:
        return self.borderless(super().pooled(self.interior(x)))

    def doubled_onto(self, x: str, skipped: str) -> str:
        return self.borderless(super().doubled_onto(self.interior(x), self.interior(skipped)))

    def borderless(self, x: str) -> str:
        return self.bordered(x, 0)

    def halve(self, x: str, *, pad: int, pad_mode: str) -> str:
        return super().halve(self.whole(x), pad=pad, pad_mode=pad_mode)

    def double(
        self, x: str, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel", residual: str | None = None
    ) -> str:
        return super().double(self.interior(x), pad=pad, pad_mode=pad_mode, grid=grid, residual=residual)

    def given_back(self, x: str, place: str) -> list[str]:
        """What rounding took from each phase's kernels, times the mean of what they read, (n, c, 1, 1): a norm over one
        colour would draw the differences as a pattern. Empty where nothing was rounded.

        Of the other places that `eight_bits.minds_means` names it isn't given back: OpenVINO 2026.4 crashes while it
        compiles a network whose convolutions have biases then.
        """
        if self.eight.span(place) is None:
            return []
        average = self.reduced("ReduceMean", self.dequantised(*self.levels(x, place)[0]), *self.layout.plane)
        lost = np.split(self.eight.lost(place)[:, :, None, None], 4)
        stored = [self.builder.constant(one, f"{place}.lost.{phase}") for phase, one in enumerate(lost)]
        return [self.node("Conv", average, one) for one in stored]

    def convolved(self, x: str, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> str:
        place, kernel = weights.prefix, weights.weight.numpy()
        return self.product(self.read(x, place), place, kernel, weights.name("weight"), stride)

    def depthwise(self, x: str, weights: StageWeights) -> str:
        return super().depthwise(self.whole(x), weights)

    def product(self, read: list[str], place: str, weight: NDArray[np.float32], name: str, stride: int = 1) -> str:
        """The convolution of what a place reads, (n, c, h, w)."""
        given = [self.kernel(place, weight, name)]
        if read == [self.picture_bytes]:  # their zero is half a level too high
            half_a_level = weight.sum((1, 2, 3)) * np.float32(0.5 / HALF_RANGE)
            given.append(self.builder.constant(half_a_level, f"{name}.middle"))
        products = [self.node("Conv", one, *given, strides=[stride, stride]) for one in read]
        return products[0] if len(products) == 1 else self.node("Add", *products)

    def first_matrix(self, weights: StyleWeights) -> str:
        """Its columns are bytes, what it reads is float32: it is the matrix that takes the time to read."""
        return self.kernel(STYLE, weights.first.numpy(), weights.name("first"))

    # What a convolution reads -------------------------------------------------------------------------------------

    def bordered(self, x: str, pad: int, mode: str = "reflect") -> str:
        """x itself, whose border is known from now on."""
        self.frames[x] = (pad, mode)
        return x

    def interior(self, x: str) -> str:
        return self.woven(self.phases.get(x, [x]))

    def inside(self, x: str) -> str:
        return self.interior(x)

    def low(self, x: str) -> str:
        return self.interior(x)

    def wide(self, x: str) -> str:
        """Everything that isn't bytes is float32."""
        return self.interior(x)

    def whole(self, x: str) -> str:
        """x in float32, with its border."""
        pad, mode = self.frames[x]
        return self.framed(self.interior(x), (pad, pad, pad, pad), mode)

    def read(self, x: str, place: str, edges: Edges | None = None) -> list[str]:
        """What the convolution of a place reads of an activation: float32, a dequantised byte, or two that add up.

        edges: of the border, where it isn't the same on all sides.
        """
        pad, mode = self.frames[x]
        edges = edges or (pad, pad, pad, pad)
        if x == self.picture:
            return [self.read_picture(edges, mode, place)]
        if self.eight.span(place) is None:
            return [self.framed(self.interior(x), edges, mode)]
        return [
            self.dequantised(self.framed(levels, edges, mode, zero), scale, zero)
            for levels, scale, zero in self.levels(x, place)
        ]

    def levels(self, x: str, place: str) -> list[tuple[str, float, int]]:
        """The bytes that a place reads of an activation, with the scale and the zero point of each."""
        if (x, place) not in self.rounded_for:
            span, parts = self.eight.span(place), self.phases.get(x, [x])
            assert span is not None, "what has bytes has a scale"
            first = [self.rounded(part, span.scale, span.zero) for part in parts]
            bytes_read = [(self.woven(first), span.scale, span.zero)]
            if place in self.eight.fine:
                known = [self.dequantised(one, span.scale, span.zero) for one in first]
                rests = [self.node("Sub", *both) for both in zip(parts, known, strict=True)]
                second = [self.rounded(rest, span.rest_scale, MIDDLE) for rest in rests]
                bytes_read.append((self.woven(second), span.rest_scale, MIDDLE))
            self.rounded_for[x, place] = bytes_read
        return self.rounded_for[x, place]

    def read_picture(self, edges: Edges, mode: str, place: str) -> str:
        """No scale rounds it: it has eight bits. A border of zeros isn't among them: no byte is the middle."""
        if self.eight.span(place) is not None and mode != "zero":
            self.picture_bytes = self.dequantised(self.framed(self.picture, edges, mode), 1 / HALF_RANGE, MIDDLE)
            return self.picture_bytes
        scaled = self.node("Div", self.node("Cast", self.picture, to=TensorProto.FLOAT), self.scalar(HALF_RANGE))
        return self.framed(self.node("Sub", scaled, self.scalar(1)), edges, mode)

    def woven(self, phases: list[str]) -> str:
        """Four planes (n, c, h, w) as one image (n, c, 2 h, 2 w); one as it is."""
        if len(phases) == 1:
            return phases[0]
        return self.node("DepthToSpace", self.node("Concat", *phases, axis=1), blocksize=2, mode="DCR")

    def framed(self, x: str, edges: Edges, mode: str, zero: int | None = None) -> str:
        """x with a border; zero: the byte that stands for 0, where x has bytes."""
        if not any(edges):
            return x
        above, left, below, right = edges
        given = [self.builder.integers(0, 0, above, left, 0, 0, below, right)]
        if mode == "zero" and zero is not None:
            given.append(self.byte(zero))
        return self.node("Pad", x, *given, mode=ONNX_MODES[mode])

    def rounded(self, x: str, scale: float, zero: int) -> str:
        return self.node("QuantizeLinear", x, self.scalar(scale), self.byte(zero))

    def dequantised(self, x: str, scale: float, zero: int) -> str:
        return self.node("DequantizeLinear", x, self.scalar(scale), self.byte(zero))

    def byte(self, value: int) -> str:
        return self.builder.constant(np.array(value, np.uint8), f"u8_{value}")

    # Kernels ------------------------------------------------------------------------------------------------------

    def kernel(self, place: str, weight: NDArray[np.float32], name: str) -> str:
        """(o, ...) in float32, or as int8 with a scale an output channel."""
        if self.eight.span(place) is None:
            return self.builder.constant(weight, name)
        levels, scale = eight_bit_kernels(weight)
        stored = self.builder.constant(levels, name), self.builder.constant(scale, f"{name}.scale")
        return self.node("DequantizeLinear", *stored, axis=0)
