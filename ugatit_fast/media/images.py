"""Photos to pixels and pixels to files: decode whatever a photo is, encode what is made of it.

In between there is one kind of array: uint8 RGB, (h, w, 3), sRGB, upright and opaque, whatever the file was.
Every function is safe to call from several threads at once, so decoding and encoding can overlap with the engine.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile

from ugatit_fast.errors import InputError
from ugatit_fast.files import write_errors, written_whole
from ugatit_fast.media.colour import Colours, of_photo
from ugatit_fast.media.samples import opaque_srgb

Pixels = npt.NDArray[np.uint8]
"""uint8 RGB, (h, w, 3)."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM")
"""The only decoders a file can reach, whatever its name says. Pillow has forty; each is a way in for bad files."""

MAX_PIXELS = 200_000_000
"""Largest photo that is decoded: the largest phone sensors (16320 x 12240) pass; 20000 x 20000 is refused unread."""

# Fastest PNG level that still compresses: level 6 takes four times as long for files of much the same size.
# 4:4:4 because drawn lines in saturated colours are what halved chroma damages most.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 1}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
}
"""What can be written: suffix -> Pillow's name of the format, and how it is written."""


def load_image(path: Path, at_least: tuple[int, int] | None = None) -> Pixels:
    """Decode the photo in a file, as `decode_image` does its bytes.

    Raises InputError for anything that isn't a whole photo of at most `MAX_PIXELS`.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a photo; name a photo in it")
    try:
        with path.open("rb") as file:
            return decode_image(file, str(path), at_least)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}); check its name and permissions") from error


def decode_image(
    content: bytes | IO[bytes], name: str, at_least: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Decode a photo to uint8 (h, w, 3): sRGB, upright, on white where it is transparent, the first frame of several.

    content: the bytes of the file, or the file itself, open and seekable, at its beginning.
    name: what messages call it.
    at_least: (w, h) lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides stay twice as large.
    max_pixels: largest picture that is decoded; the size is read from the header.

    Formats are told by content, not by name: see `FORMATS`. Samples of other depths are scaled to 8 bits
    (`ugatit_fast.media.samples`), and colours are what the file says they are (`ugatit_fast.media.colour`); a broken
    profile or EXIF block is passed over, as viewers do.

    Raises InputError for anything that isn't a whole photo of at most `max_pixels`.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    format_name, decoder = recognise(file, name)
    try:
        image = decoder(file, name)
        if image.width * image.height > max_pixels:
            raise InputError(
                f"{name} is {image.width} x {image.height}; expected at most {max_pixels / 1e6:g} megapixels: "
                "make it smaller first"
            )
        if at_least is not None:
            width, height = at_least[::-1] if orientation_of(image) in ON_ITS_SIDE else at_least
            image.draft(None, (2 * width, 2 * height))
        colours = of_photo(image, file)
        image.load()
        return upright_pixels(image, colours)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders meet damaged data with almost every built-in exception
        raise InputError(
            f"{name} is a damaged or cut-off {format_name} file ({type(error).__name__}: {error}); "
            "copy or export it again"
        ) from error


def recognise(file: IO[bytes], name: str) -> tuple[str, Callable[[IO[bytes], str], ImageFile.ImageFile]]:
    """The format of a file, by its first bytes, and the Pillow class that reads its header.

    This is `Image.open` without its bomb check, which warns of photos above 89 megapixels: silencing it would take the
    process-wide warning filters, which no thread can change for itself.
    """
    Image.init()
    prefix = file.read(16)
    file.seek(0)
    if not prefix:
        raise InputError(f"{name} is empty (0 bytes); copy or export it again")
    for format_name in FORMATS:
        decoder, accepts = Image.OPEN.get(format_name, (None, None))  # AVIF is missing from some builds of Pillow
        if decoder is not None and accepts is not None and accepts(prefix) is True:
            return format_name, decoder
    raise InputError(
        f"{name} is not an image that can be read, whatever its name; expected {', '.join(FORMATS)}: convert it to one"
    )


def upright_pixels(image: Image.Image, colours: Colours) -> Pixels:
    """A loaded image, or the frame that it is at, as uint8 (h, w, 3): sRGB, upright, on white where transparent."""
    rgb = opaque_srgb(image, colours)
    turn = TURNS.get(orientation_of(image))
    return np.array(rgb if turn is None else rgb.transpose(turn))


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what sets the picture upright."""
ON_ITS_SIDE = (5, 6, 7, 8)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation; 1, upright, where there is none. TIFF files are turned by Pillow and say 1 once loaded."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF raises as freely as broken pixels do
        return 1


def save_image(path: Path, image: Pixels) -> None:
    """Write uint8 (h, w, 3) as .png, .jpg, .jpeg or .webp, making missing folders; all of the file appears, or none.

    Raises InputError when the suffix isn't one of these or the file can't be written; what was there before is kept.
    """
    try:
        content = encode_image(image, path.suffix)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_bytes(content)


def encode_image(image: Pixels, suffix: str) -> bytes:
    """The file that `suffix` (.png, .jpg, .jpeg or .webp, in any case) stands for, of uint8 (h, w, 3).

    Raises InputError for another suffix, and for a picture larger than the format can hold.
    """
    if suffix.lower() not in ENCODERS:
        raise InputError(f"no picture can be written as {suffix!r}; expected one of {', '.join(ENCODERS)}")
    name, options = ENCODERS[suffix.lower()]
    encoded = io.BytesIO()
    try:
        Image.fromarray(image).save(encoded, name, **options)
    except (OSError, ValueError) as error:  # formats have a largest side: 16383 for WebP, 65535 for JPEG
        height, width = image.shape[:2]
        raise InputError(f"{name} can't hold {width} x {height} pixels ({error}); write .png") from error
    return encoded.getvalue()
