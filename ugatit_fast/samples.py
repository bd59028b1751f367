"""The photographs and weights in the package."""

from importlib.resources import files
from pathlib import Path

from ugatit_fast.choices import Direction

SAMPLE_PHOTOS = ("astronaut.jpg", "grace_hopper.jpg")


def sample_photos() -> list[Path]:
    """The photographs that come with the package."""
    return [Path(str(files("ugatit_fast") / "assets" / name)) for name in SAMPLE_PHOTOS]


def shipped_weights(direction: Direction = "A2B") -> Path:
    """A small generator that comes with the package: from photos (A) to cartoons (B), or back."""
    return Path(str(files("ugatit_fast") / "assets" / f"photo2cartoon-{direction}.safetensors"))
