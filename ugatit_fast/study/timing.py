"""How long each method takes for one picture, on this machine: methods take turns, so that what slows one slows all."""

from collections.abc import Mapping, Sequence

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.clock import spread, timed_ms
from ugatit_fast.bench.results import Spread
from ugatit_fast.errors import UgatitFastError
from ugatit_fast.progress import Counted
from ugatit_fast.translator import Translates

Timed = Mapping[str, tuple[Translates, Sequence[Images]]]
"""Method -> what runs it, and pictures (1, h, w, 3) of its size, as many as every other has."""


def interleaved(methods: Timed, rounds: int, on_progress: Counted) -> dict[str, Spread | UgatitFastError]:
    """Milliseconds of one call with one picture; the error of a method that fails.

    A round is a turn of every method with the same photo, and begins with another method each time. A turn is two
    calls, of which the second counts: the first finds the caches, and threads still spinning, of the method before.
    """
    samples: dict[str, list[float]] = {name: [] for name in methods}
    failed: dict[str, UgatitFastError] = {}
    names = list(methods)
    for number in range(rounds):
        for name in rotated(names, number):
            if name in failed:
                continue
            try:
                samples[name].append(turn_ms(*methods[name], number))
            except UgatitFastError as error:
                failed[name] = error
        on_progress(number + 1, rounds)
    return {name: failed[name] if name in failed else spread(samples[name]) for name in names}


def turn_ms(translator: Translates, pictures: Sequence[Images], number: int) -> float:
    picture = pictures[number % len(pictures)]
    translator.translate(picture)
    return timed_ms(lambda _: translator.translate(picture), 0)


def rotated(names: Sequence[str], number: int) -> list[str]:
    first = number % len(names) if names else 0
    return [*names[first:], *names[:first]]
