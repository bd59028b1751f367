from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.pictures import photo
from tests.translate.face_models import Sure, write_yunet
from ugatit_fast.choices import Box, Fit
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.turning import Turned, take_turned
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions


def framing(size: tuple[int, int] = (32, 32), **options: Any) -> Framing:
    return Framing(TranslateOptions(**options), size)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_the_whole_photo(fit: Fit) -> None:
    image = photo(60, 40)
    framed = framing(fit=fit).frame(image, "a.png")
    np.testing.assert_array_equal(framed.pixels, fit_image(image, (32, 32), fit))
    assert (framed.photo_size, framed.part) == ((40, 60), Turned(Box(0, 0, 60, 40)))


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_center_is_the_middle_whatever_the_fit(fit: Fit) -> None:
    image = photo(60, 40)
    framed = framing(fit=fit, crop="center").frame(image, "a.png")
    np.testing.assert_array_equal(framed.pixels, fit_image(image, (32, 32), "crop"))


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_a_box_is_fitted_as_a_photo_of_its_own_would_be(fit: Fit) -> None:
    image, box = photo(60, 40), Box(10, 5, 30, 20)
    framed = framing(fit=fit, crop=box).frame(image, "a.png")
    np.testing.assert_array_equal(framed.pixels, fit_image(image[5:25, 10:40].copy(), (32, 32), fit))


@pytest.mark.parametrize("box", [Box(31, 0, 30, 20), Box(0, 21, 30, 20), Box(100, 100, 1, 1)])
def test_a_box_that_reaches_outside_is_the_photos_failure(box: Box) -> None:
    with pytest.raises(InputError, match=r"a\.png is 60 x 40, and the box of .* reaches outside"):
        framing(crop=box).frame(photo(60, 40), "a.png")
    framing(crop=Box(30, 20, 30, 20)).frame(photo(60, 40), "a.png")


def test_a_face_is_framed_as_a_square_around_it(tmp_path: Path) -> None:
    model = write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=4, column=3, face=(12, 16))])
    image = photo(64, 64)
    framed = framing(crop="face", face_model=model).frame(image, "a.png")
    assert framed.part == Turned(Box(8, 16, 32, 32))
    np.testing.assert_array_equal(framed.pixels, image[16:48, 8:40])


def test_a_photo_without_a_face_is_its_own_failure(tmp_path: Path) -> None:
    none = framing(crop="face", face_model=write_yunet(tmp_path / "yunet.onnx", []))
    with pytest.raises(InputError, match=r"a\.png shows no face"):
        none.frame(photo(64, 64), "a.png")


def test_photos_are_decoded_small_only_where_their_own_pixels_do_not_matter() -> None:
    assert framing(size=(32, 48)).at_least == (48, 32)
    assert framing(size=(32, 48), crop="center").at_least == (48, 32)
    for options in ({"paste_back": True}, {"crop": Box(0, 0, 4, 4)}):
        assert framing(**options).at_least is None


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(96, 96), (64, 96), (96, 64)])
def test_a_turned_part_goes_back_to_where_it_was(fit: Fit, size: tuple[int, int]) -> None:
    image, part = photo(160, 120), Turned(Box(40, 20, 80, 80), 37)
    there = framing(size=size, fit=fit)
    framed = there.fitted(image, part)
    np.testing.assert_array_equal(framed.pixels, fit_image(take_turned(image, part), size, fit))
    assert np.abs(there.paste(image, framed.pixels, framed).astype(int) - image).mean() < 4
    inverted = there.paste(image, 255 - framed.pixels, framed)
    middle = np.s_[50:70, 70:90]
    assert np.abs(255 - inverted[middle].astype(int) - image[middle]).mean() < 8
    left, top, width, height = part.bounds()
    inverted[max(top, 0) : top + height, left : left + width] = 0
    image[max(top, 0) : top + height, left : left + width] = 0
    np.testing.assert_array_equal(inverted, image)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("crop", [None, "center", Box(20, 10, 100, 60)])
def test_what_the_engine_saw_goes_back_to_where_it_was(fit: Fit, crop: Any) -> None:
    """An engine that changes nothing leaves the photo nearly as it was: to what scaling down and up takes away."""
    image = photo(160, 120)
    there = framing(size=(96, 96), fit=fit, crop=crop)
    framed = there.frame(image, "a.png")
    back = there.paste(image, framed.pixels, framed)
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 4
    inverted = there.paste(image, 255 - framed.pixels, framed)
    left, top, width, height = crop if isinstance(crop, Box) else (0, 0, 160, 120)
    middle = np.s_[top + height // 2 - 10 : top + height // 2 + 10, left + width // 2 - 10 : left + width // 2 + 10]
    assert np.abs(255 - inverted[middle].astype(int) - image[middle]).mean() < 8


def test_options_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugatit_fast.translate.faces.packaged_model", lambda: None)
    with pytest.raises(BackendUnavailable, match=r"\[face\].*--face-model"):
        TranslateOptions(crop="face")
    with pytest.raises(InputError, match="--crop face"):
        TranslateOptions(face_model=Path("yunet.onnx"))
