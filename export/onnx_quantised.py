"""The folded network in eight bits as OpenVINO runs it fastest: convolutions of uint8 activations and int8 kernels.

Every convolution that has eight bits reads a `DequantizeLinear` of its activation and one of its kernels, in standard
operators, and OpenVINO makes one of the three; all else is float32. Whoever reads an activation rounds it, so the
border is put around bytes, and the four phases of an up-sampling convolution are woven into one image as bytes, too.
Each phase is a convolution of its own whose border is where it needs one: cut out of one convolution with a border all
around, they would be copied once more, in float32.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ugatit_fast.export.calibration import STYLE
from ugatit_fast.export.eight_bits import EightBits, Span, eight_bit_kernels
from ugatit_fast.export.fused_norms import FusedNorms
from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, ONNX_MODES
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.onnx_norms import Ending
from ugatit_fast.graph import AttentionWeights, ConvolutionWeights, StageWeights, StyleWeights

HALF_RANGE = 127.5
"""Of a picture's levels: -1 is 0, 1 is 255."""
MIDDLE = 128
"""The level that stands for 0. It should be 127.5, and may be any: the first convolution's border is a reflected one,
so a constant that was added to the picture is one in every channel of the result, and leaves in the instance norm.
"""
Edges = tuple[int, int, int, int]
"""Pixels of a border: above, left, below, right."""


class QuantisedConvolutions(ConvolutionOperations):
    """Writes the folded network down with eight bits where `EightBits` has them; see `ugatit_fast.graph.Operations`."""

    def __init__(self, builder: OnnxBuilder, eight: EightBits) -> None:
        super().__init__(builder, eight.folded, CHANNELS_FIRST)
        self.eight = eight
        self.fused = FusedNorms(self, None)
        self.norms = self.fused
        self.borders: dict[str, tuple[int, str]] = {}
        """Of activations, put around them by who reads them."""
        self.phases: dict[str, list[str]] = {}
        """First phase of an activation -> all four; the activation goes by the name of the first."""
        self.picture = ""
        """The picture's own bytes, channels first."""

    def normalise(self, image: str, pad: int) -> str:
        self.picture = self.bordered(self.from_pixels(image), pad)
        return self.picture

    def up_stage(self, x: str, weights: StageWeights, *, unbiased: bool, pad: int, pad_mode: str) -> str:
        corners = [(a, b) for a in (0, 1) for b in (0, 1)]
        planes = []
        for (a, b), kernel in zip(corners, np.split(weights.weight.numpy(), 4), strict=True):
            stored = self.kernel(weights.prefix, kernel, f"{weights.name('weight')}.{a}{b}")
            planes.append(self.sum_of_products(self.read(x, weights.prefix, (1 - a, 1 - b, a, b)), stored))
        made = self.fused.phases(planes, weights, Ending(unbiased=unbiased, relu=True, pad=pad, pad_mode=pad_mode))
        self.phases[made[0]] = made
        return self.bordered(made[0], pad, pad_mode)

    def convolved(self, x: str, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> str:
        kernel = self.kernel(weights.prefix, weights.weight.numpy(), weights.name("weight"))
        return self.sum_of_products(self.read(x, weights.prefix), kernel, stride)

    def sum_of_products(self, read: list[str], kernel: str, stride: int = 1) -> str:
        """The convolution of all that a place reads."""
        products = [self.node("Conv", one, kernel, strides=[stride, stride]) for one in read]
        return products[0] if len(products) == 1 else self.node("Add", *products)

    def first_matrix(self, weights: StyleWeights) -> str:
        """Its columns are bytes, what it reads is float32: it is the matrix that takes the time to read."""
        return self.kernel(STYLE, weights.first.numpy(), weights.name("first"))

    # What a convolution reads -------------------------------------------------------------------------------------

    def bordered(self, x: str, pad: int, mode: str = "reflect") -> str:
        """x itself, whose border is known from now on."""
        self.borders[x] = (pad, mode)
        return x

    def interior(self, x: str) -> str:
        return x

    def read(self, x: str, place: str, edges: Edges | None = None) -> list[str]:
        """What the convolution of a place reads of an activation: float32, a dequantised byte, or two that add up.

        edges: of the border, where it isn't the same on all sides.
        """
        pad, mode = self.borders[x]
        edges = edges or (pad, pad, pad, pad)
        span, parts = self.eight.span(place), self.phases.get(x, [x])
        if x == self.picture:
            return [self.read_picture(edges, mode, span)]
        if span is None:
            return [self.framed(self.woven(parts), edges, mode)]
        scales = [self.parameters(span.scale, span.zero)]
        levels = [[self.node("QuantizeLinear", part, *scales[0]) for part in parts]]
        if place in self.eight.fine:
            scales.append(self.parameters(span.rest_scale, MIDDLE))
            known = [self.node("DequantizeLinear", level, *scales[0]) for level in levels[0]]
            rests = [self.node("Sub", *both) for both in zip(parts, known, strict=True)]
            levels.append([self.node("QuantizeLinear", rest, *scales[1]) for rest in rests])
        framed = [self.framed(self.woven(phases), edges, mode) for phases in levels]
        return [self.node("DequantizeLinear", one, *scale) for one, scale in zip(framed, scales, strict=True)]

    def read_picture(self, edges: Edges, mode: str, span: Span | None) -> str:
        """No scale rounds it: it has eight bits."""
        framed = self.framed(self.picture, edges, mode)
        if span is not None:
            return self.node("DequantizeLinear", framed, *self.parameters(1 / HALF_RANGE, MIDDLE))
        scaled = self.node("Div", self.node("Cast", framed, to=TensorProto.FLOAT), self.builder.scalar(HALF_RANGE))
        return self.node("Sub", scaled, self.builder.scalar(1))

    def woven(self, phases: list[str]) -> str:
        """Four planes (n, c, h, w) as one image (n, c, 2 h, 2 w); one as it is."""
        if len(phases) == 1:
            return phases[0]
        return self.node("DepthToSpace", self.node("Concat", *phases, axis=1), blocksize=2, mode="DCR")

    def framed(self, x: str, edges: Edges, mode: str) -> str:
        if not any(edges):
            return x
        above, left, below, right = edges
        ends = self.builder.integers(0, 0, above, left, 0, 0, below, right)
        return self.node("Pad", x, ends, mode=ONNX_MODES[mode])

    def parameters(self, scale: float, zero: int) -> tuple[str, str]:
        """Scale and zero point of an activation."""
        return self.builder.scalar(scale), self.builder.constant(np.array(zero, np.uint8), f"u8_{zero}")

    def kernel(self, place: str, weight: NDArray[np.float32], name: str) -> str:
        """(o, ...) in float32, or as int8 with a scale an output channel."""
        if self.eight.span(place) is None:
            return self.builder.constant(weight, name)
        levels, scale = eight_bit_kernels(weight)
        stored = self.builder.constant(levels, name), self.builder.constant(scale, f"{name}.scale")
        return self.node("DequantizeLinear", *stored, axis=0)
