"""The photographs, weights and engines in the package."""

from importlib.resources import files
from pathlib import Path

from ugatit_fast.choices import Direction

SAMPLE_PHOTOS = ("astronaut.jpg", "grace_hopper.jpg")
SHIPPED_PAIR = "photo2print"
"""The pair of small generators that comes with the package, by the name that its files and the list of weights have."""
SHIPPED_TURNS = ("photos", "prints in two inks")
"""What it turns into what."""


def sample_photos() -> list[Path]:
    """The photographs that come with the package."""
    return [asset(name) for name in SAMPLE_PHOTOS]


def shipped_weights(direction: Direction = "A2B") -> Path:
    """A small generator that comes with the package: from photos (A) to prints in two inks (B), or back."""
    return asset(f"{SHIPPED_PAIR}-{direction}.safetensors")


def shipped_engine(direction: Direction = "A2B") -> Path:
    """The engine for CPUs that `python -m benchmarks.shipped_engines` made of `shipped_weights`, with heat maps."""
    return asset(f"{SHIPPED_PAIR}-{direction}.onnx")


def shipped_card() -> Path:
    """What the pair is, what it was made from, and what it can't do."""
    return asset(f"{SHIPPED_PAIR}-card.md")


def card_of(file: Path) -> Path | None:
    """The model card of a file of weights or an engine, where it is one of the shipped pair's."""
    card = shipped_card()
    return card if file.name.startswith(SHIPPED_PAIR) and file.resolve().parent == card.resolve().parent else None


def asset(name: str) -> Path:
    return Path(str(files("ugatit_fast.assets") / name))
