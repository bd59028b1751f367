"""What is wrong with a data set, before a run of days finds out."""

import hashlib
from collections.abc import Iterator
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
WIDE = 2
"""Ratio of the sides from which resizing to a square distorts badly."""


@dataclass(frozen=True)
class Finding:
    """One thing about a data set. `blocks`: training can't start."""

    text: str
    blocks: bool = False


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
    """counts: readable pictures by folder."""

    counts: dict[str, int]
    findings: list[Finding]

    @property
    def usable(self) -> bool:
        return not any(finding.blocks for finding in self.findings)


def check_data(data: Path, img_size: int) -> DataReport:
    """Decode every picture of a data set, for training at `img_size` pixels. Raises InputError for no folder."""
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; expected one with trainA and trainB in it")
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    seen: dict[str, Path] = {}
    with ThreadPoolExecutor(available_cores()) as pool:
        for name in (*TRAIN_FOLDERS, *TEST_FOLDERS):
            pictures = list(pool.map(examined, image_files(data / name)))
            counts[name] = sum(picture.error is None for picture in pictures)
            findings += of_folder(data / name, counts[name])
            for picture in pictures:
                findings += of_picture(picture, img_size)
                first = seen.setdefault(picture.sha256, picture.path)
                if first != picture.path:
                    findings.append(Finding(f"{picture.path} is the same file as {first}"))
    return DataReport(counts, findings)


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
        yield Finding(text if trains else f"{text}; sample grids will show training pictures only", blocks=trains)
    elif readable == 0:
        yield Finding(f"{folder} has no picture that can be read", blocks=trains)
    elif trains and readable < FEW_PICTURES:
        yield Finding(f"{folder} has {readable} pictures; with fewer than {FEW_PICTURES} a run learns them by heart")


def of_picture(picture: Picture, img_size: int) -> Iterator[Finding]:
    if picture.error is not None:
        yield Finding(f"{picture.error}; training skips it")
        return
    if picture.named_wrongly:
        yield Finding(f"{picture.path} is {picture.named_wrongly}, whatever its name; training reads it all the same")
    size = f"{picture.path} is {picture.width} x {picture.height}"
    if min(picture.width, picture.height) < img_size:
        yield Finding(f"{size}, smaller than the {img_size} pixels of training, which enlarges it")
    if max(picture.width, picture.height) >= WIDE * min(picture.width, picture.height):
        yield Finding(f"{size}; training squashes it to a square: crop it first")
