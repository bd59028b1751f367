"""The folded network as ONNX convolutions: the form for GPUs (TensorRT, ONNX Runtime with CUDA) and for float16.

Activations are (n, c, h, w) in the precision of the engine. Project operations are nodes of domain `ugatit`; each has a
function body of standard operators, so that ONNX Runtime and plain TensorRT run the file. Normalisations can also carry
the attributes by which TensorRT takes our kernels in place of the bodies: `plugin_namespace` (its parser ignores a
node's domain when a function of that name exists) and `aot` (ahead-of-time, no Python in the engine). Statistics and
long sums are float32 whatever the precision, by explicit casts.
"""

import numpy as np
import torch
from onnx import TensorProto

from ugatit_fast.export.onnx_builder import DOMAIN, Attribute, OnnxBuilder
from ugatit_fast.export.onnx_functions import (
    BIAS_RELU,
    CHANNEL_STATS,
    INTERLEAVE_PHASES,
    NORM_APPLY,
    NORM_APPLY_ADD,
    NORMALISE_IMAGE,
    rows_to_image,
)
from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, PLUGIN, STATS, PluginShapes, tiles_of
from ugatit_fast.graph import (
    AttentionWeights,
    ConvolutionWeights,
    FoldedGenerator,
    StageWeights,
    StyleWeights,
    Weights,
)
from ugatit_fast.model import EPS

NO_FLOOR = float(np.finfo(np.float32).min)
"""The lower bound that stands for "no ReLU"."""


def borders(pad: int) -> list[int]:
    """ONNX's way to say `pad` pixels on every side of the last two of four dimensions."""
    return [0, 0, pad, pad, 0, 0, pad, pad]


ONNX_MODES = {"reflect": "reflect", "replicate": "edge"}


