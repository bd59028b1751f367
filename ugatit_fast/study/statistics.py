"""Shares with intervals, and agreement, of people who choose one of several.

    interval     Wilson's (JASA 22, 1927), on the effective number of answers
    effective    answers / design effect, since answers of one person are alike: Rao and Scott (Biometrics 48, 1992);
                 with few people, times (z / t)^2 with one degree of freedom fewer than people: Korn and Graubard
                 (Survey Methodology 24, 1998)
    agreement    Fleiss' kappa (Psychological Bulletin 76, 1971), for photos that different numbers of people saw as in
                 Gwet, Handbook of Inter-Rater Reliability, 4th edition (2014), section 2.5

Wilson alone would take 20 answers of one person for those of 20 people. Drawing people anew (bootstrap) says 0 to 0 for
what nobody chose, and is too narrow for few people; this is neither.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True)
class Agreement:
    """How far people choose alike."""

    kappa: float | None
    """1: always; 0: as chance would have it; None where everyone always chose the same, and chance would too."""
    observed: float
    """Share of the pairs of people that chose alike for a photo, 0 to 1."""
    photos: int
    """Those that two people or more saw."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share, from 0 to 1, of `count` independent answers, more than 0 and not always whole."""
    scale = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def effective(chosen: Sequence[int], answers: Sequence[int]) -> float | None:
    """How many independent answers those of some people are worth; None for one person, who can't speak for others.

    chosen, answers: of each person, how often the method was chosen, and of how many answers, at least 1. Where a
    method was chosen always or never, nothing tells how alike a person's answers are: they count as one.
    """
    people, total = len(answers), sum(answers)
    if people < 2:
        return None
    share = sum(chosen) / total
    if share in (0, 1):
        worth: float = people
    else:
        residuals = sum((hits - share * count) ** 2 for hits, count in zip(chosen, answers, strict=True))
        variance = people / (people - 1) * residuals / total**2
        worth = total / max(1.0, variance * total / (share * (1 - share)))
    return worth * (Z / student(people - 1)) ** 2


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t: Abramowitz and Stegun 26.7.5. From 3 degrees on right to 0.5 %, then low."""
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92160,
    )
    return Z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def agreement(counts: Sequence[Sequence[int]]) -> Agreement | None:
    """counts: for each photo, how many people chose each method. None where no two people saw the same photo."""
    seen = [(row, sum(row)) for row in counts if sum(row)]
    alike = [sum(count * (count - 1) for count in row) / (people * (people - 1)) for row, people in seen if people > 1]
    if not alike:
        return None
    shares = [sum(row[method] / people for row, people in seen) / len(seen) for method in range(len(seen[0][0]))]
    observed, expected = sum(alike) / len(alike), sum(share**2 for share in shares)
    kappa = None if expected == 1 else (observed - expected) / (1 - expected)
    return Agreement(kappa, observed, len(alike))
