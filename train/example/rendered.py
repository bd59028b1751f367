"""Rendered portraits from random numbers, for an example data set whose photographs show few faces.

Not realistic, but with what separates a photo from a drawing: shading, texture at every scale, soft focus and noise.
"""

import numpy as np
from numpy.random import Generator as RandomGenerator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ugatit_fast.media.images import Pixels

Plane = NDArray[np.float64]
"""(h, w), or (h, w, 3) where it has colours; 0 to 1."""
Colour = NDArray[np.float64]
Mask = NDArray[np.float64] | NDArray[np.bool_] | float
Shape = tuple[int, int]

SKIN = np.array(
    (
        (0.96, 0.80, 0.69),
        (0.89, 0.67, 0.53),
        (0.78, 0.56, 0.42),
        (0.55, 0.37, 0.27),
        (0.40, 0.26, 0.19),
    )
)
HAIR = np.array(
    (
        (0.08, 0.06, 0.05),
        (0.30, 0.18, 0.10),
        (0.72, 0.56, 0.30),
        (0.55, 0.24, 0.10),
        (0.75, 0.74, 0.72),
    )
)
LIPS = np.array((0.72, 0.30, 0.30))
GRAIN = 0.012
"""Standard deviation of the sensor's noise."""


def photographed(picture: Plane, random: RandomGenerator) -> Pixels:
    """(h, w, 3) -> uint8 of the same shape, as a camera gives it: brighter or darker, tinted, a little soft, grainy."""
    light = random.uniform(0.75, 1.15) * (1 + 0.15 * random.standard_normal(3) * random.random())
    picture = gaussian_filter(picture * light, (random.uniform(0.3, 0.8),) * 2 + (0,))
    picture += GRAIN * random.standard_normal(picture.shape)
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)


def portrait(shape: Shape, random: RandomGenerator) -> Plane:
    """A face with hair over shoulders, before something out of focus."""
    rows, columns = coordinates(shape)
    picture = backdrop(shape, random)
    y, x = random.uniform(0.38, 0.52), random.uniform(0.4, 0.6)
    tall = random.uniform(0.2, 0.3)
    wide = tall * random.uniform(0.7, 0.85)
    lamp = random.uniform(-1, 1)

    def part(over: float, aside: float, height: float, width: float) -> Plane:
        """An ellipse in units of the face; above 0 inside."""
        return ellipse(rows, columns, y + over * tall, x + aside * wide, height * tall, width * wide)

    def shaded(colour: Colour, texture: float, grain: int) -> Plane:
        """A colour lit from the lamp's side, uneven by `texture`."""
        light = 0.95 + 0.3 * lamp * (columns - x) / wide - 0.12 * (rows - y) / tall
        return colour * (light + texture * (noise(shape, random, grain) - 0.5))[..., None]

    hair = HAIR[random.integers(len(HAIR))]
    strands = gaussian_filter(noise(shape, random, 48), (3, 0.4))
    long = random.random() < 0.5
    curls = 0.25 * (noise(shape, random, 10) - 0.5)
    if long:
        picture = blend(
            picture,
            hair * (0.4 + 1.3 * strands)[..., None],
            soft(part(0.3, 0, 1.7, 1.35) + curls, 0.03)[..., None],
        )
    cloth = shaded(random.uniform(0.05, 0.9, 3), 0.4, 12)
    picture = blend(picture, cloth, soft(part(2.7, 0, 1.45, 2.4), 0.01)[..., None])
    skin = SKIN[random.integers(len(SKIN))] * random.uniform(0.92, 1.05, 3)
    picture = blend(picture, shaded(skin * 0.85, 0.1, 16), soft(part(1.1, 0, 0.55, 0.45), 0.02)[..., None])
    picture = blend(picture, shaded(skin, 0.12, 20), soft(part(0, 0, 1, 1), 0.02)[..., None])
    for side in (-1, 1):
        picture = blend(
            picture, skin * (0.95, 0.75, 0.72), 0.5 * soft(part(0.3, 0.55 * side, 0.25, 0.25), 0.5)[..., None]
        )
        picture = blend(picture, np.array((0.93, 0.92, 0.9)), soft(part(-0.1, 0.42 * side, 0.1, 0.21), 0.1)[..., None])
        picture = blend(picture, random.uniform(0.1, 0.4, 3), soft(part(-0.1, 0.42 * side, 0.1, 0.1), 0.1)[..., None])
        picture = blend(
            picture, np.array((0.02, 0.02, 0.02)), soft(part(-0.1, 0.42 * side, 0.05, 0.05), 0.2)[..., None]
        )
        picture = blend(picture, hair * 0.8, 0.8 * soft(part(-0.34, 0.43 * side, 0.06, 0.27), 0.2)[..., None])
        picture = blend(picture, skin * 0.6, soft(part(0.3, 0.1 * side, 0.04, 0.06), 0.3)[..., None])
    picture = blend(picture, skin * 0.75, 0.5 * soft(part(0.1, 0.1 * np.sign(lamp), 0.3, 0.1), 0.5)[..., None])
    picture = blend(picture, LIPS * random.uniform(0.7, 1.2), soft(part(0.56, 0, 0.09, 0.33), 0.15)[..., None])
    picture = blend(picture, np.array((0.3, 0.1, 0.1)), 0.8 * soft(part(0.56, 0, 0.018, 0.3), 0.3)[..., None])
    fringe = part(-0.75, 0, 0.65, 1.15) + curls - 0.9 * soft(part(0.1, random.uniform(-0.3, 0.3), 0.85, 0.8), 0.02)
    return blend(picture, hair * (0.4 + 1.3 * strands)[..., None], soft(fringe, 0.03)[..., None])


def backdrop(shape: Shape, random: RandomGenerator) -> Plane:
    """Colours out of focus: an uneven wall, or lights."""
    rows, columns = coordinates(shape)
    first, second = random.random((2, 3))
    picture = blend(first, second, noise(shape, random, int(random.integers(2, 6)))[..., None])
    for _ in range(random.integers(0, 12)):
        y, x, radius = random.random(), random.random(), random.uniform(0.02, 0.1)
        picture = blend(
            picture, random.random(3), 0.6 * soft(ellipse(rows, columns, y, x, radius, radius), 0.1)[..., None]
        )
    return picture


def coordinates(shape: Shape) -> tuple[Plane, Plane]:
    """Row and column of every pixel, 0 to 1."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return rows / shape[0], columns / shape[1]


def ellipse(rows: Plane, columns: Plane, y: float, x: float, height: float, width: float) -> Plane:
    """1 at the centre (y, x), 0 on the edge of an ellipse of these half axes, below 0 outside."""
    return 1 - ((rows - y) / height) ** 2 - ((columns - x) / width) ** 2


def soft(field: Plane, width: float) -> Plane:
    """A mask: 0 where `field` is below 0, 1 from `width` on."""
    return (field / width).clip(0, 1)


def blend(below: Plane, above: Colour, share: Mask) -> Plane:
    return below + (above - below) * share


def noise(shape: Shape, random: RandomGenerator, cells: int) -> Plane:
    """Fractal noise, 0 to 1: octaves of random grids from `cells` a side on, each half as strong as the one before."""
    total = np.zeros(shape)
    strength = 1.0
    while cells < min(shape):
        grid = random.standard_normal((cells + 1, cells + 1))
        total += strength * zoom(
            grid, (shape[0] / grid.shape[0], shape[1] / grid.shape[1]), order=1, grid_mode=True, mode="nearest"
        )
        cells, strength = cells * 2, strength / 2
    low, high = total.min(), total.max()
    return (total - low) / (high - low)
