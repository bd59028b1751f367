from pathlib import Path

import numpy as np
import pytest

from tests.media.pictures import photo
from tests.translate.face_models import Sure, write_yunet
from ugatit_fast.camera.following import LOST_FRAMES, Follower, nearer
from ugatit_fast.choices import Box
from ugatit_fast.media.turning import Turned
from ugatit_fast.translate.faces import FaceFinder
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions


@pytest.fixture
def finder(tmp_path: Path) -> FaceFinder:
    return FaceFinder(write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=4, column=3, face=(12, 16))]))


def follower(finder: FaceFinder, tmp_path: Path) -> Follower:
    options = TranslateOptions(crop="face", face_model=tmp_path / "yunet.onnx")
    return Follower(Framing(options, (32, 32), finder))


def test_the_square_about_the_face_is_shown(finder: FaceFinder, tmp_path: Path) -> None:
    image = photo(64, 64)
    framed = follower(finder, tmp_path).frame(image, "camera")
    np.testing.assert_array_equal(framed.pixels, image[16:48, 8:40])


def test_a_face_that_is_lost_is_waited_for_and_then_the_whole_frame_is_shown(
    finder: FaceFinder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, following = photo(64, 64), follower(finder, tmp_path)
    whole = Box(0, 0, 64, 64)
    monkeypatch.setattr(finder, "largest", lambda photo: None)
    assert following.frame(image, "camera").part.box == whole
    monkeypatch.setattr(finder, "largest", lambda photo: Turned(Box(20, 20, 10, 10)))
    square = following.frame(image, "camera").part.box
    assert square != whole
    monkeypatch.setattr(finder, "largest", lambda photo: None)
    shown = [following.frame(image, "camera").part.box for _ in range(LOST_FRAMES + 1)]
    assert shown == [square] * LOST_FRAMES + [whole]


def test_a_trembling_face_trembles_less_and_a_moving_one_is_reached() -> None:
    random = np.random.default_rng(0)
    face = Turned(Box(200, 200, 100, 120), 10)
    seen, shown = [], []
    for _ in range(200):
        left, top = (200 + random.normal(0, 6, 2)).round().astype(int).tolist()
        found = Turned(Box(left, top, 100, 120), 10 + random.normal(0, 3))
        face = nearer(face, found)
        seen.append(found)
        shown.append(face)
    for read in (lambda one: one.middle.real, lambda one: one.middle.imag, lambda one: one.degrees):
        assert np.std(np.diff([read(one) for one in shown])) < 0.5 * np.std(np.diff([read(one) for one in seen]))
    target = Turned(Box(240, 170, 140, 160), -30)
    for _ in range(30):
        face = nearer(face, target)
    assert abs(face.middle - target.middle) < 3
    assert face.degrees == pytest.approx(-30, abs=0.1)


def test_the_short_way_round() -> None:
    box = Box(0, 0, 100, 100)
    turned = nearer(Turned(box, 175), Turned(box, -175))
    assert abs(turned.degrees) > 175


def test_somebody_else_is_shown_at_once() -> None:
    other = Turned(Box(500, 0, 90, 90))
    assert nearer(Turned(Box(0, 0, 100, 100)), other) == other


def test_a_face_that_becomes_upright_is_not_turned_at_all() -> None:
    face = Turned(Box(0, 0, 100, 100), 20)
    for _ in range(20):
        face = nearer(face, Turned(Box(0, 0, 100, 100)))
    assert face.degrees == 0
