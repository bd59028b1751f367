import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.media.pictures import photo
from ugatit_fast.choices import Box, Fit
from ugatit_fast.errors import InputError
from ugatit_fast.media.fitting import FEATHER, fit_image, paste_image, shown_box, unfit_image

FITS: list[Fit] = ["squash", "crop", "pad"]


@settings(max_examples=150, deadline=None)
@given(
    original=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.tuples(st.integers(1, 128), st.integers(1, 128)),
    fit=st.sampled_from(FITS),
)
def test_fit_gives_exactly_the_size_and_one_colour_stays(
    original: tuple[int, int], size: tuple[int, int], fit: Fit
) -> None:
    image = np.full((*original, 3), (7, 130, 250), np.uint8)
    fitted = fit_image(image, size, fit)
    assert fitted.shape == (*size, 3)
    assert fitted.dtype == np.uint8
    assert (fitted == (7, 130, 250)).all()
    shown = unfit_image(fitted, original, fit)
    assert shown.size > 0
    if fit == "pad":
        # The aspect survives to the pixel, and one side fills the engine's.
        scale = min(size[0] / original[0], size[1] / original[1])
        for side, full in zip(shown.shape[:2], original, strict=True):
            assert abs(side - full * scale) <= 0.5 or side == 1
        assert shown.shape[0] == size[0] or shown.shape[1] == size[1]
    else:
        assert shown.shape == (*size, 3)


def test_squash_is_pillows_bilinear() -> None:
    image = photo(333, 217)
    expected = np.asarray(Image.fromarray(image).resize((64, 48), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit_image(image, (48, 64), "squash"), expected)


def test_crop_takes_the_centre() -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 20:80] = photo(60, 60)
    np.testing.assert_array_equal(fit_image(image, (60, 60), "crop"), image[:, 20:80])
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(fit_image(tall, (60, 60), "crop"), tall[20:80])


def test_crop_is_pillows_bilinear() -> None:
    image = photo(300, 180)
    window = Image.fromarray(image[:, 60:240]).resize((60, 60), Image.Resampling.BILINEAR)
    # At its own edge the window sees a pixel or two of the photo around it.
    np.testing.assert_array_equal(fit_image(image, (60, 60), "crop")[:, 1:-1], np.asarray(window)[:, 1:-1])


def test_pad_repeats_the_edge_and_comes_off_again() -> None:
    image = photo(64, 32)
    fitted = fit_image(image, (64, 64), "pad")
    np.testing.assert_array_equal(fitted[16:48], image)
    assert (fitted[:16] == image[0]).all()
    assert (fitted[48:] == image[-1]).all()
    np.testing.assert_array_equal(unfit_image(fitted, (32, 64), "pad"), image)


def test_unknown_fit_lists_the_known() -> None:
    with pytest.raises(InputError, match="squash, crop, pad"):
        fit_image(photo(8, 8), (8, 8), "stretch")  # type: ignore[arg-type]


# Pasting back


@settings(max_examples=150, deadline=None)
@given(
    original=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.tuples(st.integers(1, 128), st.integers(1, 128)),
    fit=st.sampled_from(FITS),
)
def test_what_is_shown_lies_in_the_photo_and_has_its_aspect(
    original: tuple[int, int], size: tuple[int, int], fit: Fit
) -> None:
    box = shown_box(original, size, fit)
    assert box.left >= 0
    assert box.top >= 0
    assert box.left + box.width <= original[1]
    assert box.top + box.height <= original[0]
    if fit == "crop":  # to a pixel and a half: either edge is rounded, and a side has at least a pixel
        assert abs(box.width - min(original[1], original[0] * size[1] / size[0])) <= 1.5
        assert abs(box.height - min(original[0], original[1] * size[0] / size[1])) <= 1.5
    else:
        assert box == (0, 0, original[1], original[0])


@settings(max_examples=100, deadline=None)
@given(data=st.data(), height=st.integers(1, 60), width=st.integers(1, 60))
def test_a_photo_pasted_into_itself_stays_as_it_is_outside_and_inside(
    data: st.DataObject, height: int, width: int
) -> None:
    box_width, box_height = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    left, top = data.draw(st.integers(0, width - box_width)), data.draw(st.integers(0, height - box_height))
    box = Box(left, top, box_width, box_height)
    image = photo(width, height)
    before = image.copy()
    same = paste_image(image, image[top : top + box_height, left : left + box_width], box)
    np.testing.assert_array_equal(same, image)
    changed = paste_image(image, 255 - image[top : top + box_height, left : left + box_width], box)
    outside = np.ones((height, width), bool)
    outside[top : top + box_height, left : left + box_width] = False
    np.testing.assert_array_equal(changed[outside], image[outside])
    np.testing.assert_array_equal(image, before)


def test_edges_fade_but_for_the_photos_own() -> None:
    image, white = np.zeros((100, 200, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    inside = paste_image(image, white, Box(50, 20, 50, 50))[..., 0].astype(int)
    over = round(FEATHER * 50)
    assert (inside[20 + over : 70 - over, 50 + over : 100 - over] == 255).all()
    rising = inside[45, 50 : 51 + over]
    assert (np.diff(rising[:-1]) > 0).all()
    assert 0 < rising[0] < 255 / over
    np.testing.assert_array_equal(inside[20:70, 50:100], inside[20:70, 50:100][::-1, ::-1])
    whole = paste_image(image, white, Box(0, 0, 200, 100))
    assert (whole == 255).all()
    left_half = paste_image(image, white, Box(0, 0, 100, 100))[..., 0]
    assert (left_half[:, :90] == 255).all()
    assert (left_half[:, 99] < 40).all()
