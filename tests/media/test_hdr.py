import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.media.colour import BT2020, luminance_of, of_h273, to_srgb
from ugatit_fast.media.hdr import KNEE, PEAK_NITS, WHITE_NITS, Transfer, light, rolled_off


def to_sdr(codes: np.ndarray, transfer: Transfer) -> np.ndarray:
    return to_srgb(codes, of_h273(9, {"pq": 16, "hlg": 18}[transfer]))


def code(share: float) -> np.ndarray:
    return np.full((1, 1, 3), round(255 * share), np.uint8)


@pytest.mark.parametrize(
    ("transfer", "share", "nits"),
    [
        ("pq", 0, 0),
        ("pq", 0.508, 100),
        ("pq", 0.58, 203),
        ("pq", 0.752, 1000),
        ("pq", 1, 10_000),
        ("hlg", 0, 0),
        ("hlg", 0.75, 203),
        ("hlg", 1, 1000),
    ],
)
def test_light_is_that_of_the_standard(transfer: Transfer, share: float, nits: float) -> None:
    """BT.2100 and BT.2408; 2 % is what 8 bits leave of a code."""
    np.testing.assert_allclose(light(code(share), transfer, luminance_of(BT2020)) * WHITE_NITS, nits, rtol=0.03)


@pytest.mark.parametrize(("transfer", "share"), [("pq", 0.58), ("hlg", 0.75)])
def test_white_paper_is_bright_and_highlights_are_brighter(transfer: Transfer, share: float) -> None:
    paper, lamp = to_sdr(code(share), transfer), to_sdr(code(share + 0.12), transfer)
    assert 220 <= paper.max() <= 230
    assert paper.max() < lamp.max() <= 255
    assert to_sdr(code(0), transfer).max() == 0


@given(st.floats(0, KNEE, width=32))
def test_nothing_below_the_knee_is_changed(grey: float) -> None:
    np.testing.assert_array_equal(rolled_off(np.full((1, 3), grey, np.float32)), np.float32(grey))


@given(st.lists(st.floats(0, 50, width=32), min_size=3, max_size=3))
def test_a_hue_stays_and_the_peak_is_one(rgb: list[float]) -> None:
    shown = np.array([rgb], np.float32)
    rolled = rolled_off(shown)
    assert rolled.min() >= 0
    assert rolled.max() <= 1
    if shown.max() <= PEAK_NITS / WHITE_NITS:
        np.testing.assert_allclose(rolled * shown.max(), shown * rolled.max(), atol=1e-4)


def test_brighter_is_never_darker() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for transfer in ("pq", "hlg"):
        assert (np.diff(to_sdr(greys, transfer)[0].astype(int), axis=0) >= 0).all()


def test_wide_colours_are_brought_to_narrow_ones() -> None:
    """BT.2020's green is outside BT.709: no red and blue are left, where its own primaries would give none either."""
    green = np.zeros((1, 1, 3), np.uint8)
    green[..., 1] = 120
    assert to_sdr(green, "pq")[0, 0, 0] == 0
    grey = to_sdr(np.full((1, 1, 3), 120, np.uint8), "pq")[0, 0].astype(int)
    assert np.ptp(grey) <= 1  # greys stay grey
