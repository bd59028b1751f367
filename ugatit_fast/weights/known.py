"""The networks that are known to exist, by the names that commands take: published ones and the pair in the package."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ugatit_fast.assets import SHIPPED_PAIR, SHIPPED_TURNS, shipped_card, shipped_weights
from ugatit_fast.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Known:
    """One entry of the list."""

    family: str
    """The network's: U-GAT-IT."""
    turns: tuple[str, str]
    """What it turns into what, in the plural."""
    what: str
    """Whose it is and how it is packed."""
    licence: str
    source: str
    """The public page that all of this was read on; for the pair in the package, its model card there."""
    size_bytes: int | None = None
    """Of all that is fetched, where the source says it."""
    reference: str | None = None
    """What ugatit-fast fetches by itself."""
    by_hand: str | None = None
    """What people do where it can't."""
    sha256: str | None = None
    """Of the file behind an https:// reference, where the source says it."""


@cache
def known_weights() -> dict[str, Known]:
    """Every entry by name, the pair in the package first."""
    text = files("ugatit_fast.weights").joinpath("known.toml").read_text(encoding="utf-8")
    shipped = Known(
        family="U-GAT-IT",
        turns=SHIPPED_TURNS,
        what="a small pair of generators, light, any size; comes with ugatit-fast, and runs without a build",
        licence="MIT",
        source=str(shipped_card()),
        size_bytes=shipped_weights().stat().st_size,
    )
    listed = {name: Known(**entry | {"turns": tuple(entry["turns"])}) for name, entry in tomllib.loads(text).items()}
    return {SHIPPED_PAIR: shipped, **listed}


def refuse_to_fetch(name: str, entry: Known) -> CheckpointError:
    """What to do about weights that only people can fetch."""
    return CheckpointError(f"{name} can't be fetched by a program: {entry.by_hand} in place of its name")
