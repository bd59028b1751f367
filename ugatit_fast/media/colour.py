"""What the numbers in a picture mean, and their way to sRGB: for photos and for frames of videos alike.

    file -> Colours (an ICC profile, or primaries and transfer by the numbers of H.273) -> sRGB

A code goes through its transfer curve to light, by a matrix from its primaries to sRGB's, and back to a level; light
outside sRGB is cut off, as browsers and LittleCMS do. High dynamic range goes through `ugatit_fast.media.hdr` instead.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from ugatit_fast.media.colour_tags import Chromaticities, cicp_in_profile, colours_in_boxes, colours_in_png
from ugatit_fast.media.hdr import Codes, Transfer, light, rolled_off

Matrix = npt.NDArray[np.float64]
"""(3, 3), of columns of linear light."""
Curve = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Codes in [0, 1] to light in [0, 1]."""

ILLUMINANT_C, ILLUMINANT_D65, ILLUMINANT_E = (0.310, 0.316), (0.3127, 0.3290), (1 / 3, 1 / 3)
BT709 = Chromaticities((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), ILLUMINANT_D65)
BT601_525 = Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), ILLUMINANT_D65)
BT2020 = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), ILLUMINANT_D65)
PRIMARIES = {
    4: Chromaticities((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),  # BT.470 M
    5: Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), ILLUMINANT_D65),  # BT.601, 625 lines
    6: BT601_525,
    7: BT601_525,  # SMPTE 240M
    8: Chromaticities((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C),  # film
    9: BT2020,
    10: Chromaticities((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), ILLUMINANT_E),  # CIE XYZ
    11: Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # cinema's P3
    12: Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), ILLUMINANT_D65),  # Display P3
    22: Chromaticities((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), ILLUMINANT_D65),  # EBU 3213
}
"""H.273's numbers -> primaries; all others are BT.709's, which are sRGB's, but BT.2020's in high dynamic range."""
LINES_525 = (6, 7)
"""H.273's numbers of primaries of 525 lines."""
HDR: dict[int, Transfer] = {16: "pq", 18: "hlg"}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
"""H.273's numbers of transfers that are plain powers."""
LOGARITHMS = {9: 2.0, 10: 2.5}
"""H.273's numbers of logarithmic transfers -> the powers of ten that they span."""
CINEMA = 17
"""SMPTE ST 428: 48 of 52.37 is white."""
SAME_PLACE = 0.002
"""Distance of chromaticities that are the same, rounded otherwise."""
SAME_GAMMA = 0.05
"""Share by which a power may differ from 2.2 and stand for sRGB's curve."""
BRADFORD: Matrix = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
PIXELS_AT_ONCE = 2**18
"""Light takes twelve bytes a pixel or more; a photo of 200 megapixels isn't held as such."""


@dataclass(frozen=True)
class Colours:
    """What the numbers in a picture mean. As made: sRGB."""

    profile: bytes | None = None
    """An ICC profile, which says all."""
    primaries: Chromaticities = BT709
    gamma: float | None = None
    """Power from code to light; None for `transfer`."""
    transfer: int = 13
    """H.273's number. Cameras' curves (1, 6, 14, 15 and kin) are shown as if they were sRGB's, by browsers too."""

    @property
    def hdr(self) -> Transfer | None:
        return HDR.get(self.transfer) if self.gamma is None else None

    @property
    def curve(self) -> Curve:
        """From codes to light."""
        if self.gamma is not None or self.transfer in GAMMAS:
            power = self.gamma or GAMMAS[self.transfer]
            return lambda codes: codes**power
        if self.transfer in LOGARITHMS:
            span = LOGARITHMS[self.transfer]
            return lambda codes: np.where(codes > 0, 10 ** (span * (codes - 1)), 0)
        if self.transfer == CINEMA:
            return lambda codes: np.minimum(52.37 / 48 * codes**2.6, 1)
        return srgb_light

    @property
    def is_srgb(self) -> bool:
        return self.profile is None and self.hdr is None and self.curve is srgb_light and self.primaries == BT709


SRGB = Colours()


# What files and frames say ----------------------------------------------------------------------------------------


def of_h273(primaries: int, transfer: int) -> Colours:
    """Of the numbers that videos, AVIF, HEIC and PNG name colours by."""
    usual = BT2020 if transfer in HDR and primaries != 1 else BT709
    return Colours(primaries=PRIMARIES.get(primaries, usual), transfer=transfer)


def of_frame(primaries: int, transfer: int) -> Colours:
    """Of a video's frame. The primaries of 525 lines are shown as if they were BT.709's: Chromium does, where all that
    a video says of itself is that it's of that kind, and most that say so were never anything else.
    """
    return of_h273(1 if primaries in LINES_525 else primaries, transfer)


def of_photo(image: Image.Image, file: IO[bytes]) -> Colours:
    """Of a photo whose header has been read; what is broken, or not of its kind, is passed over, as viewers do.

    file: the photo's, which is left where it was. The order is that of the formats: in PNG cICP comes before an ICC
    profile, and that before sRGB, gAMA and cHRM; in AVIF and HEIC a profile before what the codec's numbers say.
    """
    profile = image.info.get("icc_profile") or None
    at = file.tell()
    try:
        if image.format == "PNG":
            said = colours_in_png(file)
            if said.cicp:
                return of_h273(*said.cicp)
            if not profile and not said.srgb:
                return of_gamma(said.gamma, said.chromaticities)
        elif image.format in ("AVIF", "JPEG2000"):
            boxes = colours_in_boxes(file)
            profile = profile or boxes.profile
            if boxes.cicp and not profile:
                return of_h273(*boxes.cicp)
    finally:
        file.seek(at)
    if not profile and (nclx := image.info.get("nclx_profile")):  # as pillow-heif has it
        return of_h273(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))
    if not profile:
        return SRGB
    cicp = cicp_in_profile(profile)
    return of_h273(*cicp) if cicp and cicp[1] in HDR else Colours(profile=profile)


