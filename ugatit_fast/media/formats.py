"""The formats of pictures: told by their first bytes, read by Pillow and its plugins.

A decoder that isn't named here is out of reach, whatever a file claims to be: Pillow has forty, and each is a way in.
"""

import struct
from collections.abc import Callable
from importlib.util import find_spec
from typing import IO

from PIL import Image, ImageFile

from ugatit_fast.errors import InputError
from ugatit_fast.machine import pip_install

Decoder = Callable[[IO[bytes], str], ImageFile.ImageFile]
"""Reads the header of a file; the name is for messages."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM", "JPEG2000")
"""Pillow's own decoders that a file's content can lead to."""
NAMED_FORMATS = {".tga": "TGA"}
"""Those of formats that don't begin with anything by which to tell them: suffix -> decoder."""
EXTRA_FORMATS = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}
"""Those of the extra `formats` -> the library that reads them."""
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevm", b"hevs", b"hevx")
OPEN_BRANDS = (b"mif1", b"msf1")
"""Of a file of pictures in any coding; the other brands say which."""
AVIF_BRANDS = (b"avif", b"avis")
JXL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")
HEAD_BYTES = 256
"""As many as are looked at."""


def recognise(file: IO[bytes], name: str) -> tuple[str, Decoder]:
    """The format of a file, open at its beginning, and what reads its header. The file is left there.

    This is `Image.open` without its bomb check, which warns of photos above 89 megapixels: silencing it would take the
    process-wide warning filters, which no thread can change for itself.

    Raises InputError for what is no picture, or takes a library that is missing.
    """
    Image.init()
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise InputError(f"{name} is empty (0 bytes); copy or export it again")
    if is_heic(head):
        return "HEIF", heif_decoder(name)
    if head.startswith(JXL_STARTS):
        return "JXL", jxl_decoder(name)
    for format_name in FORMATS:
        decoder, accepts = Image.OPEN.get(format_name, (None, None))  # AVIF is missing from some builds of Pillow
        if decoder is not None and accepts is not None and accepts(head[:16]) is True:
            return format_name, decoder
    for suffix, format_name in NAMED_FORMATS.items():
        if name.lower().endswith(suffix):
            return format_name, Image.OPEN[format_name][0]
    known = ", ".join((*FORMATS, *NAMED_FORMATS.values(), *EXTRA_FORMATS))
    raise InputError(f"{name} is not an image that can be read, whatever its name; expected {known}: convert it to one")


def is_heic(head: bytes) -> bool:
    """Whether a file is a HEIF container of anything but AV1, by the brands that it gives itself."""
    if head[4:8] != b"ftyp":
        return False
    (size,) = struct.unpack_from(">I", head)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    if any(brand in HEIC_BRANDS for brand in brands):
        return True
    return brands[0] in OPEN_BRANDS and not any(brand in AVIF_BRANDS for brand in brands)


def heif_decoder(name: str) -> Decoder:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise missing(name, "HEIC or HEIF", "pillow-heif") from error
    return HeifImageFile


def jxl_decoder(name: str) -> Decoder:
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        raise missing(name, "JPEG XL", "pillow-jxl-plugin") from error
    decoder: Decoder = JXLImageFile
    return decoder


def readable_formats() -> dict[str, bool]:
    """Every format, and whether it can be read here."""
    Image.init()
    own = {name: name in Image.OPEN for name in (*FORMATS, *NAMED_FORMATS.values())}
    return own | {name: find_spec(library) is not None for name, library in EXTRA_FORMATS.items()}


def missing(name: str, what: str, library: str) -> InputError:
    return InputError(f"{name} is a {what} picture, which takes {library}: {pip_install('formats')}")
