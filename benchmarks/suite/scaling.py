"""How the cost of an engine grows: with the batch, the picture, the channels, and with fewer threads."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ugatit_fast.bench.cost import count
from ugatit_fast.bench.networks import config_of
from ugatit_fast.bench.results import Axis, Curve, Network, Target
from ugatit_fast.engine import UGATIT

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIDES = (128, 256, 512, 768, 1024)
CHANNELS = (16, 32, 64, 96)


def scaled(start: Network, target: Target) -> dict[Axis, list[Network]]:
    """The networks along every axis that makes sense: a full generator has one size, a GPU takes no threads, and there
    are random weights of U-GAT-IT's only.
    """
    axes: dict[Axis, list[Network]] = {"batch": [replace(start, batch=n) for n in BATCHES]}
    if start.light:
        axes["side"] = [replace(start, height=side, width=side) for side in SIDES]
    if start.light and start.architecture == UGATIT:
        axes["channels"] = [replace(start, ch=ch, weights="random") for ch in CHANNELS]
    if target == "cpu":
        axes["threads"] = [replace(start, threads=n) for n in thread_counts(start.threads)]
    return axes


def thread_counts(cores: int) -> list[int]:
    """Powers of two below the number of cores, and that number."""
    return [2**i for i in range((cores - 1).bit_length())] + [cores]


def work_of(axis: Axis, network: Network) -> float:
    """How much of `AXIS_UNITS[axis]` a network does."""
    if axis == "batch":
        return float(network.batch)
    if axis == "side":
        return network.height * network.width / 1e6
    if axis == "threads":
        return 1 / network.threads
    return (
        sum(work.macs for work in count(config_of(network), network.batch, network.height, network.width, "fp32")) / 1e9
    )


def curve(contender: str, axis: Axis, networks: Sequence[Network], median_ms: Sequence[float]) -> Curve:
    """Points of one axis and the line through them."""
    values = {"batch": "batch", "side": "height", "channels": "ch", "threads": "threads"}
    work = [work_of(axis, network) for network in networks]
    fixed, slope, worst = fitted(work, median_ms)
    return Curve(
        contender,
        axis,
        tuple(getattr(network, values[axis]) for network in networks),
        tuple(work),
        tuple(median_ms),
        fixed,
        slope,
        worst,
    )


def fitted(work: Sequence[float], cost: Sequence[float]) -> tuple[float, float, float]:
    """fixed + slope * work with the least squared relative error, fixed not below 0; and the largest relative error.

    A single point is a line through the origin.
    """
    x, y = np.asarray(work), np.asarray(cost)
    columns = np.stack([1 / y, x / y], axis=1)
    fixed, slope = np.linalg.lstsq(columns, np.ones_like(y), rcond=None)[0] if len(x) > 1 else (0.0, 0.0)
    if len(x) == 1 or fixed < 0:
        fixed, slope = 0.0, float((x / y).sum() / np.square(x / y).sum())
    return float(fixed), float(slope), float(np.abs((fixed + slope * x) / y - 1).max())
