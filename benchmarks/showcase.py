"""The pictures in the README and beside the model card, made by the shipped weights from photos never trained on:

    python benchmarks/showcase.py --force    # writes docs/before-after.jpg and docs/held-out.jpg anew

Each photo is followed by where the network looked and what it made of it. Only photos that anybody may show, changed,
are in them: in the public domain, under CC0 or CC BY (assets/PROVENANCE.md).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from ugatit_fast.assets import sample_photos, shipped_weights
from ugatit_fast.backends.eager import EagerBackend
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.tiles import heatmap_overlay
from ugatit_fast.train.example.photographs import COLLECTIONS, load_reduced

DOCS = Path(__file__).resolve().parents[1] / "docs"
PICTURES = ("before-after.jpg", "held-out.jpg")
SIDE_PIXELS = 256
"""Of every picture that is translated."""
SHOWN_PIXELS = 192
"""Of those on the page of many."""
COLUMNS = 8
GAP_PIXELS = 4
"""Of white around every picture."""
QUALITY = 80

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the photograph, its shorter side at most 900."""
CROPS: tuple[tuple[str, Box], ...] = (
    ("astronaut.png", (98, 0, 354, 256)),
    ("astronaut.png", (0, 0, 512, 512)),
    ("astronaut.png", (150, 10, 310, 170)),
    ("grace_hopper.jpg", (66, 22, 466, 422)),
    ("grace_hopper.jpg", (0, 0, 512, 512)),
    ("grace_hopper.jpg", (140, 90, 370, 320)),
    ("chelsea.png", (60, 0, 360, 300)),
    ("chelsea.png", (120, 60, 330, 270)),
    ("chelsea.png", (0, 0, 220, 220)),
    ("friends_by_Aitzol_Berasategi.jpg", (0, 0, 900, 900)),
    ("friends_by_Aitzol_Berasategi.jpg", (130, 100, 580, 550)),
    ("coffee.png", (100, 0, 500, 400)),
    ("coffee.png", (200, 120, 480, 400)),
    ("Picture_0B_by_freespace.jpg", (200, 0, 1100, 900)),
    ("Picture_0B_by_freespace.jpg", (350, 150, 900, 700)),
    ("china.jpg", (100, 0, 527, 427)),
    ("china.jpg", (213, 0, 640, 427)),
    ("china.jpg", (110, 20, 350, 260)),
    ("picosdeeuropa_by_Aitzol_Berasategi.jpg", (0, 0, 900, 900)),
    ("picosdeeuropa_by_Aitzol_Berasategi.jpg", (300, 0, 1200, 900)),
    ("life_by_Aitzol_Berasategi.jpg", (0, 0, 900, 900)),
    ("life_by_Aitzol_Berasategi.jpg", (400, 200, 1000, 800)),
    ("Wine_by_Jakkub_Mede.jpg", (0, 300, 900, 1200)),
    ("Wine_by_Jakkub_Mede.jpg", (100, 100, 700, 700)),
)


def main() -> None:
    """Write both pictures."""
    parser = script_parser(__doc__)
    add_output(parser, DOCS, "folder for the pictures")
    output = output_of(parser, parser.parse_args(), *PICTURES)
    backend = EagerBackend(shipped_weights())
    samples = [squared(load_reduced(photo), SIDE_PIXELS) for photo in sample_photos()]
    rows = [np.concatenate([framed(tile) for tile in tiles(backend, photo)], 1) for photo in samples]
    save(output / PICTURES[0], np.concatenate(rows))
    columns = [
        np.concatenate([framed(squared(tile, SHOWN_PIXELS)) for tile in tiles(backend, photo)]) for photo in crops()
    ]
    bands = [np.concatenate(columns[i : i + COLUMNS], 1) for i in range(0, len(columns), COLUMNS)]
    save(output / PICTURES[1], np.concatenate(bands))


def crops() -> list[Pixels]:
    """The held-out crops, each uint8 (256, 256, 3)."""
    files = {name: collection.file(name) for collection in COLLECTIONS for name in collection.held_out}
    pictures = []
    for name, (left, top, right, bottom) in CROPS:
        photo = load_reduced(files[name])
        if right > photo.shape[1] or bottom > photo.shape[0]:
            raise ValueError(f"{name} is {photo.shape[1]} x {photo.shape[0]}; the crop ends at {right}, {bottom}")
        pictures.append(squared(photo[top:bottom, left:right], SIDE_PIXELS))
    return pictures


def tiles(backend: EagerBackend, photo: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """The photo, where the network looked, what it made."""
    translated, heatmaps = backend.run(photo[None])
    assert heatmaps is not None  # the eager backend always has them
    return photo, heatmap_overlay(photo, heatmaps[0]), translated[0]


def framed(picture: Pixels) -> Pixels:
    """With the gap around it."""
    return np.pad(picture, ((GAP_PIXELS,) * 2,) * 2 + ((0, 0),), constant_values=255)


def squared(picture: Pixels, side: int) -> Pixels:
    """Resized to side x side."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def save(path: Path, picture: Pixels) -> None:
    """As JPEG; full colour resolution, since lines in saturated colours suffer most from less."""
    Image.fromarray(picture).save(path, quality=QUALITY, subsampling="4:4:4", optimize=True)


if __name__ == "__main__":
    main()
