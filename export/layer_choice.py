"""Which places of a network have eight bits: all of them, less those that cost the picture most, until it is right.

A place that costs too much reads two bytes instead of one; where even that isn't enough, places become float32, in the
same order. TensorRT has no two bytes: there they become float16 at once. A place's cost is the squared error that it
alone makes for each multiply-add that it saves. Tried in an emulation, which takes as long as the float32 network in
PyTorch: once where everything may have eight bits; otherwise once for each place alone, on pictures of half the sides
where the network takes them, which order places alike; and then for a few numbers of places, halving.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.checkpoint import Checkpoint
from ugatit_fast.choices import styles_in_turn
from ugatit_fast.engine import EngineSpec
from ugatit_fast.export.around_zero import NUMBERS
from ugatit_fast.export.calibration import calibrate, calibration_pictures, in_enough_styles
from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.export.kernel_rounding import with_rounded_kernels
from ugatit_fast.export.verify import Difference, difference, exact_pictures
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels
from ugatit_fast.progress import Phased, Say

MOST_JUDGES = 8
"""Photos that each trial is measured on: the sample photos and the first of the others."""
SMALLEST_RANKED = 64
"""Sides in pixels of the pictures that order places."""
Measure = Callable[[EightBits], Difference]
"""How far the pictures of an emulation are from the reference's."""


def emulating(pictures: list[Pixels], exact: np.ndarray) -> Measure:
    """pictures: uint8 (h, w, 3); exact: what the reference makes of them, as from `verify.exact_pictures`."""
    return lambda tried: difference(emulate(tried, pictures), exact)


@dataclass(frozen=True)
class LayerChoice:
    """All places of a network in eight bits, and what finds out which of them may be."""

    eight: EightBits
    measure: Measure
    say: Say = lambda _: None
    progress: Phased = lambda *_: None
    ranked_by: Measure | None = None
    """What orders places, where that is another and cheaper one."""

    def right(self, slack_db: float = 0) -> EightBits:
        """The network with one byte in as many places as pass the gate, perhaps in none.

        slack_db: how much better than the gate, for where an engine came out worse than its emulation.
        """

        def passes(tried: EightBits) -> bool:
            return stricter(self.measure(tried), slack_db).passes("int8")

        if passes(self.eight):
            return self.eight
        order, finest = self.order, self.eight
        if self.eight.around_zero is None:
            finest = self.eight.refined(order)
            if passes(finest):
                return self.eight.refined(order[: fewest(order, lambda places: passes(self.eight.refined(places)))])
        return finest.without(order[: fewest(order, lambda places: passes(finest.without(places)))])

    @cached_property
    def order(self) -> list[str]:
        """The places, the one that costs most for what it saves first."""
        self.say("one byte everywhere misses the gate: measuring what each place costs")
        costs, measure = {}, self.ranked_by or self.measure
        for done, place in enumerate(self.eight.spans):
            self.progress("measuring places", done, len(self.eight.spans))
            error = squared_error(measure(self.eight.only([place])))
            costs[place] = error / self.eight.multiply_adds[place]
        self.progress("measuring places", len(self.eight.spans), len(self.eight.spans))
        return sorted(costs, key=lambda place: -costs[place])


def layer_choice(
    source: Checkpoint,
    spec: EngineSpec,
    folder: Path | None,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> LayerChoice:
    """Calibrate a checkpoint's network for an engine, with the sample photos and those of a folder; the choice is
    judged by up to `MOST_JUDGES` of them.
    """
    pictures = calibration_pictures(folder, (spec.height, spec.width), say, progress)
    folded = source.folded()
    photos, pictures = len(pictures), in_enough_styles(pictures, folded.config.style_length)
    eight = replace(EightBits.of(folded, calibrate(folded, pictures, progress)), photos=photos)
    if RUNTIMES[spec.kind].forms[spec.precision] == "bytes around zero":
        eight = eight.for_tensor_cores(NUMBERS[spec.precision])
    eight = with_rounded_kernels(eight, pictures, progress)
    judges = pictures[:MOST_JUDGES]
    generator = source.generator()

    def by(some: list[Pixels]) -> Measure:
        return emulating(some, exact_pictures(generator, some, styles_in_turn(folded.config.style_length)))

    half = spec.height // 2, spec.width // 2
    smaller = None
    if min(half) >= SMALLEST_RANKED and spec.any_size and spec.check_size(*half) is None:
        smaller = by([fit_image(photo, half, "squash") for photo in judges])
    return LayerChoice(eight, by(judges), say, progress, smaller)


def stricter(found: Difference, slack_db: float) -> Difference:
    """As if the squared error were that much larger."""
    factor = float(10 ** (slack_db / 10))
    return replace(
        found,
        psnr_db=found.psnr_db - slack_db,
        share_off_by_more_than_8=found.share_off_by_more_than_8 * factor,
    )


def squared_error(found: Difference) -> float:
    """Mean, in squared levels."""
    return float(255**2 / 10 ** (found.psnr_db / 10))


def fewest(order: list[str], passes: Callable[[Collection[str]], bool]) -> int:
    """How many of the first places it takes, by halving; with all of them it passes."""
    low, high = 1, len(order)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(order[:middle]) else (middle + 1, high)
    return low
