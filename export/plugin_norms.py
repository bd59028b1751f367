"""Normalisation as nodes that TensorRT takes our kernels for, each with a function of standard operators besides.

The functions let ONNX Runtime run the file, and TensorRT parse it where the plugins aren't registered. By
`plugin_namespace` its parser finds the plugin (it ignores a node's domain when a function of that name exists); `aot`
is ahead-of-time, no Python in the plan.
"""

import numpy as np

from ugatit_fast.errors import ExportError
from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, ONNX_MODES, ActivationWriter
from ugatit_fast.export.onnx_builder import DOMAIN
from ugatit_fast.export.onnx_functions import CHANNEL_STATS, NORM_APPLY, NORM_APPLY_ADD
from ugatit_fast.export.onnx_norms import Ending, NativeNorms, Style
from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, PLUGIN, STATS, PluginShapes, tiles_of
from ugatit_fast.folded_weights import StageWeights

NO_FLOOR = float(np.finfo(np.float32).min)
"""The lower bound that stands for "no ReLU"."""


class PluginNorms:
    """Norms as plugin nodes; activations have their channels first."""

    def __init__(self, writer: ActivationWriter, shapes: PluginShapes) -> None:
        assert writer.layout == CHANNELS_FIRST
        self.writer, self.builder, self.shapes = writer, writer.builder, shapes
        self.native = NativeNorms(writer, shapes.pixels)
        for text in (CHANNEL_STATS, NORM_APPLY, NORM_APPLY_ADD):
            self.builder.define(text)

    def norm(self, x: str, weights: StageWeights, ending: Ending) -> str:
        bare = ending.residual is not None and ending.options.residual_border != 1
        if ending.eps_outside or bare:  # which the kernels of the plugins don't know
            return self.native.norm(x, weights, ending)
        if ending.options.slope:
            raise ExportError("our kernels in TensorRT have no LeakyReLU; build with --kernels native")
        channels = ending.channels
        rho = self.filled(1, channels) if weights.rho is None else self.writer.stored(weights, "rho")
        bias = self.filled(0, channels) if weights.bias is None else self.writer.stored(weights, "bias")
        splits, tiles = self.shapes.splits(channels), tiles_of(channels)
        parts, layer = self.builder.nodes_with(
            STATS, 2, x, bias, domain=DOMAIN, splits=[splits], tiles=[tiles], **PLUGIN
        )
        style = ending.style or self.own_style(weights, channels)
        added = () if ending.residual is None else (ending.residual,)
        return self.builder.node(
            APPLY_ADD if added else APPLY,
            *(x, parts, layer, *style, rho, bias, *added),
            domain=DOMAIN,
            eps=[ending.options.eps],
            correction=[int(ending.options.unbiased)],
            floor=[0.0 if ending.options.relu else NO_FLOOR],
            pads=self.writer.borders(ending.options.pad),
            mode=ONNX_MODES[ending.options.pad_mode],
            **PLUGIN,
        )

    def activated(self, x: str, channels: int) -> str:
        """By TensorRT's own kernels: the plugins' splits are for channels that one resolution has."""
        return self.native.rectified(self.native.by_steps(x))

    def style(self, both: str) -> Style:
        gamma, beta = self.writer.split(both, 2, axis=1)
        return gamma, beta

    def own_style(self, weights: StageWeights, channels: int) -> Style:
        """gamma and beta (1, c) that the weights themselves have, or 1 and 0."""
        gamma = self.filled(1, 1, channels) if weights.gamma is None else self.row(weights, "gamma")
        beta = self.filled(0, 1, channels) if weights.beta is None else self.row(weights, "beta")
        return gamma, beta

    def row(self, weights: StageWeights, name: str) -> str:
        """A per-channel tensor that these weights have, as (1, c)."""
        return self.builder.constant(weights.get_buffer(name).numpy()[None], weights.name(name))

    def filled(self, value: float, *shape: int) -> str:
        """A constant of one value, for a parameter that this checkpoint doesn't have."""
        stem = f"{'ones' if value else 'zeros'}_{'x'.join(map(str, shape))}"
        return self.builder.constant(np.full(shape, value, np.float32), stem)
