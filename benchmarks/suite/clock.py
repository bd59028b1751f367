"""What repeated times say: their middle and spread, whether they have settled, and how two contenders compare."""

import math
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from ugatit_fast.bench.results import Spread

SETTLED_WINDOW = 3
SETTLED_TOLERANCE = 0.05
"""Warm-up ends when the last calls lie this close together, relative to the fastest of them."""
WIDE = 0.25
"""(p95 - p5) / median beyond which a row says that it is noisy."""
LEAST_BAND = 0.02
"""Two runs differ by this much for reasons that one run can't see: memory layout, neighbours, temperature."""


def spread(samples_ms: Sequence[float]) -> Spread:
    """Median, 5th and 95th percentile; at least one sample."""
    p5, median, p95 = (float(q) for q in np.percentile(samples_ms, (5, 50, 95)))
    return Spread(median, p5, p95, len(samples_ms))


def is_wide(times: Spread) -> bool:
    return times.p95_ms - times.p5_ms > WIDE * times.median_ms


def settle(call: Callable[[int], object], limit_seconds: float) -> tuple[float, bool]:
    """Warm up: call with 0, 1, ... until the last few calls take the same time, or time is up.

    Returns the median of the last calls in ms, and False where they never agreed. Calls too slow for a window within
    the limit are taken as they are: nothing that warms up lasts that long.
    """
    times: list[float] = []
    started = perf_counter()
    while True:
        times.append(timed_ms(call, len(times)))
        window = times[-SETTLED_WINDOW:]
        full = len(window) == SETTLED_WINDOW
        settled = full and max(window) - min(window) <= SETTLED_TOLERANCE * min(window)
        if settled or perf_counter() - started > limit_seconds:
            return float(np.median(window)), settled or not full


def timed_ms(call: Callable[[int], object], i: int) -> float:
    """Milliseconds of one call, which must not return before its work is finished."""
    started = perf_counter()
    call(i)
    return (perf_counter() - started) * 1e3


def times_as_fast(ours_ms: Sequence[float], theirs_ms: Sequence[float]) -> float:
    """Median over rounds of theirs / ours: drift that slows a round slows both sides of its ratio."""
    return float(np.median([theirs / ours for ours, theirs in zip(ours_ms, theirs_ms, strict=False)]))


def noise_band(rounds_ms: Sequence[float]) -> float:
    """How far, relatively, the median of these rounds is uncertain: about two standard errors, at least `LEAST_BAND`.

    From the median absolute deviation, so that one disturbed round doesn't hide a regression.
    """
    median = float(np.median(rounds_ms))
    deviation = 1.4826 * float(np.median(np.abs(np.asarray(rounds_ms) - median)))
    standard_error = math.sqrt(math.pi / 2) * deviation / math.sqrt(len(rounds_ms))
    return max(LEAST_BAND, 2 * standard_error / median)
