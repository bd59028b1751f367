"""How far two sets of pictures are apart, by their features: KID and FID, in float64.

    k(x, y) = (x . y / d + 1)^3, for features of d values
    MMD^2   = mean of k over pairs within X + mean of k over pairs within Y - 2 * mean of k over pairs across
    KID     = mean of MMD^2 over subsets of X and Y (arXiv 1801.01401)
    FID     = |m_X - m_Y|^2 + tr S_X + tr S_Y - 2 tr (S_X S_Y)^(1/2), of means m and covariances S (arXiv 1706.08500)

A picture is never paired with itself, so KID is unbiased: about 0 for sets alike, now and then below. FID is biased
upwards, the more so the fewer pictures there are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
"""(n, d), a row for each picture."""
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over subsets, and how far they scatter."""

    mean: float
    spread: float | None
    """None where there is a single subset."""


def polynomial_kernel(x: Matrix, y: Matrix) -> Matrix:
    """k of every row of x (n, d) with every row of y (m, d): (n, m)."""
    kernel: Matrix = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def squared_mmd(x: Features, y: Features) -> float:
    """The unbiased estimate of MMD^2. x (n, d) and y (m, d) with n and m from 2 on."""
    left, right = x.astype(np.float64), y.astype(np.float64)
    return within(left) + within(right) - 2 * float(polynomial_kernel(left, right).mean())


def within(x: Matrix) -> float:
    """Mean of k over the pairs of different rows."""
    kernel = polynomial_kernel(x, x)
    return float((kernel.sum() - kernel.trace()) / (len(x) * (len(x) - 1)))


def kid_of_subsets(x: Features, y: Features, size: int, count: int, seed: int) -> Estimate:
    """KID of `count` random subsets of `size` rows of both; the spread is their standard deviation.

    As torch-fidelity draws and sums up, number for number. size: from 2 to the rows of the smaller set.
    """
    random = np.random.RandomState(seed)  # not today's generator: torch-fidelity draws from this one
    found = []
    for _ in range(count):
        first, second = (features[random.choice(len(features), size, replace=False)] for features in (x, y))
        found.append(squared_mmd(first, second))
    return Estimate(float(np.mean(found)), float(np.std(found)) if count > 1 else None)


def kid_of_blocks(x: Features, y: Features, largest: int) -> Estimate:
    """KID of as few consecutive blocks as hold `largest` rows or fewer each; the spread is the mean's standard error.

    As TensorFlow's `kernel_classifier_distance_and_std_from_activations`. The rows of x and y must be in random order,
    and the smaller set must have 2 for every block (`blocks_of`).
    """
    count = blocks_of(len(x), len(y), largest)
    pairs = zip(blocks(x, count), blocks(y, count), strict=True)
    found = [squared_mmd(of_x, of_y) for of_x, of_y in pairs]
    spread = float(np.std(found, ddof=1) / np.sqrt(count)) if count > 1 else None
    return Estimate(float(np.mean(found)), spread)


def blocks_of(n: int, m: int, largest: int) -> int:
    """How many blocks of `largest` rows or fewer it takes."""
    return -(-max(n, m) // largest)


def blocks(features: Features, count: int) -> list[Features]:
    """Consecutive rows in `count` blocks; those at the end have one row more where they don't come out even."""
    smaller, larger = len(features) // count, len(features) % count
    sizes = [smaller] * (count - larger) + [smaller + 1] * larger
    return np.split(features, np.cumsum(sizes)[:-1])


def fid(x: Features, y: Features) -> float:
    """Fréchet distance of the Gaussians with the means and covariances of x (n, d) and y (m, d); n, m from 2 on.

    With S = R^T R the trace of (S_X S_Y)^(1/2) is the sum of the singular values of R_X R_Y^T. No matrix root is taken,
    whose rounding is large for fewer rows than columns, and the matrix is as small as the smaller of n and d.
    """
    (mean_x, root_x), (mean_y, root_y) = moments(x), moments(y)
    shared = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    apart = np.square(mean_x - mean_y).sum()
    return float(apart + np.square(root_x).sum() + np.square(root_y).sum() - 2 * shared)


def moments(features: Features) -> tuple[Matrix, Matrix]:
    """The mean (d,) and a matrix R of at most d rows with R^T R the covariance (d, d)."""
    rows = features.astype(np.float64)
    mean = rows.mean(axis=0)
    root = (rows - mean) / np.sqrt(len(rows) - 1)
    if len(root) > root.shape[1]:
        root = np.linalg.qr(root).R
    return mean, root
