"""Heat maps as pictures, and the published seven tiles of a photo.

    input · heat map and result of the identity pass · of the translation · of the way back from it

The tiles stand above each other in that order (`stack_tiles`), the fifth being the translation. `translate --stack`
writes one stack a photo, `ugatit_fast.train.samples` several side by side.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ugatit_fast.media.images import Pixels

Heatmap = npt.NDArray[np.float32]
"""Attention of one picture, float32 (hh, ww), unscaled."""


class Pass(NamedTuple):
    """What a generator made of a picture."""

    picture: Pixels
    heatmap: Heatmap


def jet_colours() -> npt.NDArray[np.uint8]:
    """The JET colour map, (256, 3): blue, cyan, yellow, red, each channel a clipped tent 3/4 of the scale wide.

    Every value on a slope ends in a half, so the sum is one of integers: OpenCV's table rounds such halves to even.
    """
    level = np.arange(256)[:, None]
    return np.rint(np.clip(382.5 - abs(4 * level - 255 * np.array((3, 2, 1))), 0, 255)).astype(np.uint8)


JET = jet_colours()
HEATMAP_WEIGHT = 0.5
"""Share of the heat map's colour in an overlay; the rest is the photo's."""


def stack_tiles(photo: Pixels, identity: Pass, translation: Pass, cycle: Pass) -> Pixels:
    """The published test picture of a photo: seven tiles from top to bottom, uint8 (7 h, w, 3).

    photo: uint8 (h, w, 3), of domain A, say; everything else has its size.
    identity: B2A of the photo. translation: A2B of the photo. cycle: B2A of the translation.
    For a photo of B, A and B change places.
    """
    height, width = photo.shape[:2]
    tiles = [photo]
    for made in (identity, translation, cycle):
        tiles += [heatmap_colours(made.heatmap, (height, width)), made.picture]
    return np.concatenate(tiles)


def heatmap_colours(heatmap: Heatmap, size: tuple[int, int]) -> Pixels:
    """A heat map in JET colours at `size` (h, w), uint8 (h, w, 3).

    It goes from its smallest value (blue) to its largest (red), is cut to 256 levels, resized, then coloured, as in
    `cam` of the published utils.py; a constant one is blue throughout, and values that aren't finite count as 0.
    """
    values = np.where(np.isfinite(heatmap), heatmap, 0).astype(np.float64)
    values -= values.min()
    levels = (255 * (values / (values.max() or 1))).astype(np.uint8)
    colours: Pixels = JET[resized(levels, size)]
    return colours


WEIGHT_BITS = 11
"""Of the weights that neighbours get, in each direction: OpenCV drops all 22 bits as 4, then 16, then 2."""


def resized(levels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bilinear, uint8 (hh, ww) -> (h, w), in the fixed-point arithmetic of OpenCV's resize.

    Rounding of another kind moves a level by one, and a colour by four.
    """
    above, below, upper, lower = neighbours(levels.shape[0], size[0])
    left, right, before, after = neighbours(levels.shape[1], size[1])
    wide = levels.astype(np.int64)
    rows = (wide[:, left] * before + wide[:, right] * after) >> 4
    summed = (rows[above] * upper[:, None] >> 16) + (rows[below] * lower[:, None] >> 16)
    return ((summed + 2) >> 2).astype(np.uint8)


Whole = npt.NDArray[np.int64]


def neighbours(length: int, target: int) -> tuple[Whole, Whole, Whole, Whole]:
    """For each of `target` places, the two of `length` it lies between, and their weights, in 2^-WEIGHT_BITS."""
    place = (np.arange(target) + 0.5) * length / target - 0.5
    place = np.clip(place, 0, length - 1)
    first = np.floor(place).astype(np.int64)
    second = np.rint((place - first) * 2**WEIGHT_BITS).astype(np.int64)
    return first, np.minimum(first + 1, length - 1), 2**WEIGHT_BITS - second, second


def heatmap_overlay(image: Pixels, heatmap: Heatmap) -> Pixels:
    """Where the generator looks: its heat map's colours, half and half over the picture it looked at (h, w, 3)."""
    colours = heatmap_colours(heatmap, (image.shape[0], image.shape[1]))
    blend = HEATMAP_WEIGHT * colours + (1 - HEATMAP_WEIGHT) * image
    overlay: Pixels = np.rint(blend).astype(np.uint8)
    return overlay
