"""Two folders of pictures -> batches, the same ones however many processes load them.

Which picture a place in the stream shows, and how it is flipped and cropped, follows from the seed and the place alone.
So there is no state to save: a run that is resumed goes on at the place that its step says, bit for bit.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator as RandomGenerator
from numpy.random import default_rng
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ugatit_fast.errors import InputError
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.media.folders import IMAGE_SUFFIXES, photos_below
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.train.settings import MARGIN_PIXELS, TrainSettings

TRAIN_FOLDERS = ("trainA", "trainB")
TEST_FOLDERS = ("testA", "testB")
BATCHES_AHEAD = 4
"""Batches that each loading process keeps ready."""
OF_ORDER, OF_AUGMENTATION = 0, 1
"""What a random sequence is for; part of its seed."""


def image_files(folder: Path) -> list[Path]:
    """The pictures below a folder: those that `translate` would take, in its order. None where there is no folder."""
    return photos_below(folder) if folder.is_dir() else []


def training_files(data: Path) -> tuple[list[Path], list[Path]]:
    """Pictures of domains A and B. Raises InputError where a folder is missing or no file in it can be read."""
    domains = []
    for name in TRAIN_FOLDERS:
        folder = data / name
        if not folder.is_dir():
            raise InputError(
                f"{folder} doesn't exist; expected the pictures of the two domains in {data / 'trainA'} and "
                f"{data / 'trainB'}"
            )
        files = image_files(folder)
        if not files:
            raise InputError(f"{folder} holds no pictures; expected files ending in {' '.join(IMAGE_SUFFIXES)}")
        if first_readable(files) is None:
            raise InputError(
                f"none of the {len(files)} pictures in {folder} can be read; see ugatit-fast data check {data}"
            )
        domains.append(files)
    return domains[0], domains[1]


def first_readable(files: list[Path]) -> Path | None:
    for file in files:
        try:
            load_image(file)
        except InputError:
            continue
        return file
    return None


def augmented(image: Pixels, size: int, random: RandomGenerator) -> Pixels:
    """Flip half of them, resize to size + 30 whatever the aspect, crop size x size anywhere: the published recipe."""
    picture = Image.fromarray(image)
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = picture.resize((size + MARGIN_PIXELS, size + MARGIN_PIXELS), Image.Resampling.BILINEAR)
    left, top = (int(random.integers(MARGIN_PIXELS + 1)) for _ in range(2))
    return np.array(picture.crop((left, top, left + size, top + size)))


class Domain:
    """The endless stream of one domain's pictures: each once an epoch, in an order of its own every epoch."""

    def __init__(self, files: list[Path], size: int, seed: int, number: int) -> None:
        """size: side of the crops in pixels. number: 0 for A, 1 for B, whose orders then differ."""
        self.files = files
        self.size = size
        self.seed = (seed, number)

    def picture(self, position: int) -> tuple[Pixels, list[str]]:
        """The picture at a place in the stream, uint8 (size, size, 3), and why files before it were skipped."""
        epoch, place = divmod(position, len(self.files))
        order = shuffled(len(self.files), (*self.seed, OF_ORDER, epoch))
        skipped = []
        for i in range(len(self.files)):
            try:
                side = self.size + MARGIN_PIXELS
                image = load_image(self.files[order[(place + i) % len(order)]], at_least=(side, side))
            except InputError as error:
                skipped.append(str(error))
                continue
            return augmented(image, self.size, default_rng((*self.seed, OF_AUGMENTATION, position))), skipped
        raise InputError(f"none of the {len(self.files)} pictures can be read any more; the first: {skipped[0]}")


@lru_cache(maxsize=4)
def shuffled(count: int, seed: tuple[int, ...]) -> list[int]:
    return default_rng(seed).permutation(count).tolist()


@dataclass(frozen=True)
class Batch:
    """uint8 (n, size, size, 3) of each domain, and why files were skipped."""

    a: Tensor
    b: Tensor
    skipped: list[str]


class Pairs(Dataset[tuple[Pixels, Pixels, list[str]]]):
    """A picture of either domain for every place in the stream; they have nothing to do with each other."""

    def __init__(self, a: Domain, b: Domain) -> None:
        self.a, self.b = a, b

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels, list[str]]:
        (a, skipped_a), (b, skipped_b) = self.a.picture(position), self.b.picture(position)
        return a, b, skipped_a + skipped_b


@dataclass(frozen=True)
class Places:
    """The places in the stream of every batch from step `first` to `last`, those of one process among `count`."""

    first: int
    last: int
    batch_size: int
    rank: int = 0
    count: int = 1

    def __len__(self) -> int:
        return max(0, self.last - self.first)

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.count
        for step in range(self.first, self.last):
            start = step * self.batch_size + self.rank * share
            yield list(range(start, start + share))


def batches(settings: TrainSettings, files: tuple[list[Path], list[Path]], places: Places) -> "DataLoader[Batch]":
    """Load the batches at these places, in `settings.workers` processes of their own."""
    a, b = (Domain(of_domain, settings.img_size, settings.seed, i) for i, of_domain in enumerate(files))
    return DataLoader(
        Pairs(a, b),  # type: ignore[arg-type]
        batch_sampler=places,
        num_workers=settings.workers,
        prefetch_factor=BATCHES_AHEAD if settings.workers else None,
        collate_fn=collated,
        worker_init_fn=leave_signals_alone,
        pin_memory=torch.cuda.is_available() and settings.device != "cpu",
    )


def collated(samples: list[tuple[Pixels, Pixels, list[str]]]) -> Batch:
    a, b = (torch.from_numpy(np.stack([sample[domain] for sample in samples])) for domain in (0, 1))
    return Batch(a, b, [reason for sample in samples for reason in sample[2]])


def leave_signals_alone(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; the one that trains decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def on_device(images: Tensor, device: torch.device) -> Tensor:
    """uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [-1, 1], channels-last, on the device."""
    return unit_range(images.to(device, non_blocking=True), torch.float32)
