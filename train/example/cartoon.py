"""A cartoon filter: photograph -> flat colours inside ink lines. What domain B of the example data set is drawn with.

    photo -> total variation smoothing -> saturation -> few colours per picture -> ink where light falls off sharply

Classical image processing, chosen for a look that a person tells from a photo at a glance and a small network can
learn: every part of it is local but the palette, which is the picture's own.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_tv_chambolle

from ugatit_fast.media.images import Pixels

SMOOTHING = 0.12
"""Weight of total variation against the photo: texture goes, edges stay."""
SATURATION = 1.5
COLOURS = 14
"""In the palette of one picture."""
LINE_PIXELS = 1.3
"""Standard deviation of the narrower Gaussian: about half the width of a line."""
WIDER = 1.6
"""Ratio of the two Gaussians, as in Winnemöller, Kyprianidis and Olsen, "XDoG", Computers & Graphics 2012."""
INK_THRESHOLD = 0.006
"""Difference of the Gaussians of the lightness, 0 to 1, from which on there is ink."""
INK_SLOPE = 90.0
"""How fast ink sets in above it."""
INK = np.array((24, 18, 34), np.float32)
"""Colour of the lines, 8-bit RGB."""


def cartoon(photo: Pixels) -> Pixels:
    """uint8 RGB (h, w, 3) -> the same picture drawn, uint8 (h, w, 3)."""
    smooth = denoise_tv_chambolle(photo / np.float32(255), weight=SMOOTHING, channel_axis=-1)
    vivid = ImageEnhance.Color(Image.fromarray(np.rint(smooth * 255).astype(np.uint8))).enhance(SATURATION)
    flat = vivid.quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE).convert("RGB")
    ink = ink_lines(smooth.mean(-1))[..., None]
    return np.rint(np.asarray(flat) * (1 - ink) + INK * ink).astype(np.uint8)


def ink_lines(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of ink, 0 to 1, in every pixel of (h, w) lightness from 0 to 1: on the darker side of its edges."""
    narrow, wide = (gaussian_filter(lightness, LINE_PIXELS * ratio) for ratio in (1, WIDER))
    return np.clip(INK_SLOPE * (wide - narrow - INK_THRESHOLD), 0, 1)
