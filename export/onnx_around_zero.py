"""The folded network for TensorRT with convolutions in eight bits, explicitly quantised; the rest is float16.

In front of a convolution that has eight bits stand a `QuantizeLinear` and a `DequantizeLinear` of its activation, and a
`DequantizeLinear` of its kernel, which is stored in bytes. From these TensorRT makes one convolution of bytes, and puts
the rounding into what computes the activation; it knows neither zero points nor two bytes a value. Norms are those of
the float16 form, TensorRT's or ours.
"""

import numpy as np
import torch
from onnx import numpy_helper

from ugatit_fast.export.eight_bits import EightBits, Span
from ugatit_fast.export.onnx_activations import Layout
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights
from ugatit_fast.graph import FoldedNetwork


class ConvolutionsAroundZero(ConvolutionOperations):
    """Writes the folded network down with eight bits where `EightBits` has them; see `ugatit_fast.graph.Operations`."""

    def __init__(
        self,
        builder: OnnxBuilder,
        folded: FoldedNetwork,
        layout: Layout,
        eight: EightBits,
        *,
        size: tuple[int, int] | None = None,
        plugins: PluginShapes | None = None,
    ) -> None:
        """folded: the network of `eight`, in float16; its kernels are rounded from what they were before."""
        super().__init__(builder, folded, layout, size=size, plugins=plugins)
        assert eight.around_zero is not None, "TensorRT knows no zero points"
        self.eight, self.numbers = eight, eight.around_zero
        self.exact = eight.folded.tensors()

    def convolved(self, x: str, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> str:
        span = self.eight.spans.get(weights.prefix)
        if span is None:
            return super().convolved(x, weights, stride)
        read, kernel = self.read(self.planes(x), span), self.kernel(weights.name("weight"))
        return self.node("Conv", read, kernel, strides=[stride, stride])

    def read(self, x: str, span: Span) -> str:
        """x, rounded to eight bits. Its scale has rank 0: with rank 1 the convolution would be one of float16."""
        scale = np.float16(self.eight.scale(span))
        given = self.builder.keep(numpy_helper.from_array(np.array(scale), f"f16_{scale:.9g}")), self.zero_points(())
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *given), *given)

    def kernel(self, name: str) -> str:
        """Stored in eight bits."""
        numbers, scale = self.numbers.kernels(self.exact[name].numpy())
        stored = self.builder.keep(self.numbers.tensor(numbers, name))
        given = self.builder.constant(scale, f"{name}.scale"), self.zero_points(scale.shape)
        return self.node("DequantizeLinear", stored, *given, axis=0)

    def zero_points(self, shape: tuple[int, ...]) -> str:
        """All zero: what they say is which eight bits are meant."""
        name = "_".join(["zero_points", *map(str, shape)])
        return self.builder.keep(self.numbers.tensor(torch.zeros(shape), name))
