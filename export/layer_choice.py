"""Which places of a network have eight bits: all of them, less those that cost the picture most, until it is right.

Tried in an emulation, which takes as long as the float32 network in PyTorch: once where everything may have eight bits;
otherwise once for each place alone, and then for a few numbers of places left out, halving. A place's cost is the
squared error that it alone makes for each multiply-add that it saves.
"""

from collections.abc import Callable

import numpy as np

from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.export.verify import Difference, difference
from ugatit_fast.media.images import Pixels
from ugatit_fast.progress import Phased, Say

Measure = Callable[[EightBits], Difference]
"""How far the pictures of an emulation are from the reference's."""


def chosen(
    eight: EightBits,
    pictures: list[Pixels],
    exact: np.ndarray,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> EightBits:
    """The network with eight bits in as many places as pass the gate, perhaps in none.

    pictures: what it is judged by; exact: what the reference makes of them, as from `verify.exact_pictures`.
    """

    def measure(tried: EightBits) -> Difference:
        return difference(emulate(tried, pictures), exact)

    if measure(eight).passes("int8"):
        return eight
    say("eight bits everywhere miss the gate: measuring what each place costs")
    order = by_cost(eight, measure, progress)
    return eight.without(order[: fewest(order, lambda places: measure(eight.without(places)).passes("int8"))])


def by_cost(eight: EightBits, measure: Measure, progress: Phased) -> list[str]:
    """The places in eight bits, the one that costs most for what it saves first."""
    costs = {}
    for done, place in enumerate(eight.spans):
        progress("measuring places", done, len(eight.spans))
        costs[place] = squared_error(measure(eight.only([place]))) / eight.multiply_adds[place]
    progress("measuring places", len(eight.spans), len(eight.spans))
    return sorted(costs, key=lambda place: -costs[place])


def squared_error(found: Difference) -> float:
    """Mean, in squared levels."""
    return 255**2 / 10 ** (found.psnr_db / 10)


def fewest(order: list[str], passes: Callable[[list[str]], bool]) -> int:
    """How many of the first places have to be left out, by halving; without any place left nothing is rounded."""
    low, high = 1, len(order)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(order[:middle]) else (middle + 1, high)
    return low
