"""A turned rectangle of a photo: taken out upright, and put back as it lay.

With the middle m of a rectangle of (w, h) pixels that is turned by t, a point q of the upright picture lies in
the photo at

    p = m + (q - (w + h i) / 2) e^(i t)

points being complex numbers, x + y i, in pixels from the photo's left and top, so that angles go clockwise. The way
back is the same with -t. Samples are bilinear, at the middles of pixels: quarter turns and plain slopes are exact.
"""

import cmath
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.choices import Box
from ugatit_fast.media.fitting import faded
from ugatit_fast.media.images import Pixels

BEYOND = 1
"""Pixels around what is sampled that a sample also looks at."""


class Turned(NamedTuple):
    """A rectangle of a photo, turned about its middle."""

    box: Box
    """Before it is turned; may reach over the photo's edges."""
    degrees: float = 0.0
    """Clockwise."""

    @property
    def middle(self) -> complex:
        """Where it is turned about."""
        return complex(self.box.left + self.box.width / 2, self.box.top + self.box.height / 2)

    @property
    def turn(self) -> complex:
        """e^(i t)."""
        return cmath.rect(1, math.radians(self.degrees))

    def in_photo(self, point: complex) -> complex:
        """Where a point of the upright picture lies in the photo."""
        return self.middle + (point - complex(self.box.width, self.box.height) / 2) * self.turn

    def bounds(self) -> Box:
        """The smallest upright rectangle of whole pixels around it."""
        corners = [self.in_photo(complex(x, y)) for x in (0, self.box.width) for y in (0, self.box.height)]
        left, top = (math.floor(min(side)) for side in sides(corners))
        right, bottom = (math.ceil(max(side)) for side in sides(corners))
        return Box(left, top, right - left, bottom - top)


def sides(points: list[complex]) -> tuple[list[float], list[float]]:
    """Their x and their y; what an exact number lacks for 1e-9 pixels is rounding."""
    return [round(point.real, 9) for point in points], [round(point.imag, 9) for point in points]


def take_turned(photo: Pixels, part: Turned) -> Pixels:
    """The part of a photo (h, w, 3), upright, of the size of its box. What lies outside the photo repeats its edge."""
    if not part.degrees:
        return repeated(photo, part.box)
    left, top, width, height = part.bounds()
    around = Box(left - BEYOND, top - BEYOND, width + 2 * BEYOND, height + 2 * BEYOND)
    first = part.in_photo(0j) - complex(around.left, around.top)
    size = (part.box.width, part.box.height)
    return np.rint(sampled(repeated(photo, around), size, part.turn, first)).astype(np.uint8)


def repeated(photo: Pixels, box: Box) -> Pixels:
    """A box of a photo; outside, the nearest pixel of the photo's edge."""
    rows = np.arange(box.top, box.top + box.height).clip(0, photo.shape[0] - 1)
    columns = np.arange(box.left, box.left + box.width).clip(0, photo.shape[1] - 1)
    return photo[rows[:, None], columns]


def paste_turned(photo: Pixels, picture: Pixels, part: Turned, shown: Box) -> Pixels:
    """`photo` (h, w, 3) with `picture`, resized, in the place of `shown`, a box of the upright part; a new picture.

    All its edges fade in as `fitting.paste_image` has it.
    """
    height, width = photo.shape[:2]
    patch, weight = faded(picture, shown, (True, True), (True, True))
    left, top, wide, high = part.bounds()
    left, right = max(left, 0), min(left + wide, width)
    top, bottom = max(top, 0), min(top + high, height)
    back = part.turn.conjugate()
    first = (complex(left, top) - part.in_photo(complex(shown.left, shown.top))) * back
    size, place = (right - left, bottom - top), np.s_[top:bottom, left:right]
    if min(size) < 1:  # none of it is in the photo
        return photo.copy()
    laid = sampled(patch, size, back, first)
    share = sampled(weight[..., None], size, back, first)
    pasted = photo.copy()
    pasted[place] = np.rint(share * laid + (1 - share) * photo[place])
    return pasted


def sampled(
    pixels: npt.NDArray[np.generic], size: tuple[int, int], turn: complex, first: complex
) -> npt.NDArray[np.float32]:
    """The picture of `size` (w, h) whose point q is that of `pixels` (h, w, c) at first + q turn; 0 outside.

    Channel by channel as floats: of bytes, Pillow drops the fractions. Bilinear: its bicubic samples bend plain slopes.
    """
    matrix = (turn.real, -turn.imag, first.real, turn.imag, turn.real, first.imag)
    channels = [
        Image.fromarray(pixels[..., channel].astype(np.float32)).transform(
            size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        for channel in range(pixels.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=2)
