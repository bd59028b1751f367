"""The folded network as ONNX convolutions: the form for GPUs (TensorRT, ONNX Runtime with CUDA) and for float16.

Activations have the precision of the engine. Statistics and long sums are float32 whatever that is, by explicit casts.
Channels come first where ONNX Runtime runs the graph: its convolutions take them so. For TensorRT they come last, as
its convolutions compute, and what lies between two convolutions becomes kernels without transpositions.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from onnx import TensorProto

from ugatit_fast.choices import Upsampling
from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, ONNX_MODES, ActivationWriter, Layout
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_guided import guided_filter
from ugatit_fast.export.onnx_norms import Ending, NativeNorms, Norms, Style, ended
from ugatit_fast.export.onnx_styles import given_numbers
from ugatit_fast.export.plugin_contract import PluginShapes, pixels_by_channels
from ugatit_fast.export.plugin_norms import PluginNorms
from ugatit_fast.folded_weights import (
    AttentionWeights,
    ConvolutionWeights,
    MlpWeights,
    SoftStyleWeights,
    StageWeights,
    StyleWeights,
    WideUpWeights,
)
from ugatit_fast.graph import FoldedNetwork, StageOptions
from ugatit_fast.kernels.image import COLOURS

GRIDS: Mapping[Upsampling, str] = {
    "align-corners": "align_corners",
    "half-pixel": "half_pixel",
    "tensorflow": "asymmetric",
}


NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


class ConvolutionOperations(ActivationWriter):
    """Writes the folded network down as convolutions; see `ugatit_fast.graph.Operations`."""

    def __init__(
        self,
        builder: OnnxBuilder,
        folded: FoldedNetwork,
        layout: Layout,
        *,
        size: tuple[int, int] | None = None,
        plugins: PluginShapes | None = None,
    ) -> None:
        """size: height and width of the picture, where they are fixed.

        plugins: write normalisations for our TensorRT plugins, for inputs of this shape.
        """
        super().__init__(builder, layout, half=folded.stem.weight.dtype == torch.float16)
        pixels = pixels_by_channels(folded, *size) if size else None
        self.norms: Norms = PluginNorms(self, plugins) if plugins else NativeNorms(self, pixels)

    def normalise(self, image: str, pad: int, pad_mode: str = "reflect") -> str:
        return self.bordered(self.narrow(self.from_pixels(self.centred(image))), pad, pad_mode)

    def centred(self, image: str) -> str:
        """uint8 pixels in [-1, 1], float32."""
        wide = self.node("Cast", image, to=TensorProto.FLOAT)
        return self.node("Sub", self.node("Div", wide, self.builder.scalar(127.5)), self.builder.scalar(1))

    def stage(
        self,
        x: str,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: Style | None = None,
        residual: str | None = None,
    ) -> str:
        ending = Ending(channels=len(weights.weight), options=options, style=style, residual=residual)
        convolved = self.depthwise(x, weights) if options.depthwise else self.convolved(x, weights, options.stride)
        image = self.from_planes(convolved)
        return self.norms.norm(image, weights, ending) if options.norm else self.moved(image, weights, ending)

    def up_stage(self, x: str, weights: StageWeights, options: StageOptions) -> str:
        image = self.from_planes(self.interleaved(self.convolved(x, weights)))
        ending = Ending(channels=len(weights.weight) // 4, options=options)
        return self.norms.norm(image, weights, ending) if options.norm else self.moved(image, weights, ending)

    def joined(self, skipped: str, x: str) -> str:
        return self.node("Concat", self.node("Relu", skipped), x, axis=self.layout.channels)

    def preactivated(self, x: str, weights: StageWeights) -> str:
        activated = self.norms.activated(x, weights.weight.shape[1])
        return self.from_planes(self.convolved(activated, weights))

    def joined_onto(self, x: str, parts: Sequence[str]) -> str:
        return self.node("Add", x, self.node("Concat", *parts, axis=self.layout.channels))

    def pooled(self, x: str) -> str:
        means = self.node("AveragePool", self.planes(x), kernel_shape=[2, 2], strides=[2, 2])
        return self.from_planes(means)

    def doubled_onto(self, x: str, skipped: str) -> str:
        repeated = self.node("Resize", self.planes(x), "", self.twice(), **NEAREST)
        return self.node("Add", self.from_planes(repeated), skipped)

    def twice(self) -> str:
        """The scales of `Resize`."""
        return self.builder.constant(np.array([1, 1, 2, 2], np.float32), "twice")

    def moved(self, x: str, weights: StageWeights, ending: Ending) -> str:
        """What follows a convolution without a normalisation: bias or shift, ReLU, addition, border."""
        y = self.wide(x)
        if ending.style is not None:
            y = self.node("Add", y, self.spread(ending.style))
        elif weights.bias is not None:
            y = self.node("Add", y, self.per_channel(weights.bias.numpy(), weights.name("bias")))
        return ended(self, y, ending)

    def spread(self, shift: Style) -> str:
        """A shift, so that it broadcasts over the pixels of an activation."""
        return self.node("Unsqueeze", shift[1], self.builder.integers(*self.layout.plane))

    def with_constants(self, x: str, more: int, shift: Style | None = None, *, pad_mode: str) -> str:
        inside, channels = self.inside(x), self.layout.channels
        constant = self.spread(shift) if shift else self.per_channel(np.zeros(more, np.float32), f"zeros_{more}")
        sides = [
            self.builder.integers(more) if axis == channels else self.node("Shape", inside, start=axis, end=axis + 1)
            for axis in range(4)
        ]
        expanded = self.node("Expand", self.narrow(constant), self.node("Concat", *sides, axis=0))
        return self.bordered(self.node("Concat", inside, expanded, axis=channels), 1, pad_mode)

    def wide_up_stage(self, x: str, weights: WideUpWeights, *, pad: int, pad_mode: str) -> str:
        image = self.node("DepthToSpace", self.convolved(x, weights), blocksize=2, mode="DCR")
        low = self.low(x)
        image = self.edged(image, low, 2, weights)
        image = self.edged(image, low, 3, weights)
        options = StageOptions(unbiased=True, relu=True, pad=pad, pad_mode=pad_mode)
        ending = Ending(channels=len(weights.top), options=options, eps_outside=True)
        return self.norms.norm(self.from_planes(image), weights, ending)

    def low(self, x: str) -> str:
        """(n, c, h, w) without its border of 1, in its own precision."""
        return self.cut(self.planes(x), [2, 3], [1, 1], [-1, -1])

    def edged(self, image: str, low: str, axis: int, weights: WideUpWeights) -> str:
        """The image (n, c, h, w) with what its outermost lines across an axis lack of a reflected border; see
        `ugatit_fast.architectures.unit.edge_kernels`. low: the input, without its border.
        """
        names, mode = (("top", "bottom"), "reflect") if axis == 2 else (("left", "right"), "replicate")
        ends = ((1, 2), (0, 1)), ((-2, -1), (-1, 0))
        first, last = (
            self.edge(self.node("Sub", *(self.cut(low, [axis], [a], [b]) for a, b in end)), axis, weights, name, mode)
            for end, name in zip(ends, names, strict=True)
        )
        parts = (
            self.node("Add", self.cut(image, [axis], [0], [1]), first),
            self.cut(image, [axis], [1], [-1]),
            self.node("Add", self.cut(image, [axis], [-1], [0]), last),
        )
        return self.node("Concat", *parts, axis=axis)

    def edge(self, line: str, axis: int, weights: WideUpWeights, name: str, mode: str) -> str:
        """The convolution of a doubled line, which lies across an axis."""
        along = 5 - axis
        twice = self.node("Unsqueeze", line, self.builder.integers(along + 1))
        doubled = self.node("Concat", twice, twice, axis=along + 1)
        doubled = self.node("Reshape", doubled, self.builder.integers(0, 0, *((1, -1) if axis == 2 else (-1, 1))))
        before = [2 if one == along else 0 for one in range(4)]
        bordered = self.node("Pad", doubled, self.builder.integers(*before * 2), mode=ONNX_MODES[mode])
        kernel = weights.get_buffer(name).unsqueeze(axis).numpy()
        return self.node("Conv", bordered, self.builder.constant(kernel, weights.name(name)))

    def halve(self, x: str, *, pad: int, pad_mode: str) -> str:
        pairs = self.node("AveragePool", self.planes(x), kernel_shape=[2, 2])  # [1, 2, 1] / 4 is [1, 1] / 2 twice
        halved = self.node("AveragePool", pairs, kernel_shape=[2, 2], strides=[2, 2])
        return self.bordered(self.from_planes(halved), pad, pad_mode)

    def double(
        self, x: str, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel", residual: str | None = None
    ) -> str:
        doubled = self.node(
            "Resize", self.planes(x), "", self.twice(), mode="linear", coordinate_transformation_mode=GRIDS[grid]
        )
        y = self.from_planes(doubled)
        if residual is None:
            return self.bordered(y, pad, pad_mode)
        return self.finished(self.wide(y), None, residual, pad, pad_mode)

    def attend(self, x: str, weights: AttentionWeights, pad_mode: str) -> str:
        bias = self.per_channel(weights.bias.numpy(), weights.name("bias"))
        moved = self.node("Add", self.wide(self.mapped(x, weights)), bias)
        return self.bordered(self.narrow(self.node("Relu", moved)), 1, pad_mode)

    def mapped(self, x: str, weights: AttentionWeights) -> str:
        """The 1x1 convolution; where channels come last it is a matrix product as it stands."""
        if self.layout == CHANNELS_FIRST:
            return self.convolved(x, weights)
        matrix = weights.weight.numpy()[:, :, 0, 0].T
        return self.node("MatMul", x, self.builder.constant(matrix, weights.name("weight")))

    def heatmap(self, attended: str, weights: AttentionWeights) -> str:
        channels, inside = self.builder.integers(self.layout.channels), self.interior(attended)
        if weights.heat is not None:
            heat = self.per_channel(weights.heat.numpy(), weights.name("heat"))
            inside = self.node("Mul", self.wide(inside), heat)
        return self.node("ReduceSum", inside, channels, keepdims=0)

    def style(self, attended: str, weights: StyleWeights) -> Style:
        """gamma and beta in float32."""
        return self.norms.style(self.style_numbers(attended, weights))

    def style_numbers(self, attended: str, weights: StyleWeights) -> str:
        """(n, rows of the heads); a float16 first layer is widened, so that its long sums are float32 too."""
        channels, inputs = weights.first.shape
        features = self.interior(attended)
        if inputs == channels:
            features = self.node("ReduceMean", features, self.builder.integers(*self.layout.plane), keepdims=0)
        else:
            features = self.node("Flatten", features)
        first = self.wide(self.first_matrix(weights))
        hidden = self.node("Relu", self.linear(features, first, weights, "bias1"))
        hidden = self.node("Relu", self.linear(hidden, self.stored(weights, "second"), weights, "bias2"))
        return self.linear(hidden, self.stored(weights, "heads"), weights, "bias3")

    def soft_styles(self, attended: str, content: str, weights: SoftStyleWeights) -> Sequence[Style]:
        heads, channels, _ = weights.content_second.shape
        mean = self.node("ReduceMean", self.interior(content), self.builder.integers(*self.layout.plane), keepdims=0)
        inner = self.linear(mean, self.stored(weights, "content_first"), weights, "content_bias")
        rows = self.node("Reshape", self.node("Relu", inner), self.builder.integers(0, heads, 1, channels))
        products = self.node("Mul", rows, self.stored(weights, "content_second"))  # no matrices' for Turing: `turing`
        by_content = self.node("ReduceSum", products, self.builder.integers(3), keepdims=0)
        flat = self.node("Reshape", by_content, self.builder.integers(0, heads * channels))
        numbers = self.node("Add", self.style_numbers(attended, weights), flat)
        return [self.norms.style(part) for part in self.split(numbers, heads // 2, axis=1)]

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[Style]:
        numbers = given_numbers(self.builder, weights)
        return [self.norms.style(part) for part in self.split(numbers, count, axis=1)]

    def given_shifts(self, weights: MlpWeights, count: int) -> Sequence[Style]:
        numbers = given_numbers(self.builder, weights)
        return [("", part) for part in ([numbers] if count == 1 else self.split(numbers, count, axis=1))]

    def first_matrix(self, weights: StyleWeights) -> str:
        """Of the style, whose columns are in the order of the activation: theirs is (c, h, w), or c alone."""
        matrix = weights.first.numpy()
        rows, inputs = matrix.shape
        if self.layout != CHANNELS_FIRST and inputs != rows:
            matrix = matrix.reshape(rows, rows, -1).transpose(0, 2, 1).reshape(rows, inputs)
        return self.builder.constant(matrix, weights.name("first"))

    def linear(self, x: str, matrix: str, weights: StyleWeights, bias: str) -> str:
        """One layer, with that bias where the weights have it."""
        given = [self.stored(weights, bias)] if weights.has(bias) else []
        return self.node("Gemm", x, matrix, *given, transB=1)

    def to_image(self, x: str, weights: ConvolutionWeights, shift: Style | None = None) -> str:
        pixels = self.node("Transpose", self.node("Tanh", self.drawn(x, weights, shift)), perm=[0, 2, 3, 1])
        return self.levels_of(pixels)

    def to_guided_image(self, x: str, weights: ConvolutionWeights, image: str) -> str:
        picture = self.node("Transpose", self.centred(image), perm=[0, 3, 1, 2])
        filtered = guided_filter(self, picture, self.drawn(x, weights))
        inside = self.node("Clip", filtered, self.builder.scalar(-1), self.builder.scalar(1))
        return self.levels_of(self.node("Transpose", inside, perm=[0, 2, 3, 1]))

    def drawn(self, x: str, weights: ConvolutionWeights, shift: Style | None = None) -> str:
        """The last convolution, float32 (n, 3, h, w)."""
        rows = self.wide(self.convolved(x, weights))
        count = len(weights.weight) // COLOURS
        shifted = [self.cut(row, [2], [i], [i - count + 1]) for i, row in enumerate(self.split(rows, count, axis=1))]
        planes = self.node("Sum", *shifted)
        if shift is not None:
            return self.node("Add", planes, self.node("Unsqueeze", shift[1], self.builder.integers(2, 3)))
        if weights.bias is None:
            return planes
        bias = weights.bias.numpy()[:, None, None]
        return self.node("Add", planes, self.builder.constant(bias, weights.name("bias")))

    def levels_of(self, pixels: str) -> str:
        """uint8 of pixels in [-1, 1]. The cast comes last: TensorRT has the type for inputs and outputs of a network
        only.
        """
        half_range = self.builder.scalar(127.5)
        levels = self.node("Add", self.node("Mul", pixels, half_range), half_range)
        return self.node("Cast", self.node("Round", levels), to=TensorProto.UINT8)

    def convolved(self, x: str, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> str:
        """(n, c, h, w), without the bias."""
        return self.node("Conv", self.planes(x), self.stored(weights, "weight"), strides=[stride, stride])

    def depthwise(self, x: str, weights: StageWeights) -> str:
        """The same of each channel by itself."""
        return self.node("Conv", self.planes(x), self.stored(weights, "weight"), group=len(weights.weight))

    def interleaved(self, phases: str) -> str:
        """(n, 4 c, h + 1, w + 1) -> (n, c, 2 h, 2 w): phase (a, b) begins at row a and column b."""
        corners = [(a, b) for a in (0, 1) for b in (0, 1)]
        parts = zip(self.split(phases, 4, axis=1), corners, strict=True)
        shifted = [self.cut(part, [2, 3], [a, b], [a - 1, b - 1]) for part, (a, b) in parts]
        return self.node("DepthToSpace", self.node("Concat", *shifted, axis=1), blocksize=2, mode="DCR")
