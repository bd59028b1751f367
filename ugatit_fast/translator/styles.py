"""A style as people say it -> the numbers that an engine takes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ugatit_fast.backends.styles import Style, style_for, style_seen
from ugatit_fast.choices import drawn_style
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError
from ugatit_fast.translator.kinds import to_images
from ugatit_fast.translator.pictures import taken

GivenStyle: TypeAlias = "int | str | os.PathLike[str] | bytes | Image.Image | Sequence[float] | NDArray[np.generic]"
"""A seed; numbers, a sequence or text such as "0.3,-1.2,..."; or a picture to see the style in: a path, the bytes of a
file, a Pillow image, or an array uint8 (h, w, 3) RGB.
"""
LARGEST_SEED = 2**32 - 1


def style_of(given: "GivenStyle | None", spec: EngineSpec, engine: Path) -> Style | None:
    """The style that is given, of an engine that draws in styles: that of seed 0 unless given; None for others.

    A picture is brought to the engine's size as photos are. Raises InputError where the engine has only one style,
    where there are too many numbers or too few, and for what is no picture.
    """
    if given is None:
        return style_for(spec, None)
    length = spec.style_length
    if not length:
        raise InputError(f"{engine} draws in one style only; leave the style out")
    if isinstance(given, str):
        given = parsed(given)
    if isinstance(given, int):
        if not 0 <= given <= LARGEST_SEED:
            raise InputError(f"the seed of a style must be from 0 to {LARGEST_SEED}, got {given}")
        return drawn_style(length, given)
    if is_picture(given):
        (picture,) = to_images(taken(given, (spec.height, spec.width)).batch)
        return style_seen(engine, picture)
    return numbers_of(given, length)


def parsed(text: str) -> int | list[float] | Path:
    """A seed, numbers with commas between them, or else the path of a picture. InputError where there is no file."""
    said = numbers_in(text)
    if said is None and not Path(text).is_file():
        raise InputError(
            f"a style is a seed such as 7, numbers such as 0.3,-1.2,... or a picture; {text!r} is none of these and no "
            "file"
        )
    return Path(text) if said is None else said


def numbers_in(text: str) -> int | list[float] | None:
    """A seed, or numbers with commas between them; None for anything else."""
    if text.isascii() and text.strip().isdigit():
        return int(text)
    try:
        return [float(part) for part in text.split(",")] if "," in text else None
    except ValueError:  # a path may have commas
        return None


def is_picture(given: object) -> bool:
    if isinstance(given, np.ndarray):
        return given.ndim == 3
    return isinstance(given, os.PathLike | bytes | Image.Image)


def numbers_of(given: object, length: int) -> Style:
    """InputError where they aren't `length` finite numbers."""
    try:
        style = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"a style is a seed, {length} numbers or a picture; got {type(given).__name__}") from error
    if style.shape != (length,):
        got = f"{style.size}" if style.ndim == 1 else f"an array of {'x'.join(map(str, style.shape))}"
        raise InputError(f"a style of this engine has {length} numbers, got {got}; or give a seed or a picture")
    if not np.isfinite(style).all():
        raise InputError("a style's numbers must be finite")
    return style
