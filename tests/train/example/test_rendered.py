import numpy as np
import pytest

pytest.importorskip("scipy", reason='the example data set needs pip install ".[example-data]"')

from ugatit_fast.train.example.rendered import photographed, portrait


@pytest.mark.parametrize("seed", range(5))
def test_portraits_are_pictures_with_texture(seed: int) -> None:
    random = np.random.default_rng(seed)
    painted = portrait((96, 96), random)
    assert painted.shape == (96, 96, 3)
    assert np.isfinite(painted).all()
    assert painted.std() > 0.05
    picture = photographed(painted, random)
    assert picture.dtype == np.uint8
    assert picture.std() > 12


def test_every_portrait_is_another() -> None:
    one, other = (portrait((96, 96), np.random.default_rng(seed)) for seed in range(2))
    assert abs(one - other).mean() > 0.05
