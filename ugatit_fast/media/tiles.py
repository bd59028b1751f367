"""Heat maps as pictures, and the published seven tiles of a photo.

    input · heat map and result of the identity pass · of the translation · of the way back from it

The tiles stand above each other in that order (`stack_tiles`), the fifth being the translation. `translate --stack`
writes one stack a photo, `ugatit_fast.train.samples` several side by side.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.media.images import Pixels

Heatmap = npt.NDArray[np.float32]
"""Attention of one picture, float32 (hh, ww), unscaled."""


class Pass(NamedTuple):
    """What a generator made of a picture."""

    picture: Pixels
    heatmap: Heatmap


def jet_colours() -> npt.NDArray[np.uint8]:
    """The JET colour map, (256, 3): blue, cyan, yellow, red, each channel a clipped tent 3/4 of the scale wide."""
    level = np.linspace(0, 1, 256)[:, None]
    return np.rint(255 * np.clip(1.5 - abs(4 * level - (3, 2, 1)), 0, 1)).astype(np.uint8)


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

    It goes from its smallest value (blue) to its largest (red) as in the published code; a constant one is blue
    throughout, and values that aren't finite count as 0.
    """
    height, width = size
    values = np.where(np.isfinite(heatmap), heatmap, 0).astype(np.float64)
    values -= values.min()
    levels = np.rint(values * (255 / (values.max() or 1))).astype(np.uint8)
    resized = Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR)
    colours: Pixels = JET[np.asarray(resized)]
    return colours


def heatmap_overlay(image: Pixels, heatmap: Heatmap) -> Pixels:
    """Where the generator looks: its heat map's colours, half and half over the picture it looked at (h, w, 3)."""
    colours = heatmap_colours(heatmap, (image.shape[0], image.shape[1]))
    blend = HEATMAP_WEIGHT * colours + (1 - HEATMAP_WEIGHT) * image
    overlay: Pixels = np.rint(blend).astype(np.uint8)
    return overlay
