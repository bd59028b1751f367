"""The folded network with channels scaled so that eight bits serve them alike: the same function, exactly.

One scale of eight bits serves a whole activation, so a channel whose values stay small is rounded as coarsely as the
largest. A factor a channel, above zero, evens that out: whoever makes an activation multiplies it, in its norm's gamma
and beta or its kernels, and whoever reads it divides by it, in its kernels. Norm, ReLU, addition and a border of zeros
pass a factor above zero on, so it costs nothing (Nagel et al., arXiv 1906.04721, between convolutions; here norms take
the factor). 2 dB on the shipped pair, whose kernels have bits to spare: one scale an output channel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.choices import Upsampling
from ugatit_fast.export.calibration import STYLE, Calibration, Reading
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

MOST_APART = 1e3
"""Of two channels' factors: a channel that is hardly used gets no more bits than that."""


class Given(NamedTuple):
    """A part of what an MLP makes of a style: the `number`th of parts of so many `vectors` of the activation's
    channels, gamma and beta of a norm, or a shift alone.
    """

    mlp: str
    layers: int
    number: int
    vectors: int


@dataclass
class Activation:
    """One that has one factor a channel throughout, with all that makes it and all that reads it.

    A residual stream is one, and so is all that the style's gamma and beta go to.
    """

    normed: list[str] = field(default_factory=list)
    """Stages with a norm of their own, which scales."""
    plain: list[str] = field(default_factory=list)
    """Convolutions whose results it is as they are, with their bias; an attention's too."""
    fixed: bool = False
    """Whether somebody reads it who can't divide."""
    styled: bool = False
    """Whether the style scales it, and reads it."""
    given: list["Given"] = field(default_factory=list)
    """What the style that comes with the pictures makes of it."""
    read_by: list[str] = field(default_factory=list)
    joined: "Activation | None" = None
    """The one that it turned out to be."""

    def itself(self) -> "Activation":
        return self if self.joined is None else self.joined.itself()

    def join(self, other: "Activation") -> None:
        """Be one with another: they are added to each other."""
        one, two = self.itself(), other.itself()
        if one is two:
            return
        two.normed += one.normed
        two.plain += one.plain
        two.given += one.given
        two.styled |= one.styled
        two.fixed |= one.fixed
        two.read_by += one.read_by
        one.joined = two


