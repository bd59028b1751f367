"""The photos in a folder and its subfolders, and the names in an output folder that are ours."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath

from ugatit_fast.errors import InputError
from ugatit_fast.media.video import STREAM_SUFFIXES, VIDEO_SUFFIXES, is_transport_stream

PAGE = "index.html"
INPUT_FOLDER = PurePath("gallery/input")
"""Below the output folder: what the network saw, without the border of `pad`."""
HEATMAP_FOLDER = PurePath("gallery/heatmap")
"""Below the output folder: its attention, over what it saw."""

# fmt: off
IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg",
    ".jpx", ".jxl", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
)
UNREAD_SUFFIXES = (
    ".arw", ".cr2", ".cr3", ".dds", ".dng", ".eps", ".exr", ".icns", ".ico", ".jxr", ".kra", ".nef", ".orf", ".pcx",
    ".pef", ".psb", ".psd", ".qoi", ".raf", ".rw2", ".srw", ".svg", ".wdp", ".wmf", ".xcf",
)
UNREAD_VIDEO_SUFFIXES = (".dv", ".f4v", ".divx", ".m2v", ".rm", ".rmvb", ".swf")
# fmt: on
"""`IMAGE_SUFFIXES`: what counts as a photo inside a folder. The others: pictures and videos too, but not read."""


def photos_below(folder: Path, *, with_videos: bool = False) -> list[Path]:
    """Photos in a folder and its subfolders in natural order, without hidden ones (`._photo.jpg`, `.thumbnails/`).

    Pictures in formats that aren't read are left out with a warning, and programs that are named as videos without.
    Raises as `files_below` does.
    """
    suffixes = IMAGE_SUFFIXES + VIDEO_SUFFIXES if with_videos else IMAGE_SUFFIXES
    unread = UNREAD_SUFFIXES + UNREAD_VIDEO_SUFFIXES if with_videos else UNREAD_SUFFIXES
    files = files_below(folder)
    warn_of_unread(folder, [file for file in files if file.suffix.lower() in unread])
    return [file for file in files if is_read(file, suffixes)]


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


def is_read(file: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a file is what its name says, where that may be something else: TypeScript ends in .ts too."""
    suffix = file.suffix.lower()
    return suffix in suffixes and (suffix not in STREAM_SUFFIXES or is_transport_stream(file))


def warn_of_unread(place: Path, files: Sequence[PurePath]) -> None:
    """Say how many files of which kinds a folder or an archive holds that are left out."""
    if files:
        counts = Counter(file.suffix.lower() for file in files)
        most_first = sorted(counts.items(), key=lambda kind: (-kind[1], kind[0]))
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in most_first)
        warnings.warn(
            f"{place} holds pictures or videos that aren't read from there, and are left out: {kinds}; "
            "export them as JPEG, PNG or .mp4 into a folder",
            stacklevel=1,
        )


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
