"""Photos to pixels and pixels to files: decode whatever a photo is, encode what is made of it.

In between there is one kind of array: uint8 RGB, (h, w, 3), sRGB, upright and opaque, whatever the file was.
Every function is safe to call from several threads at once, so decoding and encoding can overlap with the engine.
"""

import io
import warnings
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from ugatit_fast.choices import KeepMetadata
from ugatit_fast.errors import InputError, first_line
from ugatit_fast.files import refuse_special, write_errors, written_whole
from ugatit_fast.media.colour import Colours, of_photo
from ugatit_fast.media.formats import recognise
from ugatit_fast.media.metadata import kept_exif
from ugatit_fast.media.samples import opaque_srgb

Pixels = npt.NDArray[np.uint8]
"""uint8 RGB, (h, w, 3)."""

MAX_PIXELS = 200_000_000
"""Largest photo that is decoded: the largest phone sensors (16320 x 12240) pass; 20000 x 20000 is refused unread."""

# Fastest PNG level that still compresses: level 6 takes four times as long for files of much the same size.
# 4:4:4 because drawn lines in saturated colours are what halved chroma damages most.
ENCODERS: dict[str, tuple[str, dict[str, int | str]]] = {
    ".png": ("PNG", {"compress_level": 1}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
}
"""What can be written: suffix -> Pillow's name of the format, and how it is written."""


class Decoded(NamedTuple):
    """A photo."""

    pixels: Pixels
    """sRGB, upright, on white where it is transparent; the first picture of several."""
    exif: bytes
    """What is kept of what the file says about it, as EXIF; empty where that is nothing."""
    others: str = ""
    """What the file holds beside the picture, in words; empty where that is nothing."""

    def warn_of_others(self, path: Path) -> None:
        """Say what was left out of a file of the user's."""
        if self.others:
            warnings.warn(f"{path} {self.others}", stacklevel=1)


def load_image(path: Path, at_least: tuple[int, int] | None = None) -> Pixels:
    """The pixels of the photo in a file, as `load_photo` has them."""
    return load_photo(path, at_least).pixels


def load_photo(path: Path, at_least: tuple[int, int] | None = None, *, keep: KeepMetadata = "none") -> Decoded:
    """Decode the photo in a file, as `decode_photo` does its bytes.

    Raises InputError for anything that isn't a whole photo of at most `MAX_PIXELS`.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a photo; name a photo in it")
    refuse_special(path)
    try:
        with path.open("rb") as file:
            decoded = decode_photo(file, str(path), at_least, keep=keep)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}); check its name and permissions") from error
    decoded.warn_of_others(path)
    return decoded


def decode_image(
    content: bytes | IO[bytes], name: str, at_least: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """The pixels of a photo, as `decode_photo` has them."""
    return decode_photo(content, name, at_least, max_pixels).pixels


def decode_photo(
    content: bytes | IO[bytes],
    name: str,
    at_least: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    *,
    keep: KeepMetadata = "none",
) -> Decoded:
    """Decode a photo to uint8 (h, w, 3): sRGB, upright, on white where it is transparent, the first picture of several.

    content: the bytes of the file, or the file itself, open and seekable, at its beginning.
    name: what messages call it.
    at_least: (w, h) lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides stay twice as large.
    max_pixels: largest picture that is decoded; the size is read from the header.
    keep: of what the file says about the photo.

    Formats are told by content, not by name: see `ugatit_fast.media.formats`. Samples of other depths are scaled to 8
    bits (`ugatit_fast.media.samples`), and colours are what the file says they are (`ugatit_fast.media.colour`); a
    broken profile or EXIF block is passed over, as viewers do. Pictures beside the first are left out, and told.

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
        refuse_raw(image, name)
        if at_least is not None:
            width, height = at_least[::-1] if orientation_of(image) in ON_ITS_SIDE else at_least
            image.draft(None, (2 * width, 2 * height))
        colours = of_photo(image, file)
        exif = kept_exif(image, keep)
        others = told_others(image)
        image.load()
        return Decoded(upright_pixels(image, colours), exif, others)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} takes more memory than there is; make it smaller first") from error
    except Exception as error:  # Pillow's decoders meet damaged data with almost every built-in exception
        raise InputError(f"{name} {trouble_of(format_name, error)}") from error


def trouble_of(format_name: str, error: Exception) -> str:
    """What is wrong with a file that a decoder gave up on, and what to do."""
    cause = type(error).__name__ if format_name == "JXL" else f"{type(error).__name__}: {first_line(error)}"
    if format_name == "TIFF" and isinstance(error, SyntaxError) and "unknown" in str(error):
        return (
            f"is a TIFF file with pixels of a kind that isn't read, such as colours in floating point ({cause}); "
            "export it with 8 or 16 bits a channel"
        )
    return f"is a damaged or cut-off {format_name} file ({cause}); copy or export it again"


def refuse_raw(image: Image.Image, name: str) -> None:
    """Raises InputError for a camera's raw file: they are TIFF files whose first picture is a thumbnail."""
    tags = getattr(image, "tag_v2", {})
    if DNG_VERSION in tags or tags.get(SUBFILE_KIND, 0) & REDUCED:
        raise InputError(f"{name} is a camera's raw file, which isn't read; export it as JPEG or TIFF")


def told_others(image: Image.Image) -> str:
    """What a file holds beside its first picture: of an animation that is its frames, of a scanner's TIFF its pages."""
    if image.format in ("GIF", "WEBP", "PNG", "AVIF"):
        return "is animated; only its first frame is taken" if getattr(image, "is_animated", False) else ""
    if image.format not in ("TIFF", "HEIF") or not (others := others_in(image)):
        return ""
    kind = "pages" if image.format == "TIFF" else "pictures"
    return f"holds {others + 1} {kind}; only the first is taken, and {others} left out: export each to a file"


def others_in(image: Image.Image) -> int:
    """Pictures beside the one that is shown first, but for reduced copies; of a damaged file, as far as they go."""
    first = image.tell()
    others = 0
    try:
        for index in range(getattr(image, "n_frames", 1)):
            if index != first:
                image.seek(index)
                others += not getattr(image, "tag_v2", {}).get(SUBFILE_KIND, 0) & REDUCED
    except Exception:  # noqa: BLE001 - as in decode_photo; the first picture may be whole
        pass
    image.seek(first)
    return others


DNG_VERSION, SUBFILE_KIND = 50706, 254
"""TIFF's tags."""
REDUCED = 1
"""Of `SUBFILE_KIND`: a smaller copy of another picture."""


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


def encode_image(image: Pixels, suffix: str, exif: bytes = b"") -> bytes:
    """The file that `suffix` (.png, .jpg, .jpeg or .webp, in any case) stands for, of uint8 (h, w, 3).

    exif: what the file says about the picture; empty for nothing.
    Raises InputError for another suffix, and for a picture larger than the format can hold.
    """
    refuse_suffix(suffix)
    name, options = ENCODERS[suffix.lower()]
    encoded = io.BytesIO()
    try:
        Image.fromarray(image).save(encoded, name, **options, **({"exif": exif} if exif else {}))
    except (OSError, ValueError) as error:  # formats have a largest side: 16383 for WebP, 65535 for JPEG
        height, width = image.shape[:2]
        raise InputError(f"{name} can't hold {width} x {height} pixels ({error}); write .png") from error
    return encoded.getvalue()


def refuse_suffix(suffix: str) -> None:
    """Raises InputError where no picture is written under a suffix."""
    if suffix.lower() not in ENCODERS:
        raise InputError(f"no picture can be written as {suffix!r}; expected one of {', '.join(ENCODERS)}")
