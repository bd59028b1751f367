"""High dynamic range to the light of a photo: what PQ and HLG codes stand for, brought into its range.

    code -> light (BT.2100) -> sRGB's primaries -> highlights rolled off

FFmpeg's own conversion took 5 s to prepare, and clipped all that is brighter than paper white.
"""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Transfer = Literal["pq", "hlg"]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(..., 3), full range: 1 is the largest number of their type."""
Light = npt.NDArray[np.float32]
"""(..., 3), linear, as multiples of the brightness of white paper."""

WHITE_NITS = 203.0
"""Brightness of white paper (BT.2408); in HLG it has the code 0.75."""
PEAK_NITS = 1000.0
"""Brightness that becomes the brightest level; HLG is shown with this peak."""
KNEE = 0.5
"""Light up to which nothing is changed; from there to the peak it is rolled off."""


def light(codes: Codes, transfer: Transfer, luminance_of: npt.NDArray[np.float32]) -> Light:
    """What a display with `PEAK_NITS` shows for codes (..., 3).

    luminance_of: (3,), the share of each primary in the luminance of white.
    """
    count = np.iinfo(codes.dtype).max + 1
    if transfer == "pq":
        return pq_light(count)[codes]
    scene = hlg_scene(count)[codes]
    luminance = (scene @ luminance_of)[..., None]
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
def pq_light(count: int) -> Light:
    """(count,): SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.linspace(0, 1, count) ** (1 / m2)
    nits = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return (nits / WHITE_NITS).astype(np.float32)


@cache
def hlg_scene(count: int) -> Light:
    """(count,): ARIB STD-B67, the light before the camera."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    codes = np.linspace(0, 1, count)
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12).astype(np.float32)
