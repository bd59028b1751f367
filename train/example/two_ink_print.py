"""A print filter: photograph -> a print in two inks on paper. What domain B of the example data set is drawn with.

    photo -> grey, levels stretched -> tone    -> coral in two strengths, navy in the shadows \\
                                    -> outlines in navy                                        -> inks over paper

Both inks follow from lightness alone, and lightness is stretched first, since the encoder's instance normalisations
forget a picture's tint, brightness and contrast: every part of this can be learnt from what they leave. No grain: a
generator has no source of chance to make one from. Lines have a width in pixels, whatever the size of the picture.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist

from ugatit_fast.media.images import Pixels

Plane = NDArray[np.float64]
"""(h, w); lightness or coverage, 0 to 1."""

LUMA = np.array((0.299, 0.587, 0.114))
"""Lightness of red, green and blue, unrounded: 256 levels would show as bands."""
PAPER = np.array((251, 246, 233), np.float64)
CORAL = np.array((255, 102, 88), np.float64) / 255
NAVY = np.array((32, 54, 138), np.float64) / 255
"""Of an ink: the share of light, 0 to 1, that it lets through in red, green and blue."""
DENSITY = 0.95
"""Of a full ink; TINT_DENSITY of the light coral."""
TINT_DENSITY = 0.30

TINT_BELOW, TINT_SOFTNESS = 0.74, 0.06
"""Lightness below which there is light coral, and how gradually it sets in."""
CORAL_BELOW, CORAL_SOFTNESS = 0.50, 0.035
NAVY_BELOW, NAVY_SOFTNESS = 0.22, 0.025

OVERSAMPLING = 2
"""Drawn so many times larger, in each direction, than it is printed. The widths below are in the larger pixels."""
LINE_PIXELS = 1.6
"""Standard deviation of the narrower Gaussian: about half the width of a line."""
WIDER = 1.6
"""Ratio of the two Gaussians, as in Winnemöller, Kyprianidis and Olsen, "XDoG", Computers & Graphics 2012."""
LINE_STRENGTH, LINE_BELOW, LINE_STEEPNESS = 20.0, 0.24, 10.0
"""Weight of the Gaussians' difference; sharpened lightness below which there is a line, and how abruptly it sets in."""
TONE_PIXELS = 1.4
SMOOTHING_PIXELS = 2.2
NOISE_DEVIATION = 0.03
"""Standard deviation of lightness below which texture counts as noise and is smoothed away."""
DARKEST_PERCENT, LIGHTEST_PERCENT = 1, 99
SMALLEST_RANGE = 0.06
"""Of lightness that is stretched to 0 to 1: an even picture has none."""
CLIP_LIMIT, TILES = 0.008, 3
"""Of the adaptive equalisation: how strong, and how many tiles a side."""


def two_ink_print(photo: Pixels) -> Pixels:
    """uint8 RGB (h, w, 3) -> the same picture as a print, uint8 (h, w, 3)."""
    height, width = photo.shape[:2]
    large = Image.fromarray(photo).resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.BICUBIC)
    lightness = smoothed(stretched(np.asarray(large) @ LUMA / 255))
    tone = gaussian_filter(smoothed(lightness), TONE_PIXELS)
    coral = np.maximum(
        DENSITY * covered(tone, CORAL_BELOW, CORAL_SOFTNESS), TINT_DENSITY * covered(tone, TINT_BELOW, TINT_SOFTNESS)
    )
    navy = np.maximum(DENSITY * covered(tone, NAVY_BELOW, NAVY_SOFTNESS), outlines(lightness))
    printed = PAPER * through(coral, CORAL) * through(navy, NAVY)
    return np.asarray(Image.fromarray(np.rint(printed).astype(np.uint8)).resize((width, height), Image.Resampling.BOX))


def stretched(lightness: Plane) -> Plane:
    """All of 0 to 1 used, in the whole and half as much again in each part of the picture."""
    darkest, lightest = np.percentile(lightness, (DARKEST_PERCENT, LIGHTEST_PERCENT))
    overall = ((lightness - darkest) / max(lightest - darkest, SMALLEST_RANGE)).clip(0, 1)
    tile = [max(side // TILES, 8) for side in lightness.shape]
    return (overall + equalize_adapthist(overall, kernel_size=tile, clip_limit=CLIP_LIMIT)) / 2


def smoothed(lightness: Plane) -> Plane:
    """Smooth where it hardly varies, unchanged where it varies much."""
    mean = gaussian_filter(lightness, SMOOTHING_PIXELS)
    variance = gaussian_filter(lightness**2, SMOOTHING_PIXELS) - mean**2
    return mean + (lightness - mean) * variance / (variance + NOISE_DEVIATION**2)


def outlines(lightness: Plane) -> Plane:
    """Coverage of lines: on the darker side of edges, and all of what is very dark."""
    narrow, wide = (gaussian_filter(lightness, LINE_PIXELS * ratio) for ratio in (1, WIDER))
    sharpened = narrow + LINE_STRENGTH * (narrow - wide)
    return np.tanh(LINE_STEEPNESS * (LINE_BELOW - sharpened).clip(min=0))


def covered(tone: Plane, below: float, softness: float) -> Plane:
    """Coverage, 0 to 1: a logistic step down at the tone `below`."""
    return 1 / (1 + np.exp((tone - below) / softness))


def through(coverage: Plane, ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of light, (h, w, 3), that a partly covering ink lets through."""
    return 1 - coverage[..., None] * (1 - ink)
