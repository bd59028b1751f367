"""Winograd's convolution F(4x4, 3x3): sixteen outputs of a 3x3 convolution from 36 products instead of 144.

    Y = A^T [ (G g G^T) * (B^T d B) ] A         d a 6x6 window, g the 3x3 kernel, * the product per element

(Lavin and Gray, arXiv 1509.09308.) Applied to all channels at once, the middle is 36 matrix products of
(tiles x channels in) by (channels in x channels out). The three matrices follow from five interpolation points and
infinity by the Toom-Cook construction. Points of small magnitude keep rounding small: with these, a light generator's
picture differs from the reference's by about 1e-5 in float32.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
TILE = 4
"""Outputs a side of one tile."""
KERNEL = 3
WINDOW = TILE + KERNEL - 1
"""Inputs a side of one tile."""
POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))


def toom_cook() -> tuple[Matrix, Matrix, Matrix]:
    """B^T (6, 6), G (6, 3) and A^T (4, 6) of F(4, 3) for `POINTS` and infinity, in this order."""
    window = [polynomial([q for q in POINTS if q != p]) for p in POINTS] + [polynomial(POINTS)]
    kernel = [[p**k / product([p - q for q in POINTS if q != p]) for k in range(KERNEL)] for p in POINTS]
    kernel.append([Fraction(0)] * (KERNEL - 1) + [Fraction(1)])
    output = [[p**i for p in POINTS] + [Fraction(i == TILE - 1)] for i in range(TILE)]
    return to_float(window), to_float(kernel), to_float(output)


def polynomial(roots: tuple[Fraction, ...] | list[Fraction]) -> list[Fraction]:
    """Coefficients, lowest first and filled up to six, of the monic polynomial with these roots."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [a - root * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients + [Fraction(0)] * (WINDOW - len(coefficients))


def product(factors: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def to_float(rows: list[list[Fraction]]) -> Matrix:
    matrix: Matrix = np.array([[float(value) for value in row] for row in rows])
    return matrix


WINDOW_TRANSFORM, KERNEL_TRANSFORM, OUTPUT_TRANSFORM = toom_cook()


def plane(by_rows: Matrix, by_columns: Matrix) -> Matrix:
    """The transform of both dimensions, acting on flattened windows."""
    both: Matrix = np.kron(by_rows, by_columns).astype(np.float64)
    return both
