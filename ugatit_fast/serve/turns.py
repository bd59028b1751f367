"""What an engine turns into what, in words for people."""

from functools import cache

from ugatit_fast.choices import Direction
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.samples import SHIPPED_TURNS, shipped_engine


def turns_of(spec: EngineSpec) -> tuple[str, str] | None:
    """In the plural; None where its checkpoint isn't one of those in the package."""
    direction = shipped_directions().get(spec.checkpoint_sha256)
    if direction is None:
        return None
    photos, prints = SHIPPED_TURNS
    return (photos, prints) if direction == "A2B" else (prints, photos)


@cache
def shipped_directions() -> dict[str, Direction]:
    """The directions of the pair in the package, by the SHA-256 of its checkpoints."""
    directions: tuple[Direction, ...] = ("A2B", "B2A")
    return {read_spec(shipped_engine(direction)).checkpoint_sha256: direction for direction in directions}