class Wiring:
    """`Operations` that only note which place makes and which reads what."""

    def __init__(self) -> None:
        self.made: list[Activation] = []

    def activations(self) -> Iterator[Activation]:
        """Those that can be scaled."""
        return (one for one in self.made if one.joined is None and not one.fixed)

    def new(self) -> Activation:
        self.made.append(Activation())
        return self.made[-1]

    def normalise(self, image: None, pad: int, pad_mode: str = "reflect") -> Activation:
        return self.unscaled()

    def unscaled(self) -> Activation:
        """Nobody here makes it."""
        made = self.new()
        made.fixed = True
        return made

    def stage(
        self,
        x: Activation,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: Activation | None = None,
        residual: Activation | None = None,
    ) -> Activation:
        if options.depthwise:
            x.itself().fixed = True  # its kernels would have to be divided another way, and stay in float32 anyway
        else:
            x.itself().read_by.append(weights.prefix)
        made = self.new()
        if style is None or not options.norm:
            (made.normed if options.norm else made.plain).append(weights.prefix)
        for other in (style, residual):
            if other is not None:
                made.join(other)
        return made.itself()

    def up_stage(self, x: Activation, weights: StageWeights, options: StageOptions) -> Activation:
        return self.stage(x, weights, options)

    def joined(self, skipped: Activation, x: Activation) -> Activation:
        """Two activations with factors of their own are no one that has any."""
        return self.of_fixed(skipped, x)

    def of_fixed(self, *read: Activation) -> Activation:
        """What is made of activations that it can't divide by factors, and has none itself."""
        for one in read:
            one.itself().fixed = True
        return self.unscaled()

    def with_constants(self, x: Activation, more: int, shift: Activation | None = None, *, pad_mode: str) -> Activation:
        return self.of_fixed(x, *([shift] if shift else []))

    def preactivated(self, x: Activation, weights: StageWeights) -> Activation:
        return self.of_fixed(x)

    def joined_onto(self, x: Activation, parts: Sequence[Activation]) -> Activation:
        return self.of_fixed(x, *parts)

    def pooled(self, x: Activation) -> Activation:
        return x

    def doubled_onto(self, x: Activation, skipped: Activation) -> Activation:
        return self.of_fixed(x, skipped)

    def soft_styles(self, attended: Activation, content: Activation, weights: SoftStyleWeights) -> list[Activation]:
        return [self.of_fixed(attended, content) for _ in range(len(weights.content_second) // 2)]

    def wide_up_stage(self, x: Activation, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Activation:
        """Its kernels are of two kinds, and it stays in float32 anyway."""
        x.itself().fixed = True
        made = self.new()
        made.normed.append(weights.prefix)
        return made

    def halve(self, x: Activation, *, pad: int, pad_mode: str) -> Activation:
        return x

    def double(
        self,
        x: Activation,
        *,
        pad: int,
        pad_mode: str,
        grid: Upsampling = "half-pixel",
        residual: Activation | None = None,
    ) -> Activation:
        if residual is not None:
            x.join(residual)
        return x

    def attend(self, x: Activation, weights: AttentionWeights, pad_mode: str) -> Activation:
        x.itself().read_by.append(weights.prefix)
        made = self.new()
        made.plain.append(weights.prefix)
        return made

    def given_styles(self, weights: MlpWeights, count: int) -> list[Activation]:
        return self.given_parts(weights, count, 2)

    def given_shifts(self, weights: MlpWeights, count: int) -> list[Activation]:
        return self.given_parts(weights, count, 1)

    def given_parts(self, weights: MlpWeights, count: int, vectors: int) -> list[Activation]:
        made = [self.new() for _ in range(count)]
        for number, one in enumerate(made):
            one.given.append(Given(weights.prefix, weights.count, number, vectors))
        return made

    def style(self, attended: Activation, weights: StyleWeights) -> Activation:
        attended.itself().styled = True
        return attended

    def heatmap(self, attended: Activation, weights: AttentionWeights) -> None:
        """Its weights are scaled with the attention's."""

    def to_image(self, x: Activation, weights: ConvolutionWeights, shift: Activation | None = None) -> None:
        x.itself().read_by.append(weights.prefix)
        if shift is not None:
            shift.itself().fixed = True

    def to_guided_image(self, x: Activation, weights: ConvolutionWeights, image: None) -> None:
        self.to_image(x, weights)


def activations(folded: FoldedNetwork) -> list[Activation]:
    """Of a whole network, of whatever architecture."""
    wiring = Wiring()
    folded.graph(wiring, None)
    return list(wiring.activations())


def equalised(folded: FoldedNetwork, calibration: Calibration) -> tuple[FoldedNetwork, Calibration]:
    """The network with every activation's channels scaled to their largest, and what its places then read."""
    tensors = {name: tensor.clone() for name, tensor in folded.tensors().items()}
    readings = dict(calibration.readings)
    for activation in activations(folded):
        factors = factors_of([readings[place] for place in activation.read_by])
        scale_makers(tensors, activation, torch.from_numpy(factors).to(folded.stem.weight.dtype))
        for place in activation.read_by:
            tensors[f"{place}.weight"] /= torch.from_numpy(factors)[:, None, None]
            readings[place] = readings[place].scaled(factors)
        if STYLE in readings and activation.styled:
            readings[STYLE] = readings[STYLE].scaled(factors)
        for place in activation.plain:
            made = readings[place].made
            readings[place] = replace(readings[place], made=made * np.resize(factors, made.shape))
    return folded.with_tensors(tensors), Calibration(readings, calibration.photos)


def factors_of(readings: list[Reading]) -> np.ndarray:
    """(c,) float32 with mean logarithm 0: what makes each channel's largest value that of the others, as the readers
    see them relative to their own largest.
    """
    magnitudes = [np.maximum(-reading.low, reading.high) for reading in readings]
    shares = np.max([one / max(one.max(), 1e-30) for one in magnitudes], axis=0)
    factors = 1 / np.maximum(shares, 1 / MOST_APART)
    return (factors / np.exp(np.log(factors).mean())).astype(np.float32)


def scale_makers(tensors: dict[str, Tensor], activation: Activation, factors: Tensor) -> None:
    """Multiply an activation by one factor a channel where it is made."""
    for place in activation.normed:
        gamma, beta = (tensors.get(f"{place}.{name}") for name in ("gamma", "beta"))
        tensors[f"{place}.gamma"] = factors.clone() if gamma is None else gamma * factors
        tensors[f"{place}.beta"] = torch.zeros_like(factors) if beta is None else beta * factors
    for place in activation.plain:
        weight = tensors[f"{place}.weight"]
        tensors[f"{place}.weight"] = weight * factors.repeat(len(weight) // len(factors))[:, None, None, None]
        if f"{place}.bias" in tensors:
            tensors[f"{place}.bias"] = tensors[f"{place}.bias"] * factors
    for given in activation.given:
        length = given.vectors * len(factors)
        for name in ("layer", "bias"):
            tensor = tensors[f"{given.mlp}.{name}{given.layers}"]
            rows = tensor[given.number * length : (given.number + 1) * length]
            rows *= factors.repeat(given.vectors).reshape(-1, *[1] * (tensor.ndim - 1))
    if activation.styled:
        scale_style(tensors, factors)


def scale_style(tensors: dict[str, Tensor], factors: Tensor) -> None:
    """Where the attended features are multiplied: the heat map and the first linear layer see them as they were, and
    gamma and beta make what is added to them.
    """
    tensors["attention.heat"] = tensors.get("attention.heat", torch.ones_like(factors)) / factors
    pixels = tensors["style.first"].shape[1] // len(factors)  # a full generator reads each
    tensors["style.first"] = tensors["style.first"] / factors.repeat_interleave(pixels)
    for name in ("heads", "bias3"):
        if f"style.{name}" in tensors:
            head = tensors[f"style.{name}"]
            both = factors.repeat(2)  # gamma's rows, then beta's
            tensors[f"style.{name}"] = head * both.reshape(-1, *[1] * (head.ndim - 1))
