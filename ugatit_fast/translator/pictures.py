"""Pictures as people type them, and back: a path, the bytes of a file, a Pillow image, one array; or many of them.

    anything -> a list of batches, and how the results become what was given -> the results

Photos (a path, bytes, a Pillow image) come in any size and are brought to the engine's as `ugatit-fast translate` does;
arrays are of a size that the engine serves, and go through as they are.
"""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from ugatit_fast.backends.base import Images
from ugatit_fast.errors import InputError
from ugatit_fast.media.colour import Colours
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.formats import recognise
from ugatit_fast.media.images import Pixels, decode_image, encode_image, load_image, upright_pixels
from ugatit_fast.translator.kinds import Batch, is_tensor, to_images

Photo: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image"
"""A picture of any size: the path of a file, a file's content, or a Pillow image."""
Picture: TypeAlias = "Photo | Batch"
"""One picture, or a batch of them in an array."""
Pictures: TypeAlias = "Picture | Sequence[Picture]"
"""Any of these, or several."""
WRITTEN_AS = {"JPEG": ".jpg", "WEBP": ".webp"}
"""The format of a file's bytes -> that of the translation's, PNG for any other."""


@dataclass(frozen=True)
class Taken:
    """What was given, as one batch."""

    batch: Batch
    """Of the photos, uint8 (1, h, w, 3); of an array, itself with n first."""
    back: Callable[[Any], Any]
    """From the translated batch, in the batch's kind, to the kind that was given."""
    first: Callable[[object], object]
    """From heat maps (n, h / 4, w / 4) to those of what was given: one, or all of a batch."""


def taken(picture: object, size: tuple[int, int]) -> Taken:
    """Decode a photo and bring it to `size` (height, width), or give a single array the dimension that it lacks.

    Raises InputError for a photo that can't be read, and for what is no picture. The batch isn't yet checked.
    """
    if isinstance(picture, bytes):
        return photo_of(decode_image(picture, "the picture"), size, encoder_like(picture))
    if isinstance(picture, Image.Image):
        colours = Colours(profile=picture.info.get("icc_profile"))
        return photo_of(upright_pixels(loaded(picture), colours), size, Image.fromarray)
    if isinstance(picture, str | os.PathLike):
        height, width = size
        return photo_of(load_image(Path(picture), at_least=(width, height)), size, Image.fromarray)
    if not (isinstance(picture, np.ndarray) or is_tensor(picture)):
        raise InputError(
            "expected a picture: a path, the bytes of a file, a Pillow image, a NumPy array or a torch tensor; "
            f"got {type(picture).__name__}"
        )
    if picture.ndim == 3:
        return Taken(picture[None], first_of, first_of)
    return Taken(picture, whole, whole)


def photo_of(photo: Pixels, size: tuple[int, int], back: Callable[[Pixels], object]) -> Taken:
    return Taken(fit_image(photo, size, "crop")[None], lambda translated: back(translated[0]), first_of)


def first_of(batch: Any) -> Any:
    return batch[0]


def whole(batch: object) -> object:
    return batch


def loaded(image: Image.Image) -> Image.Image:
    """An image with its pixels read. Raises InputError where its file is damaged."""
    try:
        image.load()
    except Exception as error:  # Pillow's decoders meet damaged data with almost every built-in exception
        raise InputError(f"the Pillow image can't be read ({error}); copy or export its file again") from error
    return image


def encoder_like(content: bytes) -> Callable[[Pixels], bytes]:
    """Writes pixels in the format of a file's content, where that is one that translations are written in."""
    suffix = WRITTEN_AS.get(recognise(io.BytesIO(content), "the picture")[0], ".png")
    return lambda pixels: encode_image(pixels, suffix)


def in_batches(pictures: Sequence[Taken]) -> list[tuple[Images, list[Taken]]]:
    """Neighbours of one size as one uint8 batch (n, h, w, 3) each, with those that it was made of.

    Raises InputError for an array that is no batch of pictures.
    """
    batches: list[tuple[list[Images], list[Taken]]] = []
    for one in pictures:
        images = to_images(one.batch)
        if batches and batches[-1][0][0].shape[1:] == images.shape[1:]:
            batches[-1][0].append(images)
            batches[-1][1].append(one)
        else:
            batches.append(([images], [one]))
    return [(np.concatenate(images), members) for images, members in batches]
