"""A comparison's folder, and what it says about itself.

    comparison.json               a `Comparison`; by it a folder is known to be ours
    index.html comparison.csv     for people, and for tables
    photos/NAME.png               each photo, as the largest of the methods sees it
    methods/METHOD/NAME.png       what each method made of it
    answers.jsonl                 what people said of them: see `ugatit_fast.study.answers`

comparison.json is there from the beginning of a run, so that one that was cut off can go on: a picture that is there
was made by the method, and of the photo, that it says. It holds no path of the machine that it was made on.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import ClassVar, Literal

from ugatit_fast.bench.results import Spread, decode
from ugatit_fast.choices import Direction, EngineKind, Fit, Precision
from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole

SCHEMA_VERSION = 1
REPORT = "comparison.json"
TABLE = "comparison.csv"
PHOTOS, METHODS = PurePath("photos"), PurePath("methods")
ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Style:
    """What an engine drew in that draws in styles."""

    said: str
    """A seed or numbers as people say them, or the name of a picture, whose style it is."""
    numbers: tuple[float, ...]
    """What it comes to."""


@dataclass(frozen=True)
class Engine:
    """What ran."""

    ADDED: ClassVar[tuple[str, ...]] = ("style",)
    """What reports of before don't have."""

    file: str
    """Its name, without folders."""
    sha256: str
    bytes: int
    architecture: str
    """The family of the generator; empty where the file doesn't say."""
    kind: EngineKind
    precision: Precision
    direction: Direction
    height: int
    """Pixels that it translated at."""
    width: int
    device: str
    style: Style | None = None
    """None where it draws in one only."""


@dataclass(frozen=True)
class Distance:
    """A distance of a method's pictures, with how it was measured."""

    metric: str
    value: float
    spread: float | None
    how: str
    """Protocol, counts, seed, network, in words."""


@dataclass(frozen=True)
class Method:
    """One column."""

    name: str
    folder: str
    """Below `METHODS`."""
    engine: Engine | None = None
    """None where it couldn't be had."""
    failure: str | None = None
    """Why it couldn't be had, or didn't go on."""
    times: Spread | None = None
    """Milliseconds of one picture, uint8 in host memory to uint8 in host memory."""
    distances: tuple[Distance, ...] = ()


@dataclass(frozen=True)
class Photo:
    """One row."""

    name: str
    """Relative to the folder of the photos."""
    picture: str
    """The name of its pictures in `PHOTOS` and in each method's folder."""
    stamp: str
    """Tells a file from what it is after a change; empty where nothing can."""
    failures: dict[str, str] = field(default_factory=dict)
    """Method -> why it made nothing of this one."""


@dataclass(frozen=True)
class Comparison:
    """All of it."""

    kind: Literal["comparison"]
    schema: int
    made_with: str
    """The version of ugatit-fast."""
    finished: bool
    started: str
    """When, in ISO 8601."""
    machine: str
    """What the times are of."""
    data_set: str
    target_name: str
    """In the plural, for "the best translation into ..."; empty where nobody said."""
    fit: Fit
    height: int
    """Of the pictures in `PHOTOS`."""
    width: int
    methods: tuple[Method, ...] = ()
    photos: tuple[Photo, ...] = ()
    unread: tuple[str, ...] = ()
    """Why photos are missing, a line each."""
    notes: tuple[str, ...] = ()
    """What to know before comparing."""

    @property
    def failures(self) -> list[str]:
        """All that went wrong, a line each."""
        of_methods = {method.name: method.failure for method in self.methods if method.failure}
        of_pictures = [
            f"{name}: {reason}"
            for photo in self.photos
            for name, reason in photo.failures.items()
            if reason != of_methods.get(name)  # all that a method left undone when it failed
        ]
        return [*(f"{name}: {reason}" for name, reason in of_methods.items()), *self.unread, *of_pictures]

    def made(self) -> list[Method]:
        """The methods that made pictures: all but those that could not be had, or failed on every photo."""
        return [
            method
            for method in self.methods
            if method.engine is not None and any(self.has(method, photo) for photo in self.photos)
        ]

    def has(self, method: Method, photo: Photo) -> bool:
        """Whether there is a picture of this photo by this method."""
        return method.engine is not None and method.name not in photo.failures


