from pathlib import Path

import numpy as np
import pytest

from benchmarks.showcase import CROPS, framed, squared
from ugatit_fast.train.example.photographs import COLLECTIONS

PROVENANCE = Path(__file__).parents[2] / "assets" / "PROVENANCE.md"


def test_the_page_shows_24_crops_of_photographs_never_trained_on() -> None:
    held_out = {name for collection in COLLECTIONS for name in collection.held_out}
    assert len(set(CROPS)) == len(CROPS) == 24
    assert {name for name, _ in CROPS} <= held_out
    for _, (left, top, right, bottom) in CROPS:
        assert right - left == bottom - top > 100


@pytest.mark.parametrize("name", sorted({name for name, _ in CROPS}))
def test_anybody_may_show_them_changed(name: str) -> None:
    """Its row in PROVENANCE.md says so."""
    (row,) = [
        line
        for line in PROVENANCE.read_text(encoding="utf-8").splitlines()
        if f"`{name}`" in line and "held out" in line
    ]
    licence = row.split("|")[4]
    assert any(allowed in licence for allowed in ("public domain", "CC0", "CC BY 2.0", "CC BY 4.0"))
    assert "BY-SA" not in licence


def test_pictures_are_squared_and_framed() -> None:
    picture = squared(np.zeros((30, 20, 3), np.uint8), 16)
    assert picture.shape == (16, 16, 3)
    frame = framed(picture)
    assert frame.shape == (24, 24, 3)
    assert (frame[:4] == 255).all()
    assert (frame[4:-4, 4:-4] == 0).all()
