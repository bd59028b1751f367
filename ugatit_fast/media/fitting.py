"""A photo of any shape to the engine's size, and the engine's result back to the part that shows the photo."""

from typing import get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.choices import Box, Fit
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import Pixels

FEATHER = 0.1
"""Share of a pasted part's shorter side over which each of its edges fades into the photo."""


def fit_image(image: Pixels, size: tuple[int, int], fit: Fit) -> Pixels:
    """Resize to exactly `size` (h, w) with Pillow's antialiased bilinear filter, as the published PyTorch code does.

    - squash: the whole photo, its aspect changed (the published behaviour)
    - crop: the largest centred window of the target's aspect
    - pad: the whole photo, its aspect kept; the border repeats the edge pixels. White would shift the statistics that
      instance norm takes over the picture, and a mirrored border would grow second faces.
    """
    height, width = image.shape[:2]
    target_height, target_width = size
    photo = Image.fromarray(image)
    if fit == "squash":
        return np.array(photo.resize((target_width, target_height), Image.Resampling.BILINEAR))
    if fit == "crop":
        window = centred_window((height, width), size)
        return np.array(photo.resize((target_width, target_height), Image.Resampling.BILINEAR, box=window))
    if fit == "pad":
        rows, columns = covered_part((height, width), size)
        inner = photo.resize((columns.stop - columns.start, rows.stop - rows.start), Image.Resampling.BILINEAR)
        border = ((rows.start, target_height - rows.stop), (columns.start, target_width - columns.stop), (0, 0))
        padded: Pixels = np.pad(np.asarray(inner), border, mode="edge")
        return padded
    raise InputError(f"unknown fit {fit!r}; choose one of {', '.join(get_args(Fit))}")


def unfit_image(result: Pixels, original_size: tuple[int, int], fit: Fit) -> Pixels:
    """The part of an engine's result that shows the photo: a view without the border of "pad", else all of it.

    `original_size` is the (h, w) of the photo before `fit_image`. Nothing is scaled back: the file that is written has
    the engine's resolution, as the published code's has.
    """
    if fit != "pad":
        return result
    rows, columns = covered_part(original_size, (result.shape[0], result.shape[1]))
    return result[rows, columns]


def shown_box(original_size: tuple[int, int], size: tuple[int, int], fit: Fit) -> Box:
    """The part of a photo (h, w) that `unfit_image` gives back once it was fitted to `size` (h, w), to whole pixels."""
    height, width = original_size
    if fit != "crop":
        return Box(0, 0, width, height)
    left, top, right, bottom = (round(side) for side in centred_window(original_size, size))
    return Box(left, top, max(1, right - left), max(1, bottom - top))


def paste_image(photo: Pixels, part: Pixels, box: Box) -> Pixels:
    """`photo` (h, w, 3) with `part`, resized, in the place of `box`; a new picture.

    The part's edges fade in over `FEATHER` of the box's shorter side, except those that are the photo's own edges.
    """
    height, width = photo.shape[:2]
    down = (box.top > 0, box.top + box.height < height)
    across = (box.left > 0, box.left + box.width < width)
    resized, weight = faded(part, box, down, across)
    place = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    pasted = photo.copy()
    pasted[place] = np.rint(weight[..., None] * resized + (1 - weight[..., None]) * photo[place])
    return pasted


def faded(
    part: Pixels, box: Box, down: tuple[bool, bool], across: tuple[bool, bool]
) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """`part` at the size of `box`, and its weight (h, w), 0 to 1, in what it is pasted into.

    down, across: whether its first and its last edge fade.
    """
    resized = Image.fromarray(part).resize((box.width, box.height), Image.Resampling.BICUBIC)
    over = FEATHER * min(box.width, box.height)
    rows = fade_weights(box.height, over, before=down[0], after=down[1])
    columns = fade_weights(box.width, over, before=across[0], after=across[1])
    return np.asarray(resized), rows[:, None] * columns


def fade_weights(length: int, over: float, *, before: bool, after: bool) -> npt.NDArray[np.float32]:
    """Weights along a side: from 0 at an edge that fades to 1 within `over` pixels."""
    weights = np.ones(length, np.float32)
    ramp = np.clip((np.arange(length, dtype=np.float32) + 0.5) / max(over, 1), 0, 1)
    if before:
        weights *= ramp
    if after:
        weights *= ramp[::-1]
    return weights


def centred_window(original: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred window of the aspect of `size` (h, w) in a photo (h, w): left, top, right, bottom."""
    (height, width), (target_height, target_width) = original, size
    window_width = min(width, height * target_width / target_height)
    window_height = min(height, width * target_height / target_width)
    left, top = (width - window_width) / 2, (height - window_height) / 2
    return left, top, left + window_width, top + window_height


def covered_part(original: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of `size` (h, w) that a photo of `original` (h, w) covers when fitted inside."""
    scale = min(size[0] / original[0], size[1] / original[1])
    inner = [min(full, max(1, round(side * scale))) for side, full in zip(original, size, strict=True)]
    first = [(full - side) // 2 for side, full in zip(inner, size, strict=True)]
    return slice(first[0], first[0] + inner[0]), slice(first[1], first[1] + inner[1])
