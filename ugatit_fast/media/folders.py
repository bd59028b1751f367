"""The photos in a folder and its subfolders, and the names in an output folder that are ours."""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath

from ugatit_fast.errors import InputError
from ugatit_fast.media.video import VIDEO_SUFFIXES

PAGE = "index.html"
INPUT_FOLDER = PurePath("gallery/input")
"""Below the output folder: what the network saw, without the border of `pad`."""
HEATMAP_FOLDER = PurePath("gallery/heatmap")
"""Below the output folder: its attention, over what it saw."""

# fmt: off
IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)
# fmt: on
"""What counts as a photo inside a folder. HEIC can't be decoded; it is here so that it is reported, not passed over."""


def photos_below(folder: Path, *, with_videos: bool = False) -> list[Path]:
    """Photos in a folder and its subfolders in natural order, without hidden ones (`._photo.jpg`, `.thumbnails/`).

    Raises as `files_below` does.
    """
    suffixes = IMAGE_SUFFIXES + VIDEO_SUFFIXES if with_videos else IMAGE_SUFFIXES
    return [file for file in files_below(folder) if is_visible(PurePath(file.name), suffixes)]


def files_below(folder: Path) -> list[Path]:
    """Files in a folder and its subfolders in natural order, without hidden ones; links are followed, and one that
    leads back to a folder above it is left out.

    Raises InputError where the folder or one of its subfolders can't be read; a subfolder that has just gone is none.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError) and Path(error.filename) != folder:
            return
        raise InputError(f"folder {error.filename} can't be read ({error.strerror}); check that it is there") from error

    files = []
    ways = {str(folder): frozenset([identity(folder)])}
    for parent, subfolders, names in os.walk(folder, onerror=refuse, followlinks=True):
        way = ways.pop(parent)
        below = {name: identity(Path(parent, name)) for name in subfolders if not is_hidden(name)}
        subfolders[:] = [name for name, here in below.items() if here not in way]
        ways |= {os.path.join(parent, name): way | {below[name]} for name in subfolders}  # noqa: PTH118 - as os.walk does
        files += [Path(parent, name) for name in names if not is_hidden(name)]
    return sorted(files, key=natural_order)


def identity(folder: Path) -> tuple[int, int] | None:
    """What a folder is, by whatever name it was reached; None where it has just gone."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path has the pattern's form, part by part; `**` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return matches(parts, pattern[1:]) or (bool(parts) and matches(parts[1:], pattern))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def is_visible(path: PurePath, suffixes: tuple[str, ...]) -> bool:
    """Whether the name ends in one of `suffixes`, and neither it nor a folder of it is hidden."""
    hidden = any(map(is_hidden, path.parts))
    return path.suffix.lower() in suffixes and not hidden


def natural_order(path: PurePath) -> tuple[list[list[str | int]], PurePath]:
    # Splitting by a group alternates text and digits, so that like is only ever compared with like.
    return [
        [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part.casefold())]
        for part in path.parts
    ], path
