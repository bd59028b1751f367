"""Two results files against each other: what changed beyond noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Literal

from ugatit_fast.bench.clock import noise_band
from ugatit_fast.bench.results import Network, Results, Row
from ugatit_fast.bench.tables import figure, table

DEFAULT_THRESHOLD = 0.05
"""A slow-down by less is never called a regression."""

Verdict = Literal["faster", "same", "slower", "regression", "new", "gone", "broken"]
"""slower: beyond noise, within the threshold. broken: had figures before, has none now."""


@dataclass(frozen=True)
class Change:
    """One contender on one network, before and after."""

    contender: str
    network: Network
    before_ms: float | None
    after_ms: float | None
    change: float | None
    """after / before - 1."""
    band: float | None
    """How large a change may be by noise alone."""
    verdict: Verdict

    @property
    def is_comparable(self) -> bool:
        """Whether there is something to compare; no figures now, and some before, is a comparison too."""
        return self.change is not None or self.verdict == "broken"

    @property
    def is_regression(self) -> bool:
        return self.verdict in ("regression", "broken")


def compare(before: Results, after: Results, threshold: float = DEFAULT_THRESHOLD) -> list[Change]:
    """Every row of either file. threshold: relative; a regression is slower by more than it and than the noise band."""
    old, new = ({key_of(row): row for row in results.rows} for results in (before, after))
    return [change_of(old.get(key), new.get(key), threshold) for key in dict.fromkeys([*old, *new])]


def key_of(row: Row) -> tuple[str, str, Network]:
    return row.contender, row.target, row.network


def change_of(old: Row | None, new: Row | None, threshold: float) -> Change:
    row = new or old
    assert row is not None
    before, after = (one.latency.median_ms if one and one.latency else None for one in (old, new))
    if old is None or new is None or before is None or after is None:
        verdict: Verdict = "gone" if new is None else "new" if before is None else "broken"
        return Change(row.contender, row.network, before, after, None, None, verdict)
    change = after / before - 1
    band = hypot(noise_band(old.rounds_ms), noise_band(new.rounds_ms))
    if abs(change) <= band:
        verdict = "same"
    elif change < 0:
        verdict = "faster"
    else:
        verdict = "regression" if change > threshold else "slower"
    return Change(row.contender, row.network, before, after, change, band, verdict)


def measured(results: Results) -> str:
    """What a file has figures for, in words."""
    networks = "; ".join(dict.fromkeys(row.network.label for row in results.rows if row.latency))
    rows = f"rows of {networks}" if networks else "no rows"
    return f"{rows} and kernels, which aren't compared" if results.kernels else rows


def caveats(before: Results, after: Results) -> list[str]:
    """What else differs between the two, in lines."""
    pairs = {
        "machine": (before.machine.name, after.machine.name),
        "driver": (before.machine.driver, after.machine.driver),
        "system": (before.machine.system, after.machine.system),
    }
    names = dict.fromkeys([*before.machine.versions, *after.machine.versions])
    pairs |= {name: (before.machine.versions.get(name), after.machine.versions.get(name)) for name in names}
    return [f"{name}: {old or 'none'} -> {new or 'none'}" for name, (old, new) in pairs.items() if old != new]


def report(changes: Sequence[Change]) -> str:
    """The changes as a Markdown table."""
    rows = [
        [
            change.contender,
            change.network.label,
            figure(change.before_ms),
            figure(change.after_ms),
            "" if change.change is None else f"{change.change:+.1%}",
            "" if change.band is None else f"±{change.band:.1%}",
            change.verdict,
        ]
        for change in changes
    ]
    return table(("contender", "network", "before ms", "after ms", "change", "noise", "verdict"), rows)
