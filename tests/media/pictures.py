"""Pictures that tests are made of."""

import numpy as np
from PIL import Image

from ugatit_fast.media.images import Pixels


def photo(width: int, height: int, seed: int = 0) -> Pixels:
    """A smooth picture with edges in it, uint8 (h, w, 3): more like a photo than noise is."""
    small = np.random.default_rng(seed).integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
