"""A data set from what is at hand: photographs that ship inside Python packages, rendered ones, and a cartoon filter.

    photos, rendered scenes and portraits -> crops, recoloured                  -> balanced -> trainA, testA
    other photos, other scenes            -> crops, recoloured -> cartoon filter -> balanced -> trainB, testB

Unpaired: no picture of B is the drawing of a picture of A. Balanced, because the encoder's instance normalisations
forget how bright, how strong in contrast and how tinted a picture is: what no generator can give back would drown what
it can learn. The weights in assets/ were trained on this.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator as RandomGenerator
from numpy.random import default_rng
from PIL import Image, ImageEnhance

from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.machine import pip_install
from ugatit_fast.media.images import Pixels, load_image, save_image
from ugatit_fast.progress import Phased

SIZE_PIXELS = 160
"""Side of every picture: a training crop of 128 and its margin."""
SMALLEST_CROP_PIXELS = 140
"""Of a photo, so that little is magnified."""
MEAN, DEVIATION = 127.5, 64.0
"""Of every channel of a balanced picture, in 8-bit levels."""
LARGEST_GAIN = 3.0
"""Of a channel, so that the noise of an even one stays noise."""
TEST_SHARE = 10
"""One test picture for so many training pictures."""


@dataclass(frozen=True)
class Photo:
    """A photograph inside an installed package."""

    package: str
    path: str
    """Below the package's folder."""
    source: str
    """Author and licence."""


PHOTOS_A = (
    Photo("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "United States Navy; public domain"),
    Photo("skimage", "data/chelsea.png", "Stéfan van der Walt; CC0"),
    Photo("skimage", "data/coffee.png", "Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0"),
    Photo("skimage", "data/rocket.jpg", "SpaceX; public domain"),
)
PHOTOS_B = (
    Photo("sklearn", "datasets/images/china.jpg", "danielbuechele, flickr.com 6061409035; CC BY 2.0"),
    Photo("sklearn", "datasets/images/flower.jpg", "vultilion, flickr.com 6056698931; CC BY 2.0"),
)
HELD_OUT = Photo("skimage", "data/astronaut.png", "NASA, Great Images; public domain")
"""Never trained on: the demonstration shows it."""


def build_example_data(
    folder: Path, count: int = 600, seed: int = 0, *, on_progress: Phased = lambda *_: None
) -> dict[str, int]:
    """Write trainA, trainB, testA and testB: `count` pictures in each of the first two. How many each folder has.

    Half of the pictures are photos. on_progress gets a folder's name, the pictures in it and those it will have. Raises
    InputError for a folder with something in it, BackendUnavailable where a package is missing.
    """
    from ugatit_fast.train.example.cartoon import cartoon

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and isn't empty; name a new folder")
    photos_a, photos_b, held_out = (
        [load_image(located(photo)) for photo in photos] for photos in (PHOTOS_A, PHOTOS_B, (HELD_OUT,))
    )
    parts: tuple[tuple[str, list[Pixels], Callable[[Pixels], Pixels]], ...] = (
        ("trainA", photos_a, unchanged),
        ("trainB", photos_b, cartoon),
        ("testA", held_out, unchanged),
        ("testB", photos_b, cartoon),
    )
    counts = {}
    for number, (name, photos, finish) in enumerate(parts):
        counts[name] = count if name.startswith("train") else max(1, count // TEST_SHARE)
        for i in range(counts[name]):
            picture = finish(drawn(photos, default_rng((seed, number, i)), real=i % 2 == 0))
            save_image(folder / name / f"{i:04}.png", balanced(picture))
            on_progress(name, i + 1, counts[name])
    return counts


def unchanged(picture: Pixels) -> Pixels:
    return picture


def located(photo: Photo) -> Path:
    spec = importlib.util.find_spec(photo.package)
    if spec is None or spec.origin is None:
        raise BackendUnavailable(
            f"the example data set takes photographs from {photo.package}, which isn't installed; "
            f"{pip_install('example-data')}"
        )
    return Path(spec.origin).parent / photo.path


def drawn(photos: list[Pixels], random: RandomGenerator, real: bool) -> Pixels:
    """One picture, uint8 RGB (160, 160, 3): from a photo, or rendered."""
    from ugatit_fast.train.example.rendered import rendered

    if not real:
        return rendered(SIZE_PIXELS, random)
    return recoloured(cropped(photos[random.integers(len(photos))], random), random)


def cropped(photo: Pixels, random: RandomGenerator) -> Pixels:
    """A square of any size from anywhere, turned by up to 10 degrees and perhaps mirrored."""
    image = Image.fromarray(photo).rotate(random.uniform(-10, 10), Image.Resampling.BICUBIC)
    border = round(0.08 * min(image.size))  # what turning leaves black, but for the corners
    side = int(random.integers(SMALLEST_CROP_PIXELS, min(image.size) - 2 * border + 1))
    left, top = (int(random.integers(border, length - border - side + 1)) for length in image.size)
    box = (left, top, left + side, top + side)
    square = image.resize((SIZE_PIXELS, SIZE_PIXELS), Image.Resampling.LANCZOS, box)
    return np.array(square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else square)


def recoloured(picture: Pixels, random: RandomGenerator) -> Pixels:
    """Saturation and hue changed as other light and other cameras would."""
    hue, saturation, value = Image.fromarray(picture).convert("HSV").split()
    shift = int(random.integers(-14, 15)) % 256
    turned = Image.merge("HSV", (hue.point(lambda level: (level + shift) % 256), saturation, value)).convert("RGB")
    return np.array(ImageEnhance.Color(turned).enhance(random.uniform(0.75, 1.25)))


def balanced(picture: Pixels) -> Pixels:
    """White balance and exposure made the same: each channel with the same mean and the same standard deviation."""
    levels = picture.astype(np.float64)
    mean, deviation = levels.mean(axis=(0, 1)), levels.std(axis=(0, 1))
    gain = np.minimum(DEVIATION / np.maximum(deviation, 1), LARGEST_GAIN)
    return np.rint((MEAN + (levels - mean) * gain).clip(0, 255)).astype(np.uint8)
