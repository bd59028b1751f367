from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.export.winograd import (
    KERNEL_TRANSFORM,
    OUTPUT_TRANSFORM,
    TILE,
    WINDOW,
    WINDOW_TRANSFORM,
    plane,
    polynomial,
)


def test_shapes() -> None:
    assert WINDOW_TRANSFORM.shape == (6, 6)
    assert KERNEL_TRANSFORM.shape == (6, 3)
    assert OUTPUT_TRANSFORM.shape == (4, 6)


def test_polynomial_has_its_roots() -> None:
    coefficients = [float(c) for c in polynomial([Fraction(1), Fraction(-2), Fraction(3)])]
    assert [np.polyval(coefficients[::-1], root) for root in (1, -2, 3)] == [0, 0, 0]
    assert coefficients[3] == 1


@given(st.integers(0, 2**32 - 1))
def test_one_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, kernel = rng.normal(size=WINDOW), rng.normal(size=3)
    direct = [window[i : i + 3] @ kernel for i in range(TILE)]
    assert OUTPUT_TRANSFORM @ ((KERNEL_TRANSFORM @ kernel) * (WINDOW_TRANSFORM @ window)) == pytest.approx(
        np.array(direct), abs=1e-10
    )


@given(st.integers(0, 2**32 - 1))
def test_one_tile(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, kernel = rng.normal(size=(WINDOW, WINDOW)), rng.normal(size=(3, 3))
    direct = [[(window[i : i + 3, j : j + 3] * kernel).sum() for j in range(TILE)] for i in range(TILE)]
    products = (plane(KERNEL_TRANSFORM, KERNEL_TRANSFORM) @ kernel.ravel()) * (
        plane(WINDOW_TRANSFORM, WINDOW_TRANSFORM) @ window.ravel()
    )
    tile = plane(OUTPUT_TRANSFORM, OUTPUT_TRANSFORM) @ products
    assert tile.reshape(TILE, TILE) == pytest.approx(np.array(direct), abs=1e-10)


def test_kernels_one_tap_short_vanish_at_an_end() -> None:
    """What the up-convolution's 25-point phases rely on."""
    assert not (KERNEL_TRANSFORM @ [1, 1, 0])[5]
    assert not (KERNEL_TRANSFORM @ [0, 1, 1])[0]
