"""The photos in a folder and its subfolders, and the names in an output folder that are ours."""

import os
import re
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

    Raises InputError where the folder or one of its subfolders can't be read; a subfolder that has just gone is none.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError) and Path(error.filename) != folder:
            return
        raise InputError(f"folder {error.filename} can't be read ({error.strerror}); check that it is there") from error

    suffixes = IMAGE_SUFFIXES + VIDEO_SUFFIXES if with_videos else IMAGE_SUFFIXES
    files = []
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if is_visible(PurePath(name), suffixes)]
    return sorted(files, key=natural_order)


def is_visible(path: PurePath, suffixes: tuple[str, ...]) -> bool:
    """Whether the name ends in one of `suffixes`, and neither it nor a folder of it is hidden."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in suffixes and not hidden


def natural_order(path: PurePath) -> tuple[list[list[str | int]], PurePath]:
    # Splitting by a group alternates text and digits, so that like is only ever compared with like.
    return [
        [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part.casefold())]
        for part in path.parts
    ], path
