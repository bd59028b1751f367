"""Samples of any kind and depth, as Pillow loads them, to opaque sRGB.

Pillow sets most of them right by itself. It keeps greys of more than 8 bits as they stand in the file, black or white
at 0, signed or not, and of any depth: `grey_codes` does the rest.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from ugatit_fast.media.colour import Colours, by_profile, to_srgb

PHOTOMETRIC, BITS_PER_SAMPLE, SAMPLE_FORMAT = 262, 258, 339
"""TIFF's tags."""
WHITE_IS_ZERO = 0
UNSIGNED, SIGNED = 1, 2
"""Values of `SAMPLE_FORMAT`."""
II, MM = b"II", b"MM"
"""Of TIFF: little endian and big endian."""
GREYS = ("1", "L", "LA", "La")
"""Pillow's modes that a profile of greys is for."""


def teach_pillow() -> None:
    """Let Pillow read greys that it has all the means for, but doesn't know: white at 0, doubles.

    Its table goes from what a file says (order, photometric interpretation, sample format, ...) to the mode and how it
    is unpacked. Of white at 0 it knows only a part; where it knows more, it turns the samples round itself.
    """
    known = TiffImagePlugin.OPEN_INFO
    for order, raw in ((II, "F;64F"), (MM, "F;64BF")):
        known.setdefault((order, 1, (3,), 1, (64,), ()), ("F", raw))
    for (order, photometric, kind, fill, bits, extra), modes in list(known.items()):
        if photometric == 1 and len(bits) == 1 and (modes[0][:1] in ("I", "F") or kind == (SIGNED,)):
            known.setdefault((order, WHITE_IS_ZERO, kind, fill, bits, extra), modes)


teach_pillow()


def opaque_srgb(image: Image.Image, colours: Colours) -> Image.Image:
    """Any mode of a loaded image -> RGB in sRGB, composited on white."""
    if is_wide(image):
        return wide_grey(image, colours)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if image.mode == "CMYK" or (colours.profile and image.mode in GREYS):
        solid = image if image.mode == "CMYK" else image.convert("LA").convert("L")
    else:
        solid = (image.convert("RGBA") if alpha else image).convert("RGB")
    shown = by_profile(solid, colours.profile) if colours.profile else solid.convert("RGB")
    if not colours.profile and not colours.is_srgb:
        shown = Image.fromarray(to_srgb(np.asarray(shown), colours))
    if alpha is None:
        return shown
    page = Image.new("RGB", shown.size, "white")
    page.paste(shown, mask=alpha)
    return page


def is_wide(image: Image.Image) -> bool:
    """Whether its samples are greys that aren't bytes."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or signed_bytes(image)


def signed_bytes(image: Image.Image) -> bool:
    return image.mode == "L" and tiff_tag(image, SAMPLE_FORMAT) == SIGNED


def tiff_tag(image: Image.Image, tag: int) -> int | None:
    """A tag's number, or the first of several; None in other formats than TIFF, and where it is missing."""
    value: Any = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def wide_grey(image: Image.Image, colours: Colours) -> Image.Image:
    """Greys -> RGB in sRGB; a colour that stands for transparency becomes white."""
    samples = np.asarray(image)
    codes = grey_codes(image, samples)
    if colours.profile:
        # Profiles are for bytes here: what they make of those, and in between what lies in between.
        ramp = np.asarray(by_profile(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), colours.profile))[0]
        levels = np.stack([np.interp(codes / 257, np.arange(256), ramp[:, c]) for c in range(3)], axis=-1)
        pixels = np.rint(levels).astype(np.uint8)
    else:
        pixels = to_srgb(np.repeat(codes[..., None], 3, axis=-1), colours).copy()
    if image.has_transparency_data:  # these modes have no other alpha
        pixels[samples == image.info["transparency"]] = 255
    return Image.fromarray(pixels)


def grey_codes(image: Image.Image, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Samples (h, w) -> codes, black at 0 and white at 65535; `convert("RGB")` would clip them at 255.

    White is what the depth says: 4095 for 12 bits, 65535 for 16, 32767 for 16 with a sign. Floats, and integers of 32
    bits, don't say: it is the first of 1 (floats only), 255 (likewise) and 65535 that no sample exceeds, or else the
    largest sample. NaN, infinities and numbers below 0 become black; where TIFF's white is 0, black and white change
    places.
    """
    if signed_bytes(image):
        samples = samples.view(np.int8)
    elif image.mode == "I" and tiff_tag(image, SAMPLE_FORMAT) == UNSIGNED and tiff_tag(image, BITS_PER_SAMPLE) == 32:
        samples = samples.view(np.uint32)
    values = np.where(np.isfinite(samples), samples, 0).astype(np.float64)
    white = white_of(image, float(values.max()))
    shares = values.clip(0, white) / white
    if tiff_tag(image, PHOTOMETRIC) == WHITE_IS_ZERO:
        shares = 1 - shares
    return np.rint(shares * 65535).astype(np.uint16)


def white_of(image: Image.Image, peak: float) -> float:
    """The sample that is white, where `peak` is the largest."""
    bits, kind = tiff_tag(image, BITS_PER_SAMPLE), tiff_tag(image, SAMPLE_FORMAT)
    if image.mode != "F" and bits and bits <= 16:
        return float(2 ** (bits - (kind == SIGNED)) - 1)
    return next((white for white in ((1, 255, 65535) if image.mode == "F" else (65535,)) if peak <= white), peak)
