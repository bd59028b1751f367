"""Faces are found here by networks made on the spot: of YuNet's inputs and outputs, and sure of what we tell them."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.pictures import photo
from tests.translate.face_models import Sure, write_yunet
from ugatit_fast.choices import Box
from ugatit_fast.errors import InputError
from ugatit_fast.media.turning import Turned
from ugatit_fast.translate.candidates import UPRIGHT, Candidates, tilt
from ugatit_fast.translate.faces import MARGIN, FaceFinder, portrait, wrapped
from ugatit_fast.translate.yunet import SCORE, STRIDES, Yunet


def test_decoding_is_the_direct_statement() -> None:
    """Cell by cell, as the formula says it."""
    height, width = 64, 96
    random = np.random.default_rng(0)
    outputs, expected = {}, []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        cls, obj = (random.uniform(-0.2, 1.2, (1, rows * columns, 1)).astype(np.float32) for _ in range(2))
        bbox = random.normal(size=(1, rows * columns, 4)).astype(np.float32)
        kps = random.normal(size=(1, rows * columns, 10)).astype(np.float32)
        outputs |= {f"cls_{stride}": cls, f"obj_{stride}": obj, f"bbox_{stride}": bbox, f"kps_{stride}": kps}
        for row in range(rows):
            for column in range(columns):
                cell = row * columns + column
                score = math.sqrt(min(max(cls[0, cell, 0], 0), 1) * min(max(obj[0, cell, 0], 0), 1))
                if score < SCORE:
                    continue
                x, y, w, h = bbox[0, cell]
                centre_x, centre_y = (column + x) * stride, (row + y) * stride
                wide, high = math.exp(w) * stride, math.exp(h) * stride
                points = [
                    ((column + kps[0, cell, 2 * point]) * stride, (row + kps[0, cell, 2 * point + 1]) * stride)
                    for point in range(5)
                ]
                expected.append((centre_x - wide / 2, centre_y - high / 2, wide, high, score, *np.ravel(points)))
    boxes, scores, points = Yunet().candidates(outputs, (height, width))
    assert len(expected) > 10
    found = np.column_stack([boxes, scores, points.reshape(-1, 10)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_of_overlapping_candidates_the_best_is_the_face() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [40, 0, 5, 5], [0, 8, 10, 10]], np.float32)
    points = np.arange(40, dtype=np.float32).reshape(4, 5, 2)
    kept = Candidates(boxes, np.array([0.8, 0.9, 0.75, 0.7], np.float32), points).distinct()
    assert kept.boxes.tolist() == [[1, 1, 10, 10], [40, 0, 5, 5], [0, 8, 10, 10]]
    assert kept.scores.tolist() == np.array([0.9, 0.75, 0.7], np.float32).tolist()
    assert kept.points.tolist() == points[[1, 2, 3]].tolist()
    none = Candidates(boxes[:0], np.zeros(0, np.float32), points[:0]).distinct()
    assert [each.shape for each in none] == [(0, 4), (0,), (0, 5, 2)]


@given(
    degrees=st.floats(-179, 180),
    scale=st.floats(1, 500),
    moved=st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)),
)
def test_a_tilt_is_the_angle_that_the_points_are_turned_by(
    degrees: float, scale: float, moved: tuple[float, float]
) -> None:
    points = UPRIGHT * scale * np.exp(1j * np.radians(degrees)) + complex(*moved)
    found = tilt(np.stack([points.real, points.imag], axis=1))
    assert abs(wrapped(found - degrees)) < 1e-6
    left, right = points[:2]
    assert abs(wrapped(np.degrees(np.angle(right - left)) - found)) < 1e-6  # the line of the eyes


@pytest.mark.parametrize(("width", "height", "scale"), [(64, 64, 1), (128, 96, 2), (40, 20, 1)])
def test_the_largest_face_is_found_in_the_photos_own_pixels(
    tmp_path: Path, width: int, height: int, scale: int
) -> None:
    faces = [Sure(8, row=2, column=3, face=(16, 12)), Sure(16, row=2, column=1, face=(30, 20))]
    found = FaceFinder(write_yunet(tmp_path / "yunet.onnx", faces)).largest(photo(width, height))
    assert found == Turned(Box((16 - 15) * scale, (32 - 10) * scale, 30 * scale, 20 * scale))


def test_a_photo_is_made_small_for_the_network_and_padded_to_whole_cells(tmp_path: Path) -> None:
    finder = FaceFinder(write_yunet(tmp_path / "yunet.onnx", []))
    for width, height, expected in ((100, 40, (64, 128)), (1280, 500, (256, 640)), (1, 3000, (640, 32))):
        canvas, scale = finder.canvas(np.full((height, width, 3), 200, np.uint8))
        assert canvas.shape == (*expected, 3)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        assert (canvas[:rows, :columns] == 200).all()
        assert not canvas[rows:].any()
        assert not canvas[:, columns:].any()
    assert finder.largest(photo(100, 40)) is None


def test_the_network_sees_blue_first_and_levels_as_they_are(tmp_path: Path) -> None:
    """The model is sure of a face where its first channel is above 200."""
    finder = FaceFinder(write_yunet(tmp_path / "yunet.onnx", "blue"))
    shot = np.zeros((64, 64, 3), np.uint8)
    shot[:, :, 0] = 255
    assert finder.largest(shot) is None
    shot[20:24, 28:32, 2] = 255
    assert finder.largest(shot) == Turned(
        Box(20, 12, 8, 8)
    )  # row 2, column 3 of 8 pixels a cell, centred on the cell's corner


@settings(deadline=None)
@given(
    face=st.builds(Box, st.integers(-50, 400), st.integers(-50, 400), st.integers(1, 300), st.integers(1, 300)),
    height=st.integers(1, 400),
    width=st.integers(1, 400),
)
def test_a_portrait_is_a_square_in_the_photo(face: Box, height: int, width: int) -> None:
    square, degrees = portrait(Turned(face), (height, width))
    assert degrees == 0
    assert square.width == square.height == min(height, width, math.ceil(MARGIN * max(face.width, face.height)))
    assert 0 <= square.left <= width - square.width
    assert 0 <= square.top <= height - square.height


def test_a_portrait_is_centred_on_the_face_where_there_is_room() -> None:
    assert portrait(Turned(Box(100, 120, 20, 30)), (300, 300)) == Turned(Box(80, 105, 60, 60))
    assert portrait(Turned(Box(0, 0, 20, 30)), (300, 300)) == Turned(Box(0, 0, 60, 60))


@settings(deadline=None)
@given(
    face=st.builds(Box, st.integers(-50, 400), st.integers(-50, 400), st.integers(1, 100), st.integers(1, 100)),
    degrees=st.floats(-180, 180),
)
def test_a_turned_portrait_is_in_the_photo_where_there_is_room(face: Box, degrees: float) -> None:
    square = portrait(Turned(face, degrees), (400, 500))
    assert square.degrees == degrees
    assert square.box.width == square.box.height == math.ceil(MARGIN * max(face.width, face.height))
    left, top, width, height = square.bounds()
    assert left >= -1
    assert top >= -1
    assert left + width <= 501
    assert top + height <= 401
    centred = abs(square.middle - Turned(face).middle) < 1
    inside = Turned(square.box._replace(left=0, top=0), degrees).bounds()
    room = inside.width < 2 * min(face.left, 500 - face.left - face.width) and inside.height < 2 * min(
        face.top, 400 - face.top - face.height
    )
    assert centred or not room


def test_what_is_no_yunet(tmp_path: Path, light_engine: Path) -> None:
    with pytest.raises(InputError, match=r"another network.*YuNet"):
        FaceFinder(light_engine)
    with pytest.raises(InputError, match="can't be loaded"):
        FaceFinder(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match="can't be loaded"):
        FaceFinder(tmp_path / "text.onnx")
