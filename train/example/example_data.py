"""A data set from what is at hand: photographs that ship inside packages, rendered portraits, and a print filter.

    photographs of domain A, portraits -> crops                       -> trainA
    others, of domain B, and others    -> crops -> two-ink print      -> trainB
    those held out of both             -> crops                       -> testA
                                       -> other crops -> two-ink print -> testB

Unpaired: no print of B shows a crop of A. The weights in assets/ were trained on this.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator as RandomGenerator
from numpy.random import default_rng
from PIL import Image

from ugatit_fast.errors import InputError
from ugatit_fast.media.images import Pixels, save_image
from ugatit_fast.progress import Phased
from ugatit_fast.train.example.photographs import installed_photographs, load_reduced
from ugatit_fast.train.settings import MARGIN_PIXELS

SIZE_PIXELS = 128 + MARGIN_PIXELS
"""Side of every picture: what training at 128 resizes to before it crops, so that lines stay as sharp as drawn."""
SMALLEST_CROP_PIXELS = 220
"""Of a photo, so that little is magnified."""
LARGEST_SMALLEST_SHARE = 0.6
"""Of a small photo's shorter side: its smallest crop all the same."""
SMALLEST_DEVIATION = 24.0
"""Of a crop's lightness in 8-bit levels: those with less have little to draw in them, and another is tried."""
CROPS_TRIED = 8
PORTRAIT_EVERY = 5
"""Training pictures to one rendered portrait."""
TEST_SHARE = 20
"""Training pictures to one test picture."""


def build_example_data(
    folder: Path, count: int = 1200, seed: int = 0, *, on_progress: Phased = lambda *_: None
) -> dict[str, int]:
    """Write trainA, trainB, testA and testB: `count` pictures in each of the first two. How many each folder has.

    on_progress gets a folder's name, or "photos" while they are read, the pictures in it and those it will have.
    Raises InputError for a folder with something in it, BackendUnavailable where a package is missing.
    """
    from ugatit_fast.train.example.two_ink_print import two_ink_print

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and isn't empty; name a new folder")
    files = installed_photographs()
    wanted = [*files.a, *files.b, *files.held_out]
    photos = {}
    for i, file in enumerate(wanted):
        photos[file] = load_reduced(file)
        on_progress("photos", i + 1, len(wanted))
    parts: tuple[tuple[str, list[Path], Callable[[Pixels], Pixels]], ...] = (
        ("trainA", files.a, unchanged),
        ("trainB", files.b, two_ink_print),
        ("testA", files.held_out, unchanged),
        ("testB", files.held_out, two_ink_print),
    )
    counts = {}
    for number, (name, sources, finish) in enumerate(parts):
        training = name.startswith("train")
        counts[name] = count if training else max(1, count // TEST_SHARE)
        for i in range(counts[name]):
            random = default_rng((seed, number, i))
            if training and i % PORTRAIT_EVERY == PORTRAIT_EVERY - 1:
                picture = portrait(random)
            else:
                portraits_before = i // PORTRAIT_EVERY if training else 0
                picture = cropped(photos[sources[(i - portraits_before) % len(sources)]], random)
            save_image(folder / name / f"{i:04}.png", finish(picture))
            on_progress(name, i + 1, counts[name])
    return counts


def unchanged(picture: Pixels) -> Pixels:
    return picture


def portrait(random: RandomGenerator) -> Pixels:
    """A rendered portrait, uint8 RGB (158, 158, 3)."""
    from ugatit_fast.train.example.rendered import photographed, portrait

    return photographed(portrait((SIZE_PIXELS, SIZE_PIXELS), random), random)


def cropped(photo: Pixels, random: RandomGenerator) -> Pixels:
    """A square of any size from anywhere with something in it, perhaps mirrored, uint8 RGB (158, 158, 3)."""
    image = Image.fromarray(photo)
    largest = min(image.size)
    smallest = min(SMALLEST_CROP_PIXELS, LARGEST_SMALLEST_SHARE * largest)
    for _ in range(CROPS_TRIED):
        side = int(np.exp(random.uniform(np.log(smallest), np.log(largest))))
        left, top = (int(random.integers(length - side + 1)) for length in image.size)
        box = (left, top, left + side, top + side)
        square = image.resize((SIZE_PIXELS, SIZE_PIXELS), Image.Resampling.LANCZOS, box)
        if np.asarray(square.convert("L")).std() >= SMALLEST_DEVIATION:
            break
    return np.array(square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else square)
