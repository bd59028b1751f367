import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.pictures import photo
from ugatit_fast.choices import Box
from ugatit_fast.media.fitting import FEATHER, paste_image
from ugatit_fast.media.turning import BEYOND, Turned, paste_turned, take_turned

boxes = st.builds(Box, st.integers(-40, 140), st.integers(-40, 140), st.integers(1, 60), st.integers(1, 60))
angles = st.floats(-180, 180)


def whole(box: Box) -> Box:
    return Box(0, 0, box.width, box.height)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, -1, 4])
@pytest.mark.parametrize("box", [Box(30, 20, 40, 40), Box(30, 20, 41, 41), Box(20, 30, 40, 20), Box(0, 0, 96, 96)])
def test_quarter_turns_are_exact(quarters: int, box: Box) -> None:
    """A photo that is turned clockwise by t holds, turned by t, what the photo holds upright."""
    image = photo(96, 96)
    middle = Turned(box).middle - complex(48, 48)
    there = middle * 1j**quarters + complex(48, 48)
    turned = Turned(Box(round(there.real - box.width / 2), round(there.imag - box.height / 2), *box[2:]), 90 * quarters)
    expected = image[box.top : box.top + box.height, box.left : box.left + box.width]
    np.testing.assert_array_equal(take_turned(np.rot90(image, -quarters), turned), expected)


@given(box=boxes, degrees=angles, x=st.floats(0, 1), y=st.floats(0, 1))
def test_points_keep_their_distances_and_stay_within_bounds(box: Box, degrees: float, x: float, y: float) -> None:
    """A turn is rigid: about the middle, clockwise, and all of the rectangle is within its bounds."""
    part = Turned(box, degrees)
    q = complex(x * box.width, y * box.height)
    p = part.in_photo(q)
    centre = complex(box.width, box.height) / 2
    assert part.in_photo(centre) == pytest.approx(part.middle)
    assert abs(p - part.middle) == pytest.approx(abs(q - centre), abs=1e-9)
    assert (p - part.middle) * np.exp(-1j * np.radians(degrees)) == pytest.approx(q - centre, abs=1e-9)
    left, top, width, height = part.bounds()
    assert left - 1e-6 <= p.real <= left + width + 1e-6
    assert top - 1e-6 <= p.imag <= top + height + 1e-6


@given(box=boxes, degrees=angles)
def test_a_plain_slope_is_taken_as_the_formula_says(box: Box, degrees: float) -> None:
    """Each sample of a picture of its own coordinates is the place that it was taken from."""
    columns, rows = np.meshgrid(np.arange(100), np.arange(100))
    image = np.stack([columns, rows, columns + rows], axis=2).astype(np.uint8)
    part = Turned(box, degrees)
    taken = take_turned(image, part)
    assert taken.shape == (box.height, box.width, 3)
    y, x = np.mgrid[: box.height, : box.width] + 0.5
    places = part.middle + (x + 1j * y - complex(box.width, box.height) / 2) * part.turn - (0.5 + 0.5j)
    inside = (places.real > BEYOND) & (places.real < 97) & (places.imag > BEYOND) & (places.imag < 97)
    for channel, expected in enumerate((places.real, places.imag, places.real + places.imag)):
        assert np.abs(taken[inside, channel] - expected[inside]).max(initial=0) <= 0.51
    beyond = (places.real < -BEYOND) & (places.imag < -BEYOND)
    assert not taken[beyond].any()  # the photo's corner, again and again


@given(box=boxes, degrees=angles)
def test_what_lies_outside_the_rectangle_is_untouched(box: Box, degrees: float) -> None:
    image, part = photo(100, 100), Turned(box, degrees)
    white = np.full((8, 8, 3), 255, np.uint8)
    pasted = paste_turned(image, white, part, whole(box))
    rows, columns = np.mgrid[:100, :100] + 0.5
    back = (columns + 1j * rows - part.middle) * part.turn.conjugate()
    outside = (abs(back.real) > box.width / 2) | (abs(back.imag) > box.height / 2)
    np.testing.assert_array_equal(pasted[outside], image[outside])
    soft = max(1, FEATHER * min(box.width, box.height)) + 1
    deep = (abs(back.real) < box.width / 2 - soft) & (abs(back.imag) < box.height / 2 - soft)
    assert (pasted[deep] == 255).all()


@pytest.mark.parametrize("degrees", [0, 12, 45, 90, -130])
def test_a_part_goes_back_as_it_lay(degrees: float) -> None:
    image, part = photo(160, 120), Turned(Box(45, 30, 60, 50), degrees)
    back = paste_turned(image, take_turned(image, part), part, whole(part.box))
    assert np.abs(back.astype(int) - image).mean() < 1.5


def test_without_a_turn_it_is_pasted_as_ever() -> None:
    image, box = photo(160, 120), Box(45, 30, 60, 50)
    picture = photo(24, 20, seed=1)
    np.testing.assert_array_equal(
        paste_turned(image, picture, Turned(box), whole(box)), paste_image(image, picture, box)
    )


def test_a_rectangle_outside_the_photo_changes_nothing() -> None:
    image = photo(50, 40)
    for left, top in ((-200, 0), (0, 300), (90, -90)):
        part = Turned(Box(left, top, 20, 20), 30)
        np.testing.assert_array_equal(paste_turned(image, photo(20, 20), part, whole(part.box)), image)
