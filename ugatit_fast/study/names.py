"""What the parts of a comparison are called, and by what they are known again."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from ugatit_fast.bench.environment import file_stem
from ugatit_fast.errors import InputError
from ugatit_fast.translate.sources import ZIP_SUFFIX, Source

FOLDERS_OF_SETS = ("testa", "testb", "traina", "trainb", "test", "train", "a", "b")
"""Folders that are called for their part of a data set, whose name is the folder's above."""
LABELLED = re.compile(r"([^/\\:=]+)=(.+)", re.DOTALL)
"""NAME=ENGINE; an address with a query, and a path with = in a folder's name, are none."""


def labels_of(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Each method's name and weights: the name given, or that of the file with as much of its path as tells it apart.

    Raises InputError for a name that is empty.
    """
    split = [given(method) for method in methods]
    unnamed = [PurePath(weights) for name, weights in split if name is None]
    labels: list[tuple[str, str]] = []
    for name, weights in split:
        labels.append((apart(PurePath(weights), unnamed) if name is None else name, weights))
    return labels


def given(method: str) -> tuple[str | None, str]:
    labelled = None if Path(method).exists() else LABELLED.fullmatch(method)
    if labelled is None:
        return None, method
    name = " ".join(labelled[1].split())
    if not name or not name.isprintable():
        raise InputError(f"{method!r} gives a method no name that can be read; expected NAME=ENGINE")
    return name, labelled[2]


def apart(path: PurePath, among: Sequence[PurePath], *, suffix: bool = False) -> str:
    """The last parts of a path, with or without its suffix: as many as no other of `among` ends in."""
    for count in range(1, len(path.parts) + 1):
        if sum(tail(other, count, suffix) == tail(path, count, suffix) for other in among) < 2:
            return tail(path, count, suffix)
    return str(path)  # the same twice: refused by its name


def tail(path: PurePath, count: int, suffix: bool) -> str:
    last = PurePath(*path.parts[-count:])
    return (last if suffix else last.with_suffix("")).as_posix() if path.name else str(path)


def folders_of(names: Sequence[str]) -> dict[str, str]:
    """A folder for each method: its name as far as any disk can hold it, with a number where two are alike."""
    folders: dict[str, str] = {}
    for name in names:
        stem = file_stem(name)[:40].strip("-") or "method"
        number = 1
        folder = stem
        while folder in folders.values():
            number += 1
            folder = f"{stem}-{number}"
        folders[name] = folder
    return folders


def name_of(source: Source, photos: str) -> str:
    """What the photo's file is called, below the folder that was named."""
    given = Path(photos)
    if given.is_dir() and source.path.is_relative_to(given):
        return source.path.relative_to(given).as_posix()
    return source.path.name


def data_set_of(photos: str) -> str:
    """The name of the folder of photos, or of that above it where it is called testA; of an archive, its own."""
    path = Path(photos).resolve()
    if path.suffix.lower() == ZIP_SUFFIX:
        return path.stem
    path = path if path.is_dir() else path.parent
    parts = [part for part in path.parts[1:] if part.casefold() not in FOLDERS_OF_SETS]
    return parts[-1] if parts else path.name


def stamp_of(source: Source) -> str:
    """Of the file that a photo is read from: its size and time. Empty where there is none: stdin may bring another."""
    if source.file is None:
        return ""
    try:
        status = source.file.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
