"""Comparisons that tests of the report and of the study are made from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.translate.fake_translator import write_photos
from ugatit_fast.choices import Loading
from ugatit_fast.media.images import save_image
from ugatit_fast.study.compare import compare
from ugatit_fast.study.opening import Named
from ugatit_fast.study.options import CompareOptions
from ugatit_fast.study.page import write_page
from ugatit_fast.study.report import (
    SCHEMA_VERSION,
    Comparison,
    Engine,
    Method,
    Photo,
    photo_file,
    picture_file,
    write_report,
)

CPU = Loading(device="cpu", threads=1)
UNTIMED = CompareOptions(rounds=0)


def compared(
    folder: Path, *engines: Path, photos: Sequence[str] = ("a.png", "b c.png"), options: CompareOptions = UNTIMED
) -> Comparison:
    """A comparison by real engines, called by their number, in `folder`/report."""
    where = folder / "photos"
    if not where.exists():  # writing them again would make them others
        write_photos(where, *photos)
    named = [Named(f"method {number}", engine) for number, engine in enumerate(engines, 1)]
    return compare(named, str(where), folder / "report", options, CPU)


def write_fake_report(
    folder: Path,
    methods: Sequence[str] = ("Ours", "Theirs", "Another"),
    photos: int = 3,
    *,
    data_set: str = "selfie2anime",
    target: str = "anime faces",
    sizes: Sequence[int] = (32, 32, 24),
    failing: str = "",
) -> Comparison:
    """A report of engines that nobody ran: the pictures of method i are grey, 20 + 60 i, and of its size.

    failing: why one more method could not be had.
    """
    made = []
    for number, name in enumerate(methods):
        size = sizes[number % len(sizes)]
        engine = Engine(
            f"{name}.onnx", "0" * 64, 1000 + number, "ugatit", "onnxruntime", "fp32", "A2B", size, size, "CPU"
        )
        made.append(Method(name, name.lower().replace(" ", "-"), engine))
    if failing:
        made.append(Method("Failing", "failing", failure=failing))
    rows = tuple(Photo(f"{number}.jpg", f"{number}.png", "") for number in range(photos))
    comparison = Comparison(
        "comparison",
        SCHEMA_VERSION,
        "0",
        True,
        "2026-01-01T00:00:00+00:00",
        "a machine",
        data_set,
        target,
        "crop",
        32,
        32,
        tuple(made),
        rows,
    )
    random = np.random.default_rng(1)
    for photo in rows:
        save_image(photo_file(folder, photo), random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        for number, method in enumerate(made):
            if method.engine is None:
                continue
            shape = (method.engine.height, method.engine.width, 3)
            save_image(picture_file(folder, method, photo), np.full(shape, (20 + 60 * number) % 256, np.uint8))
    write_report(folder, comparison)
    write_page(folder, comparison)
    return comparison
