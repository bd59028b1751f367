"""What an engine turns into what, in words for people."""

from functools import cache

from ugatit_fast.assets import SHIPPED_TURNS, shipped_engine
from ugatit_fast.choices import Direction
from ugatit_fast.engine import EngineSpec, read_spec


def turns_of(spec: EngineSpec, told: tuple[str, str] | None) -> tuple[str, str] | None:
    """In the plural; None where nobody told and its checkpoint isn't one of those in the package.

    told: what A2B turns into what.
    """
    shipped = shipped_directions().get(spec.checkpoint_sha256)
    turns = told or (SHIPPED_TURNS if shipped else None)
    if turns is None:
        return None
    a, b = turns
    return (a, b) if (spec.direction if told else shipped) == "A2B" else (b, a)


@cache
def shipped_directions() -> dict[str, Direction]:
    """The directions of the pair in the package, by the SHA-256 of its checkpoints."""
    directions: tuple[Direction, ...] = ("A2B", "B2A")
    return {read_spec(shipped_engine(direction)).checkpoint_sha256: direction for direction in directions}