def of_gamma(exponent: float | None, chromaticities: Chromaticities | None) -> Colours:
    """Of PNG's gAMA (the power from light to code) and cHRM, as Chromium takes them.

    Primaries without a power say nothing, and a power of about 2.2 without primaries is sRGB's curve.
    """
    if exponent is None:
        return SRGB
    gamma = 1 / exponent
    if chromaticities is None:
        return SRGB if abs(gamma / 2.2 - 1) <= SAME_GAMMA else Colours(gamma=gamma)
    if np.abs(np.array(chromaticities) - np.array(BT709)).max() < SAME_PLACE:
        return Colours(gamma=gamma)
    try:
        to_srgb_matrix(chromaticities)
    except np.linalg.LinAlgError:  # primaries on a line
        return SRGB
    return Colours(gamma=gamma, primaries=chromaticities)


# To sRGB ----------------------------------------------------------------------------------------------------------


def to_srgb(codes: Codes, colours: Colours) -> npt.NDArray[np.uint8]:
    """Codes (h, w, 3) of colours without a profile, white at the largest number of their type -> uint8 sRGB."""
    if colours.is_srgb:
        return codes.astype(np.uint8, copy=False) if codes.dtype == np.uint8 else np.rint(codes / 257).astype(np.uint8)
    shown = np.empty(codes.shape, np.uint8)
    rows = max(1, PIXELS_AT_ONCE // codes.shape[1])
    for top in range(0, len(codes), rows):
        shown[top : top + rows] = block_to_srgb(codes[top : top + rows], colours)
    return shown


def block_to_srgb(codes: Codes, colours: Colours) -> npt.NDArray[np.uint8]:
    matrix = to_srgb_matrix(colours.primaries).astype(np.float32)
    if colours.hdr:
        shown = rolled_off(light(codes, colours.hdr, luminance_of(colours.primaries)) @ matrix.T)
    else:
        shown = light_of_codes(colours, np.iinfo(codes.dtype).max + 1)[codes]
        if colours.primaries != BT709:
            shown = (shown @ matrix.T).clip(0, 1)
    levels = srgb_levels()
    return levels[np.rint(shown * (len(levels) - 1)).astype(np.uint16)]


@lru_cache(16)
def light_of_codes(colours: Colours, count: int) -> npt.NDArray[np.float32]:
    """(count,): of each code."""
    return colours.curve(np.linspace(0, 1, count)).astype(np.float32)


def srgb_light(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


@cache
def srgb_levels() -> npt.NDArray[np.uint8]:
    """(65536,): the level of each light from 0 to 1."""
    shown = np.linspace(0, 1, 2**16)
    encoded = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


@lru_cache(64)
def to_srgb_matrix(primaries: Chromaticities) -> Matrix:
    """Light of `primaries` to light of sRGB's; another white becomes D65, by Bradford's adaptation.

    Raises LinAlgError where the primaries span no plane.
    """
    adapted = adaptation(primaries.white, BT709.white) @ to_xyz(primaries)
    return np.linalg.inv(to_xyz(BT709)) @ adapted


def luminance_of(primaries: Chromaticities) -> npt.NDArray[np.float32]:
    """(3,): the share of each primary in the luminance of white."""
    return to_xyz(primaries)[1].astype(np.float32)


def to_xyz(primaries: Chromaticities) -> Matrix:
    """Light to CIE XYZ, white having a luminance of 1."""
    columns = np.array([xyz_of(place) for place in (primaries.red, primaries.green, primaries.blue)]).T
    return columns * np.linalg.solve(columns, xyz_of(primaries.white) / primaries.white[1])


def xyz_of(place: tuple[float, float]) -> npt.NDArray[np.float64]:
    x, y = place
    return np.array([x, y, 1 - x - y])


def adaptation(white: tuple[float, float], wanted: tuple[float, float]) -> Matrix:
    """CIE XYZ as seen under one white, to what looks alike under another."""
    there, here = (BRADFORD @ (xyz_of(place) / place[1]) for place in (white, wanted))
    return np.linalg.inv(BRADFORD) @ np.diag(here / there) @ BRADFORD


# By a profile -----------------------------------------------------------------------------------------------------

PROFILED_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""The space of a profile -> Pillow's mode of pixels that it is for."""


class ByProfile(NamedTuple):
    """A way to sRGB."""

    mode: str
    """Pillow's, of the pixels that it takes."""
    transform: ImageCms.ImageCmsTransform | None
    """None where they are sRGB already."""


@lru_cache(16)
def way_of(profile: bytes) -> ByProfile | None:
    """What a profile says; None for a broken one, or one for pixels of another kind than pictures have."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = PROFILED_MODES[opened.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError):
        return None
    return ByProfile(mode, None if mode == "RGB" and changes_nothing(transform) else transform)


def changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours all over the cube stay where they are, to the last level but one."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(cube)))
    return int(np.abs(moved.astype(int) - cube).max()) <= 1


def by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """L, RGB or CMYK pixels -> RGB in sRGB; as they are where the profile is broken or for another kind of pixels."""
    way = way_of(profile)
    if way and image.mode == "L" and way.mode == "RGB":
        image = image.convert("RGB")
    if way and way.transform and way.mode == image.mode:
        return way.transform.apply(image)
    return image.convert("RGB")
