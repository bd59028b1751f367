"""The folded network with channels scaled so that eight bits serve them alike: the same function, exactly.

One scale of eight bits serves a whole activation, so a channel whose values stay small is rounded as coarsely as the
largest. A factor a channel, above zero, evens that out: whoever makes an activation multiplies it, in its norm's gamma
and beta, and whoever reads it divides by it, in its kernels. Norm, ReLU and addition pass a factor above zero on, so it
costs nothing (Nagel et al., arXiv 1906.04721, between convolutions; here norms take the factor). 2 dB on the shipped
pair, whose weights have bits to spare: one scale an output channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.export.calibration import STYLE, Calibration, Reading
from ugatit_fast.graph import FoldedGenerator

MOST_APART = 1e3
"""Of two channels' factors: a channel that is hardly used gets no more bits than that."""


@dataclass(frozen=True)
class Activation:
    """One that has one factor a channel throughout, with all that makes it and all that reads it."""

    made_by: tuple[str, ...]
    """Stages, whose norms scale; the stages of the decoder's blocks have theirs from the style."""
    read_by: tuple[str, ...]


def activations(n_res: int) -> Iterator[Activation]:
    """Of the whole network. A residual stream is one, and so is all that the style's gamma and beta go to."""
    yield Activation(("stem",), ("down.0",))
    yield Activation(("down.0",), ("down.1",))
    for i in range(n_res):
        yield Activation((f"encoder.{i}.0",), (f"encoder.{i}.1",))
    stream = tuple(f"encoder.{i}.1" for i in range(n_res))
    yield Activation(("down.1", *stream), (*(f"encoder.{i}.0" for i in range(n_res)), "attention"))
    yield Activation(("attention",), (*(f"decoder.{i}.{j}" for i in range(n_res) for j in (0, 1)), "up.0"))
    yield Activation(("up.0",), ("up.1",))
    yield Activation(("up.1",), ("out",))


def equalised(folded: FoldedGenerator, calibration: Calibration) -> tuple[FoldedGenerator, Calibration]:
    """The network with every activation's channels scaled to their largest, and what its places then read."""
    tensors = {name: tensor.clone() for name, tensor in folded.tensors().items()}
    readings = dict(calibration.readings)
    for activation in activations(folded.config.n_res):
        factors = factors_of([readings[place] for place in activation.read_by])
        by_channel = torch.from_numpy(factors).to(folded.stem.weight.dtype)
        for place in activation.made_by:
            scale_maker(tensors, place, by_channel)
        for place in activation.read_by:
            tensors[f"{place}.weight"] /= by_channel[:, None, None]
            readings[place] = readings[place].scaled(factors)
        if STYLE in readings and "attention" in activation.made_by:
            readings[STYLE] = readings[STYLE].scaled(factors)
    again = FoldedGenerator(folded.config, tensors, unbiased=folded.unbiased)
    return again, Calibration(readings, calibration.photos)


def factors_of(readings: list[Reading]) -> np.ndarray:
    """(c,) float32 with mean logarithm 0: what makes each channel's largest value that of the others, as the readers
    see them relative to their own largest.
    """
    magnitudes = [np.maximum(-reading.low, reading.high) for reading in readings]
    shares = np.max([one / max(one.max(), 1e-30) for one in magnitudes], axis=0)
    factors = 1 / np.maximum(shares, 1 / MOST_APART)
    return (factors / np.exp(np.log(factors).mean())).astype(np.float32)


def scale_maker(tensors: dict[str, Tensor], place: str, factors: Tensor) -> None:
    """Multiply what a place makes by one factor a channel."""
    if place != "attention":
        gamma, beta = (tensors.get(f"{place}.{name}") for name in ("gamma", "beta"))
        tensors[f"{place}.gamma"] = factors.clone() if gamma is None else gamma * factors
        tensors[f"{place}.beta"] = torch.zeros_like(factors) if beta is None else beta * factors
        return
    tensors["attention.weight"] *= factors[:, None, None, None]
    tensors["attention.bias"] *= factors
    tensors["attention.heat"] = tensors.get("attention.heat", torch.ones_like(factors)) / factors
    pixels = tensors["style.first"].shape[1] // len(factors)  # a full generator reads each
    tensors["style.first"] /= factors.repeat_interleave(pixels)
    for name in ("heads", "bias3"):
        if f"style.{name}" in tensors:
            both = factors.repeat(2)  # gamma's rows, then beta's
            head = tensors[f"style.{name}"]
            tensors[f"style.{name}"] = head * both.reshape(-1, *[1] * (head.ndim - 1))
