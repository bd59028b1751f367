"""High dynamic range to 8-bit sRGB: the light that PQ and HLG codes stand for, brought into the range of a photo.

    code -> light (BT.2100) -> BT.709 primaries -> highlights rolled off -> sRGB level

FFmpeg's own conversion took 5 s to prepare, and clipped all that is brighter than paper white.
"""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from ugatit_fast.media.images import Pixels

Transfer = Literal["pq", "hlg"]
Light = npt.NDArray[np.float32]
"""(..., 3), linear, as multiples of the brightness of white paper."""

WHITE_NITS = 203.0
"""Brightness of white paper (BT.2408); in HLG it has the code 0.75."""
PEAK_NITS = 1000.0
"""Brightness that becomes the brightest level; HLG is shown with this peak."""
KNEE = 0.5
"""Light up to which nothing is changed; from there to the peak it is rolled off."""

TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear BT.2020 to linear BT.709."""
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
"""Of BT.2020's primaries."""


def to_sdr(codes: Pixels, transfer: Transfer) -> Pixels:
    """uint8 (h, w, 3) codes of PQ or HLG, full range, BT.2020 primaries -> uint8 (h, w, 3) sRGB."""
    shown = rolled_off(light(codes, transfer) @ TO_BT709.T)
    levels = srgb_levels()
    return levels[np.rint(shown * (len(levels) - 1)).astype(np.uint16)]


def light(codes: Pixels, transfer: Transfer) -> Light:
    """What a display with `PEAK_NITS` shows for codes (..., 3), of BT.2020 primaries."""
    if transfer == "pq":
        return pq_light()[codes]
    scene = hlg_scene()[codes]
    luminance = (scene @ LUMINANCE)[..., None]
    return np.float32(PEAK_NITS / WHITE_NITS) * luminance ** np.float32(0.2) * scene


def rolled_off(shown: Light) -> Light:
    """Light in [0, 1]: a pixel is scaled by what brings its strongest channel into range, which keeps its hue."""
    shown = np.maximum(shown, 0)
    strongest = shown.max(axis=-1, keepdims=True)
    above = np.maximum(strongest - KNEE, 0) / (1 - KNEE)
    peak = (PEAK_NITS / WHITE_NITS - KNEE) / (1 - KNEE)
    rolled = KNEE + (1 - KNEE) * above * (1 + above / peak**2) / (1 + above)
    return np.minimum(shown * np.where(above > 0, rolled / np.maximum(strongest, KNEE), 1), 1)


@cache
def pq_light() -> Light:
    """(256,): SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.linspace(0, 1, 256) ** (1 / m2)
    nits = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return (nits / WHITE_NITS).astype(np.float32)


@cache
def hlg_scene() -> Light:
    """(256,): ARIB STD-B67, the light before the camera."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    codes = np.linspace(0, 1, 256)
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12).astype(np.float32)


@cache
def srgb_levels() -> npt.NDArray[np.uint8]:
    """(4096,): the level of each light from 0 to 1; steps are at most 0.8 levels apart."""
    shown = np.linspace(0, 1, 4096)
    encoded = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)
