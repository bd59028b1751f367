import numpy as np
import pytest

from ugatit_fast.backends.eager import EagerBackend
from ugatit_fast.choices import Direction
from ugatit_fast.demo import SIZE
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image
from ugatit_fast.samples import sample_photos, shipped_weights


def test_the_shipped_weights_are_small() -> None:
    assert sum(shipped_weights(direction).stat().st_size for direction in ("A2B", "B2A")) < 8_000_000


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
def test_the_shipped_weights_translate(direction: Direction) -> None:
    """Another picture than the photo, of the same thing: light and dark lie where they lay."""
    photo = fit_image(load_image(sample_photos()[0]), SIZE, "crop")
    picture = EagerBackend(shipped_weights(direction), device="cpu").run(photo[None])[0][0]
    assert np.abs(picture.astype(int) - photo).mean() > 8
    assert np.corrcoef(picture.mean(-1).ravel(), photo.mean(-1).ravel())[0, 1] > 0.7
