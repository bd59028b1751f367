"""Styles in an ONNX graph: an input beside the pictures, and what sees a style in a picture, which travels with it."""

import base64

from onnx import TensorProto, ValueInfoProto, helper
from safetensors.torch import save

from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.files import STYLE_ENCODER
from ugatit_fast.folded_weights import MlpWeights
from ugatit_fast.graph import FoldedNetwork

STYLE = "style"
"""The input: float32 (length,), the same for all pictures of a call."""


def given_numbers(builder: OnnxBuilder, weights: MlpWeights) -> str:
    """What the MLP makes of the style, float32 (1, numbers)."""
    x = builder.node("Unsqueeze", STYLE, builder.integers(0))
    for i, (layer, bias) in enumerate(weights.layers, start=1):
        x = x if i == 1 else builder.node("Relu", x)
        named = {f"layer{i}": layer, f"bias{i}": bias}
        stored = [builder.constant(tensor.numpy(), weights.name(name)) for name, tensor in named.items()]
        x = builder.node("Gemm", x, *stored, transB=1)
    return x


def style_inputs(folded: FoldedNetwork) -> list[ValueInfoProto]:
    """The input, of a network that draws in styles."""
    length = folded.config.style_length
    return [helper.make_tensor_value_info(STYLE, TensorProto.FLOAT, [length])] if length else []


def style_metadata(folded: FoldedNetwork) -> dict[str, str]:
    """The style encoder as text, where there is one, as `ugatit_fast.backends.styles` reads it."""
    tensors = folded.style_encoder_tensors()
    return {STYLE_ENCODER: base64.b64encode(save(tensors)).decode()} if tensors else {}
