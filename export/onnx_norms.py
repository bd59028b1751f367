"""Normalisation in standard operators, written so that a compiler makes two kernels of it: statistics, and the rest.

Statistics are in float32, of values less their mean. What a plan makes of other ways to write this is in
docs/decisions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, ActivationWriter
from ugatit_fast.folded_weights import StageWeights
from ugatit_fast.graph import StageOptions
from ugatit_fast.model import EPS

Style = tuple[str, str]
"""gamma and beta, as the norms that read them want them; of a shift nothing, and float32 (1, c)."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a stage does after its convolution; see `ugatit_fast.graph.Operations.stage`."""

    channels: int
    """Of the activation that it is the ending of."""
    options: StageOptions
    style: Style | None = None
    residual: str | None = None
    eps_outside: bool = False
    """The epsilon is added to deviations, not to variances."""

    @property
    def activation(self) -> float | None:
        """The slope of the ReLU below zero; None where there is no ReLU."""
        return self.options.slope if self.options.relu else None


def ended(writer: ActivationWriter, y: str, ending: Ending) -> str:
    """What every stage ends with. y: float32."""
    options = ending.options
    return writer.finished(
        y, ending.activation, ending.residual, options.pad, options.pad_mode, options.residual_border
    )


class Norms(Protocol):
    """Writes normalisations."""

    def norm(self, x: str, weights: StageWeights, ending: Ending) -> str:
        """What follows the convolution of a stage, whose result is x."""

    def activated(self, x: str, channels: int) -> str:
        """Instance norm, ReLU and a border of 1, of x, whatever it is the result of."""

    def style(self, both: str) -> Style:
        """From gamma and beta side by side, float32 (n, 2 c)."""