class ConvolutionOperations:
    """Writes the folded network down as convolutions; see `ugatit_fast.graph.Operations`."""

    def __init__(self, builder: OnnxBuilder, folded: FoldedGenerator, plugins: PluginShapes | None = None) -> None:
        """plugins: write normalisations for our TensorRT plugins, for inputs of this shape."""
        self.builder = builder
        self.half = folded.stem.weight.dtype == torch.float16
        self.plugins = plugins
        kernel_rows = folded.out.weight.shape[0] // 3
        functions = (CHANNEL_STATS, NORM_APPLY, NORM_APPLY_ADD, BIAS_RELU, INTERLEAVE_PHASES, NORMALISE_IMAGE)
        for text in (*functions, rows_to_image(kernel_rows)):
            builder.define(text)

    def project_node(self, op: str, *inputs: str, results: int = 1, **attributes: Attribute) -> list[str]:
        return self.builder.nodes_with(op, results, *inputs, domain=DOMAIN, **attributes)

    def plugin_node(self, op: str, *inputs: str, results: int = 1, **attributes: Attribute) -> list[str]:
        """A project node that TensorRT may run as a plugin."""
        return self.project_node(op, *inputs, results=results, **attributes, **(PLUGIN if self.plugins else {}))

    def stored(self, weights: Weights, name: str) -> str:
        """A tensor that these weights have."""
        return self.builder.constant(weights.get_buffer(name).numpy(), weights.name(name))

    def filled(self, value: float, *shape: int) -> str:
        """A constant of one value, for a parameter that this checkpoint doesn't have."""
        stem = f"{'ones' if value else 'zeros'}_{'x'.join(map(str, shape))}"
        return self.builder.constant(np.full(shape, value, np.float32), stem)

    def normalise(self, image: str, pad: int) -> str:
        dtype = TensorProto.FLOAT16 if self.half else TensorProto.FLOAT
        return self.project_node("normalise_image", image, pads=borders(pad), dtype=dtype)[0]

    def stage(
        self,
        x: str,
        weights: StageWeights,
        *,
        stride: int = 1,
        style: tuple[str, str] | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: str | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
    ) -> str:
        x = self.builder.node("Conv", x, self.stored(weights, "weight"), strides=[stride, stride])
        gamma_beta = style or self.own_style(weights)
        return self.norm(x, gamma_beta, weights, unbiased, relu, residual, pad, pad_mode)

    def up_stage(self, x: str, weights: StageWeights, *, unbiased: bool, pad: int, pad_mode: str) -> str:
        phases = self.builder.node("Conv", x, self.stored(weights, "weight"))
        (x,) = self.project_node("interleave_phases", phases)
        return self.norm(x, self.own_style(weights), weights, unbiased, True, None, pad, pad_mode)

    def norm(
        self,
        x: str,
        gamma_beta: tuple[str, str],
        weights: StageWeights,
        unbiased: bool,
        relu: bool,
        residual: str | None,
        pad: int,
        pad_mode: str,
    ) -> str:
        channels = channels_out(weights)
        rho = self.filled(1, channels) if weights.rho is None else self.stored(weights, "rho")
        bias = self.filled(0, channels) if weights.bias is None else self.stored(weights, "bias")
        splits = self.plugins.splits(channels) if self.plugins else 1
        tiles = tiles_of(channels) if self.plugins else 1
        parts, layer = self.plugin_node(STATS, x, bias, results=2, splits=[splits], tiles=[tiles])
        added = () if residual is None else (residual,)
        return self.plugin_node(
            APPLY if residual is None else APPLY_ADD,
            *(x, parts, layer, *gamma_beta, rho, bias, *added),
            eps=[EPS],
            correction=[int(unbiased)],
            floor=[0.0 if relu else NO_FLOOR],
            pads=borders(pad),
            mode=ONNX_MODES[pad_mode],
        )[0]

    def own_style(self, weights: StageWeights) -> tuple[str, str]:
        """gamma and beta (1, c) that the weights themselves have, or 1 and 0."""
        channels = channels_out(weights)
        gamma = self.filled(1, 1, channels) if weights.gamma is None else self.row(weights, "gamma")
        beta = self.filled(0, 1, channels) if weights.beta is None else self.row(weights, "beta")
        return gamma, beta

    def row(self, weights: StageWeights, name: str) -> str:
        """A per-channel tensor that these weights have, as (1, c)."""
        return self.builder.constant(weights.get_buffer(name).numpy()[None], weights.name(name))

    def attend(self, x: str, weights: AttentionWeights, pad_mode: str) -> str:
        x = self.builder.node("Conv", x, self.stored(weights, "weight"))
        bias = self.stored(weights, "bias")
        return self.project_node("bias_relu", x, bias, pads=borders(1), mode=ONNX_MODES[pad_mode])[0]

    def inside(self, x: str) -> str:
        """x without its border of 1, in float32."""
        node, axes = self.builder.node, self.builder.integers(2, 3)
        inner = node("Slice", x, self.builder.integers(1, 1), self.builder.integers(-1, -1), axes)
        return node("Cast", inner, to=TensorProto.FLOAT)

    def heatmap(self, attended: str) -> str:
        return self.builder.node("ReduceSum", self.inside(attended), self.builder.integers(1), keepdims=0)

    def style(self, attended: str, weights: StyleWeights) -> tuple[str, str]:
        """gamma and beta in float32; a float16 first layer is widened, so that its long sums are float32 too."""
        node = self.builder.node
        features = self.inside(attended)
        channels, inputs = weights.first.shape
        if inputs == channels:
            features = node("ReduceMean", features, self.builder.integers(2, 3), keepdims=0)
        else:
            features = node("Flatten", features)
        first = node("Cast", self.stored(weights, "first"), to=TensorProto.FLOAT)
        hidden = node("Relu", self.linear(features, first, weights, "bias1"))
        hidden = node("Relu", self.linear(hidden, self.stored(weights, "second"), weights, "bias2"))
        both = self.linear(hidden, self.stored(weights, "heads"), weights, "bias3")
        gamma, beta = self.builder.nodes_with("Split", 2, both, axis=1, num_outputs=2)
        return gamma, beta

    def linear(self, x: str, matrix: str, weights: StyleWeights, bias: str) -> str:
        """One layer, with that bias where the weights have it."""
        given = [self.stored(weights, bias)] if weights.has(bias) else []
        return self.builder.node("Gemm", x, matrix, *given, transB=1)

    def to_image(self, x: str, weights: ConvolutionWeights) -> str:
        rows = self.builder.node("Conv", x, self.stored(weights, "weight"))
        bias = self.filled(0, 3) if weights.bias is None else self.stored(weights, "bias")
        return self.project_node("rows_to_image", rows, bias)[0]


def channels_out(weights: StageWeights) -> int:
    """Channels after a stage's normalisation: those of rho or gamma where it has them (an up-sampling stage), else
    of the convolution.
    """
    for tensor in (weights.rho, weights.gamma):
        if tensor is not None:
            return len(tensor)
    return len(weights.weight)
