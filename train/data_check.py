"""What is wrong with a data set, before a run of days finds out."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ugatit_fast.errors import InputError
from ugatit_fast.machine import available_cores
from ugatit_fast.media.images import load_image
from ugatit_fast.train.data import TEST_FOLDERS, TRAIN_FOLDERS, image_files

FEW_PICTURES = 100
"""In a training folder; below this a generator learns the pictures by heart. Published sets have 1000 to 6000."""
EXAMPLES = 3
"""Files that a finding names."""
WIDE = 2
"""Ratio of the sides from which resizing to a square distorts badly."""


@dataclass(frozen=True)
class Finding:
    """One thing about a data set. `grave`: to be put right before training."""

    text: str
    grave: bool = False


@dataclass(frozen=True)
class Picture:
    """What one file turned out to be."""

    path: Path
    sha256: str
    error: str | None = None
    """Why it can't be read; the rest is only known where it can."""
    named_wrongly: str | None = None
    """The format that it has and its name denies."""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class DataReport:
    """counts: readable pictures by folder. findings: of folders, then one a kind of picture, broken files last."""

    counts: dict[str, int]
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        return not any(finding.grave for finding in self.findings)


def check_data(data: Path, img_size: int) -> DataReport:
    """Decode every picture of a data set, for training at `img_size` pixels. Raises InputError for no folder."""
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; expected one with trainA and trainB in it")
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    pictures: list[Picture] = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for name in (*TRAIN_FOLDERS, *TEST_FOLDERS):
            found = list(pool.map(examined, image_files(data / name)))
            counts[name] = sum(picture.error is None for picture in found)
            findings += of_folder(data / name, counts[name])
            pictures += found
    return DataReport(counts, findings + list(of_pictures(pictures, img_size)))


def examined(path: Path) -> Picture:
    """Decode one file."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        image = load_image(path)
    except OSError as error:
        return Picture(path, str(path), f"{path} can't be read ({error.strerror})")
    except InputError as error:
        return Picture(path, sha256, str(error))
    with Image.open(path) as opened:
        actual = "JPEG" if opened.format == "MPO" else opened.format  # phones append a depth map
    claimed = Image.registered_extensions().get(path.suffix.lower())
    height, width = image.shape[:2]
    return Picture(path, sha256, None, actual if actual != claimed else None, width, height)


def of_folder(folder: Path, readable: int) -> Iterator[Finding]:
    trains = folder.name in TRAIN_FOLDERS
    if not folder.is_dir():
        text = f"{folder} doesn't exist"
        yield Finding(text if trains else f"{text}; sample grids will show training pictures only", grave=trains)
    elif readable == 0:
        yield Finding(f"{folder} has no picture that can be read", grave=trains)
    elif trains and readable < FEW_PICTURES:
        yield Finding(f"{folder} has {readable} pictures; with fewer than {FEW_PICTURES} a run learns them by heart")


def of_pictures(pictures: Sequence[Picture], img_size: int) -> Iterator[Finding]:
    """What is to be said of all files, a finding a kind."""
    readable = [picture for picture in pictures if picture.error is None]
    named_wrongly = [f"{picture.path} is {picture.named_wrongly}" for picture in readable if picture.named_wrongly]
    small = [sized(picture) for picture in readable if min(picture.width, picture.height) < img_size]
    wide = [
        sized(picture)
        for picture in readable
        if max(picture.width, picture.height) >= WIDE * min(picture.width, picture.height)
    ]
    broken = [picture.error for picture in pictures if picture.error is not None]
    kinds = {
        "of another format than their names say, read all the same": named_wrongly,
        f"smaller than the {img_size} pixels of training, which enlarges them": small,
        f"one side {WIDE} times the other or more, which training squashes to squares; crop them first": wide,
        "the same file as another": twins(readable),
    }
    for kind, cases in kinds.items():
        if cases:
            yield Finding(counted(kind, cases))
    if broken:
        yield Finding(counted("broken, which training skips; repair or remove them", broken), grave=True)


def counted(kind: str, cases: Sequence[str]) -> str:
    """A kind, how many there are of it, and the first few."""
    such = "such as " if len(cases) > EXAMPLES else ""
    return f"{kind}: {len(cases)}, {such}{'; '.join(cases[:EXAMPLES])}"


def sized(picture: Picture) -> str:
    return f"{picture.path} ({picture.width} x {picture.height})"


def twins(pictures: Sequence[Picture]) -> list[str]:
    """Each picture that is, byte for byte, one before it."""
    seen: dict[str, Path] = {}
    pairs = [(picture.path, seen.setdefault(picture.sha256, picture.path)) for picture in pictures]
    return [f"{path} is {first}" for path, first in pairs if path != first]