class NativeNorms:
    """Norms that any runtime has kernels for, in any layout."""

    def __init__(self, writer: ActivationWriter, pixels: Mapping[int, int] | None) -> None:
        """pixels: of an activation by its channels, where the size of the picture is fixed."""
        self.writer, self.node, self.pixels = writer, writer.node, pixels
        self.scalar = writer.builder.scalar
        self.corrections: dict[tuple[int, int], str] = {}

    def norm(self, x: str, weights: StageWeights, ending: Ending) -> str:
        y = self.normalised(x, weights, ending)
        return ended(self.writer, y, ending)

    def normalised(self, x: str, weights: StageWeights, ending: Ending) -> str:
        """In float32."""
        node = self.node
        mean, deviation, variance = self.statistics(x)
        if weights.rho is None:
            return self.instance_norm(deviation, variance, weights, ending)
        scale, shift = self.mixed_norm(x, mean, variance, weights, ending)
        return node("Add", node("Mul", deviation, scale), shift)

    def activated(self, x: str, channels: int) -> str:
        """Where channels come first it is ONNX Runtime that computes, whose own operator is faster than steps."""
        if self.writer.layout == CHANNELS_FIRST:
            return self.rectified(self.by_operator(x, channels))
        return self.rectified(self.by_steps(x))

    def by_operator(self, x: str, channels: int) -> str:
        """Instance norm in float32, as one node."""
        ones, zeros = (
            self.writer.builder.constant(np.full(channels, value, np.float32), f"{name}_{channels}")
            for name, value in (("ones", 1), ("zeros", 0))
        )
        return self.node("InstanceNormalization", self.writer.wide(x), ones, zeros, epsilon=EPS)

    def by_steps(self, x: str) -> str:
        _, deviation, variance = self.statistics(x)
        root = self.node("Sqrt", self.node("Add", variance, self.scalar(EPS)))
        return self.node("Div", deviation, root)

    def rectified(self, y: str) -> str:
        return self.writer.finished(y, 0.0, None, 1, "reflect")

    def statistics(self, x: str) -> tuple[str, str, str]:
        """Each channel's mean, the deviations from it, and their mean square, in float32."""
        writer = self.writer
        wide = writer.wide(x)
        mean = writer.reduced("ReduceMean", wide, *writer.layout.plane)
        deviation = self.node("Sub", wide, mean)
        variance = writer.reduced("ReduceMean", self.node("Mul", deviation, deviation), *writer.layout.plane)
        return mean, deviation, variance

    def instance_norm(self, deviation: str, variance: str, weights: StageWeights, ending: Ending) -> str:
        """The convolution's bias cancels."""
        y = self.node("Div", deviation, self.root(variance, ending))
        if ending.style is None and weights.gamma is None:
            return y
        gamma, beta = ending.style or self.own_style(weights)
        return self.node("Add", self.node("Mul", y, gamma), beta)

    def mixed_norm(
        self, x: str, mean: str, variance: str, weights: StageWeights, ending: Ending, planes: int = 1
    ) -> tuple[str, str]:
        """gamma * (rho * instance norm + (1 - rho) * layer norm) + beta, as scale and shift of the deviations from the
        channels' means; the formula is in kernels/adalin.py.

        x: an activation of as many pixels as an image has, or one of `planes` that make the image.
        """
        node, writer = self.node, self.writer
        assert weights.rho is not None
        rho = weights.rho.numpy()
        gamma, beta = ending.style or self.own_style(weights)
        if weights.bias is not None:
            mean = node("Add", mean, writer.per_channel(weights.bias.numpy(), weights.name("bias")))
        offset, layer_variance = self.layer_statistics(mean, variance)
        if ending.options.unbiased:
            variance = node("Mul", variance, self.correction(x, len(rho), planes))
            layer_variance = node("Mul", layer_variance, self.correction(x, len(rho), planes * len(rho)))
        by_instance = node("Div", writer.per_channel(rho, weights.name("rho")), self.root(variance, ending))
        rest = writer.per_channel(np.float32(1) - rho, f"{weights.prefix}.rest")
        by_layer = node("Div", rest, self.root(layer_variance, ending))
        scale = node("Mul", gamma, node("Add", by_instance, by_layer))
        return scale, node("Add", beta, node("Mul", gamma, node("Mul", by_layer, offset)))

    def layer_statistics(self, mean: str, variance: str) -> tuple[str, str]:
        """From mean and variance of each channel: the means less that over all channels, and the variance over all,
        in one pass over them.

        By E[variance + d^2] - E[d]^2, for means d less the first channel's. A member of the set is no further from its
        mean than the root of their number times their deviation, so that at most a factor of the number of channels
        cancels: 1e-5 of the variance, wherever the means are.
        """
        node, writer = self.node, self.writer
        channels = writer.layout.channels
        first = node("Gather", mean, writer.builder.integers(0), axis=channels)
        apart = node("Sub", mean, first)
        second = node("Add", variance, node("Mul", apart, apart))
        apart_mean = writer.reduced("ReduceMean", apart, channels)
        apart_second = writer.reduced("ReduceMean", second, channels)
        layer_variance = node("Sub", apart_second, node("Mul", apart_mean, apart_mean))
        return node("Sub", apart, apart_mean), layer_variance

    def root(self, variance: str, ending: Ending) -> str:
        """The deviation that is divided by."""
        eps = self.scalar(ending.options.eps)
        if ending.eps_outside:
            return self.node("Add", self.node("Sqrt", variance), eps)
        return self.node("Sqrt", self.node("Add", variance, eps))

    def correction(self, x: str, channels: int, values: int) -> str:
        """count / (count - 1), for so many values a pixel of an activation with these channels."""
        key = (channels, values)
        if key not in self.corrections:
            self.corrections[key] = self.known_correction(*key) if self.pixels else self.measured_correction(x, values)
        return self.corrections[key]

    def known_correction(self, channels: int, values: int) -> str:
        assert self.pixels is not None
        count = self.pixels[channels] * values
        return self.scalar(count / (count - 1))

    def measured_correction(self, x: str, values: int) -> str:
        count = self.node("Mul", self.measured_pixels(x), self.scalar(values))
        return self.node("Div", count, self.node("Sub", count, self.scalar(1)))

    def measured_pixels(self, x: str) -> str:
        """Of one picture, in float32."""
        node, plane = self.node, self.writer.layout.plane
        sides = node("Cast", node("Shape", x, start=plane[0], end=plane[1] + 1), to=1)
        return node("ReduceProd", sides, self.writer.builder.integers(0), keepdims=0)

    def own_style(self, weights: StageWeights) -> Style:
        """gamma and beta that the weights themselves have."""
        gamma, beta = (weights.get_buffer(name).numpy() for name in ("gamma", "beta"))
        return (
            self.writer.per_channel(gamma, weights.name("gamma")),
            self.writer.per_channel(beta, weights.name("beta")),
        )

    def style(self, both: str) -> Style:
        layout = self.writer.layout
        spread = self.node("Unsqueeze", both, self.writer.builder.integers(*layout.plane))
        gamma, beta = self.writer.split(spread, 2, axis=layout.channels)
        return gamma, beta
