"""What contenders translate: a few seeded pictures, the same in every process, and batches that rotate through them."""

import numpy as np

from ugatit_fast.backends.base import Images

POOL = 3
"""Different pictures; every call of a contender gets them in another order."""
PATCHES = 8


def picture(height: int, width: int, seed: int) -> Images:
    """uint8 (h, w, 3): smooth colours under noise, somewhere between a photo and the worst case."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (PATCHES, PATCHES, 3))
    rows, columns = (np.arange(side) * PATCHES // side for side in (height, width))
    smooth = coarse[rows[:, None], columns[None]]
    return np.clip(smooth + random.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def pool(height: int, width: int) -> list[Images]:
    return [picture(height, width, seed) for seed in range(POOL)]


def batches(n: int, height: int, width: int) -> list[Images]:
    """`POOL` batches (n, h, w, 3); picture i of batch k is `pool`'s number (k + i) modulo `POOL`."""
    pictures = pool(height, width)
    return [np.stack([pictures[(k + i) % POOL] for i in range(n)]) for k in range(POOL)]