def write_report(folder: Path, comparison: Comparison) -> None:
    """Atomic. Raises InputError where it can't be written."""
    text = json.dumps(asdict(comparison), indent=1, allow_nan=False)
    with written_whole(folder / REPORT) as partial:
        partial.write_text(text + "\n", encoding="ascii")


def read_report(folder: Path) -> Comparison:
    """Raises InputError where the folder holds no comparison of ours, or a damaged or newer one."""
    path = folder / REPORT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{folder} holds no comparison ({REPORT}: {error.strerror or error}); make one: ugatit-fast compare"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); compare again, into another folder") from error
    version = document.get("schema") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(f"{path} has schema {version}, this ugatit-fast reads up to {SCHEMA_VERSION}: upgrade it")
    try:
        comparison: Comparison = decode(Comparison, document, "comparison")
    except TypeError as error:
        raise InputError(f"{path} isn't a comparison of ours: {error}; compare into another folder") from error
    for name in (*(method.folder for method in comparison.methods), *(photo.picture for photo in comparison.photos)):
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise InputError(f"{path} names a file outside its folder ({name}); compare again")
    return comparison


def claim(folder: Path) -> Comparison | None:
    """The comparison that a folder holds, to go on with; None where it is new or empty.

    Raises InputError where it holds anything that isn't ours, and where people have been asked about its pictures.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder for the report: choose another name")
    if not (folder / REPORT).exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} holds files and is no report of ours; choose another folder, or an empty one")
        return None
    if has_answers(folder / ANSWERS):
        raise InputError(
            f"{folder / ANSWERS} has answers about the pictures in {folder}, which must stay as they were seen; "
            "compare into another folder"
        )
    return read_report(folder)


def has_answers(path: Path) -> bool:
    """Whether a study's file holds more than its first line; a file that can't be told apart from one does."""
    try:
        return path.read_bytes().count(b"\n") != 1 if path.exists() else False
    except OSError:
        return True


def photo_file(folder: Path, photo: Photo) -> Path:
    return folder / PHOTOS / photo.picture


def picture_file(folder: Path, method: Method, photo: Photo) -> Path:
    return folder / METHODS / method.folder / photo.picture


def remove_stale(folder: Path, before: Comparison, after: Comparison) -> None:
    """Remove the pictures of an earlier run that `after` would not make alike; no file that `before` doesn't name."""
    for path in set(pictures(folder, before)) - set(kept(folder, before, after)):
        path.unlink(missing_ok=True)


def pictures(folder: Path, comparison: Comparison) -> Iterator[Path]:
    """Every file that the pictures of a comparison can have."""
    for photo in comparison.photos:
        yield photo_file(folder, photo)
        for method in comparison.methods:
            yield picture_file(folder, method, photo)


def kept(folder: Path, before: Comparison, after: Comparison) -> Iterator[Path]:
    """Those that both comparisons have, of the same photo and by the same engine, framed alike."""
    if before.fit != after.fit:
        return
    unchanged = {(photo.picture, photo.stamp) for photo in before.photos}
    photos = [photo for photo in after.photos if photo.stamp and (photo.picture, photo.stamp) in unchanged]
    if (before.height, before.width) == (after.height, after.width):
        yield from (photo_file(folder, photo) for photo in photos)
    makers = {method.folder: maker_of(method) for method in before.methods}
    for method in after.methods:
        if method.engine is not None and makers.get(method.folder) == maker_of(method):
            yield from (picture_file(folder, method, photo) for photo in photos)


def maker_of(method: Method) -> tuple[object, ...] | None:
    """What makes two methods one, whatever they are called."""
    engine = method.engine
    if engine is None:
        return None
    return engine.sha256, engine.height, engine.width, engine.style.numbers if engine.style else None
