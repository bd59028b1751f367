"""Photos -> what each convolution of the folded network reads of them: the ranges that eight-bit scales are made from.

From minimum to maximum, never clipped: what is rare is what a norm makes large, and clipping 0.01 % at either end costs
3 to 5 dB. The sample photos are always among the photos, because `verify` knows those and no others. Ranges are also
those of a picture of one colour: without variance a network computes with its shifts alone, and may come to values that
no photo has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ugatit_fast.assets import sample_photos
from ugatit_fast.choices import styles_in_turn
from ugatit_fast.errors import InputError
from ugatit_fast.folded_weights import AttentionWeights, ConvolutionWeights, StyleWeights
from ugatit_fast.graph import FoldedNetwork, TorchOperations
from ugatit_fast.kernels.padding import interior
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.folders import photos_below
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.progress import Phased, Say

MOST_PHOTOS = 100
"""Of a folder, evenly spread over it: ranges hardly grow beyond, and each photo takes a second."""
FEWEST_STYLES = 64
"""That a network which draws in styles is seen in: what its decoder reads is as large as the style makes it."""
GREY = 128
"""Of the picture of one colour. Where a norm follows the first convolution, all colours are one."""
STYLE = "style"
"""The place of the first linear layer, which only a full generator has in eight bits."""


@dataclass(frozen=True)
class Reading:
    """What one place reads, over all photos."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    """(c,) smallest and largest value of each channel, or zero where that is beyond: a scale has a place for zero."""
    made: NDArray[np.float32]
    """(o,) mean of each channel that it makes of that, without its bias."""
    multiply_adds: int
    """Of one photo there."""
    photos: int = 1

    def joined(self, other: "Reading") -> "Reading":
        """Over the photos of both."""
        photos = self.photos + other.photos
        return replace(
            self.reaching(other),
            made=((self.made * self.photos + other.made * other.photos) / photos).astype(np.float32),
            photos=photos,
        )

    def reaching(self, other: "Reading") -> "Reading":
        """With the range of both."""
        return replace(self, low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high))

    def scaled(self, factors: NDArray[np.float32]) -> "Reading":
        """Where each channel that is read was multiplied by a factor, and the kernels divided by it."""
        return replace(self, low=self.low * factors, high=self.high * factors)


@dataclass(frozen=True)
class Calibration:
    """Every convolution's reading, by its place in the folded network ("down.0", "decoder.1.0", "out"); and of a full
    generator the first linear layer's ("style").
    """

    readings: Mapping[str, Reading]
    photos: int


# Photos -----------------------------------------------------------------------------------------------------------


def calibration_pictures(
    folder: Path | None, size: tuple[int, int], say: Say = lambda _: None, progress: Phased = lambda *_: None
) -> list[Pixels]:
    """The sample photos and up to `MOST_PHOTOS` of a folder, cropped and resized to `size` (height, width): uint8
    (h, w, 3) each.

    Photos that can't be read, and those of one colour, which `calibrate` has anyway, are left out and counted.
    Raises InputError where the folder can't be read or nothing in it can be used.
    """
    pictures = [fit_image(load_image(photo), size, "crop") for photo in sample_photos()]
    if folder is None:
        return pictures
    if not folder.is_dir():
        raise InputError(f"--calibration takes a folder of photos, and {folder} is none; check its name")
    photos = evenly(photos_below(folder), MOST_PHOTOS)
    if not photos:
        raise InputError(
            f"the calibration folder {folder} has no photos; name one with photos as they'll be translated"
        )
    broken = plain = 0
    for done, photo in enumerate(photos):
        progress("reading photos", done, len(photos))
        try:
            picture = fit_image(load_image(photo), size, "crop")
        except InputError:
            broken += 1
            continue
        if (picture == picture[0, 0]).all():
            plain += 1
        else:
            pictures.append(picture)
    progress("reading photos", len(photos), len(photos))
    left_out = f"{broken} that can't be read, {plain} of one colour"
    if broken + plain == len(photos):
        raise InputError(f"no photo in the calibration folder {folder} can be used ({left_out}); name another")
    if broken + plain:
        say(f"calibration: {len(photos) - broken - plain} photos of {folder}, without {left_out}")
    return pictures


def evenly(photos: Sequence[Path], most: int) -> list[Path]:
    """At most so many, spread over all."""
    if len(photos) <= most:
        return list(photos)
    return [photos[i * len(photos) // most] for i in range(most)]


def in_enough_styles(pictures: Sequence[Pixels], style_length: int) -> list[Pixels]:
    """The pictures; of a network that draws in styles, again and again, until each of `FEWEST_STYLES` has had one."""
    rounds = -(-FEWEST_STYLES // len(pictures)) if style_length else 1
    return [*pictures] * max(rounds, 1)


# Ranges -----------------------------------------------------------------------------------------------------------


class ReadingOperations(TorchOperations):
    """The folded network in float32, noting what each place reads."""

    def __init__(self, dtype: torch.dtype, channels: int) -> None:
        super().__init__(dtype, channels)
        self.seen: dict[str, Reading] = {}

    def convolved(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> Tensor:
        result = super().convolved(x, weights, stride)
        pixels = result.shape[2] * result.shape[3]
        self.note(weights.prefix, x, result.mean((0, 2, 3)), weights.weight.numel() * pixels)
        return result

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        if weights.first.shape[1] != attended.shape[1]:
            self.note(STYLE, interior(attended, 1), weights.first.new_zeros(len(weights.first)), weights.first.numel())
        return super().style(attended, weights)

    def note(self, place: str, x: Tensor, made: Tensor, multiply_adds: int) -> None:
        ends = (x.amin((0, 2, 3)).clamp_max(0), x.amax((0, 2, 3)).clamp_min(0), made)
        low, high, means = (end.numpy().astype(np.float32) for end in ends)
        reading = Reading(low, high, means, multiply_adds)
        self.seen[place] = self.seen[place].joined(reading) if place in self.seen else reading


def calibrate(folded: FoldedNetwork, pictures: Sequence[Pixels], progress: Phased = lambda *_: None) -> Calibration:
    """Run pictures, uint8 (h, w, 3), through the folded network on the CPU, one at a time; see `drawn`.

    Raises InputError where there are none.
    """
    if not pictures:
        raise InputError("no pictures to calibrate with; give some")
    operations = ReadingOperations.of(folded.stem)
    with torch.inference_mode():
        progress("calibrating", 0, len(pictures))
        for done, _ in enumerate(drawn(folded, operations, pictures), start=1):
            progress("calibrating", done, len(pictures))
        plain = ReadingOperations.of(folded.stem)
        list(drawn(folded, plain, [np.full_like(pictures[0], GREY)]))
    readings = {place: reading.reaching(plain.seen[place]) for place, reading in operations.seen.items()}
    return Calibration(readings, len(pictures))


def drawn(folded: FoldedNetwork, operations: TorchOperations, pictures: Iterable[Pixels]) -> Iterator[Tensor]:
    """What a network makes of pictures, uint8 (h, w, 3) each, by some operations: uint8 (1, h, w, 3) each.

    In the styles of `choices.styles_in_turn`, where it draws in styles.
    """
    for picture, style in zip(pictures, styles_in_turn(folded.config.style_length), strict=False):
        operations.given = None if style is None else torch.from_numpy(style)
        yield folded.graph(operations, torch.from_numpy(picture[None]))[0]
