"""How far the shipped weights move held-out photos towards prints, by a classical measure:

    python benchmarks/shipped_weights.py DATA    # the folder that `ugatit-fast data example` made

Not KID or FID, which need a network that this project doesn't ship. A picture is described by two histograms over its
pixels: how fast lightness changes (log scale: flat colour, texture, ink) and how saturated the colour is. The distance
of two sets is the total variation, 0 to 1, between their mean histograms, averaged over the two descriptions.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.assets import shipped_weights
from ugatit_fast.backends.eager import EagerBackend
from ugatit_fast.bench.outputs import script_parser
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.train.data import image_files

STEEPNESS = np.concatenate([[0], np.geomspace(0.5, 256, 24)])
"""Edges of the bins of |d lightness / d pixel|, in 8-bit levels; the first is flat colour."""
SATURATIONS = np.linspace(0, 1, 17)

Histograms = tuple[NDArray[np.float64], NDArray[np.float64]]


def histograms(picture: Pixels) -> Histograms:
    """Shares of a picture's pixels in each bin: of steepness, of saturation."""
    levels = picture.astype(np.float64)
    steepness = np.hypot(*np.gradient(levels.mean(-1)))
    highest, lowest = levels.max(-1), levels.min(-1)
    saturation = (highest - lowest) / np.maximum(highest, 1)
    pixels = steepness.size
    return (
        np.histogram(steepness.clip(0, 255), STEEPNESS)[0] / pixels,
        np.histogram(saturation, SATURATIONS)[0] / pixels,
    )


def distance(a: list[Pixels], b: list[Pixels]) -> float:
    """0: the same mean histograms; 1: nothing in common."""
    sides = [[np.mean(column, axis=0) for column in zip(*map(histograms, side), strict=True)] for side in (a, b)]
    return float(np.mean([abs(one - other).sum() / 2 for one, other in zip(*sides, strict=True)]))


def main() -> None:
    """Print the distances."""
    parser = script_parser(__doc__)
    parser.add_argument("data", type=Path, help="the folder of the data set")
    data: Path = parser.parse_args().data
    photos, drawings = ([load_image(file) for file in image_files(data / name)] for name in ("testA", "testB"))
    translated = list(EagerBackend(shipped_weights()).run(np.stack(photos))[0])
    print(f"{len(photos)} held-out photos, {len(drawings)} held-out prints; 0 is alike, 1 is nothing in common")
    print(f"photos to prints            {distance(photos, drawings):.3f}")
    print(f"translated photos to prints {distance(translated, drawings):.3f}")
    print(f"half the prints to the rest {distance(drawings[::2], drawings[1::2]):.3f}")
    print(f"photos to translated photos {distance(photos, translated):.3f}")


if __name__ == "__main__":
    main()
