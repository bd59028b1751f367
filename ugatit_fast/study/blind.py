"""The pictures of a question, alike in everything but what they show: size, format, length of file, metadata."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ugatit_fast.media.images import Pixels, encode_image, load_image


def alike(photo: Path, pictures: Sequence[Path]) -> tuple[bytes, list[bytes]]:
    """The photo, and the pictures in its size; PNG files, of the same length but for the photo's.

    Raises InputError where one can't be read.
    """
    seen = load_image(photo)
    files = [encode_image(resized(load_image(picture), (seen.shape[0], seen.shape[1])), ".png") for picture in pictures]
    longest = max(map(len, files), default=0)
    # What comes after a PNG file's last chunk, nobody reads.
    return encode_image(seen, ".png"), [file + bytes(longest - len(file)) for file in files]


def resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture (h, w, 3) in another size (h, w), by Lanczos' filter; the same one where that is its size."""
    if picture.shape[:2] == size:
        return picture
    return np.array(Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS))
