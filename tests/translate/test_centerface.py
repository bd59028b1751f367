"""CenterFace: its arithmetic and the opening of its file by what is made here, its judgement where it is installed."""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from ugatit_fast.backends.ort import import_onnxruntime
from ugatit_fast.choices import Box
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.samples import sample_photos
from ugatit_fast.translate.centerface import (
    HEAT,
    OFFSET,
    PACKAGE,
    SCALE,
    SCORE,
    STRIDE,
    Centerface,
    any_shape,
    packaged_model,
)
from ugatit_fast.translate.faces import FaceFinder
from ugatit_fast.translate.options import TranslateOptions

installed = pytest.mark.skipif(packaged_model() is None, reason="needs the extra face")
ASTRONAUT = Box(82, 59, 89, 119)
"""Her face in the sample photo, looked at."""


def test_decoding_is_the_direct_statement() -> None:
    rows, columns = 6, 9
    random = np.random.default_rng(0)
    heat = random.uniform(0, 1, (1, 1, rows, columns)).astype(np.float32)
    scale, offset = (random.normal(size=(1, 2, rows, columns)).astype(np.float32) for _ in range(2))
    expected = []
    for row in range(rows):
        for column in range(columns):
            if heat[0, 0, row, column] < SCORE:
                continue
            high, wide = (math.exp(length) * STRIDE for length in scale[0, :, row, column])
            y, x = offset[0, :, row, column]
            centre_x, centre_y = (column + x + 0.5) * STRIDE, (row + y + 0.5) * STRIDE
            expected.append((centre_x - wide / 2, centre_y - high / 2, wide, high, heat[0, 0, row, column]))
    boxes, scores = Centerface().candidates({HEAT: heat, SCALE: scale, OFFSET: offset}, (24, 36))
    assert len(expected) > 10
    np.testing.assert_allclose(np.column_stack([boxes, scores]), expected, rtol=1e-4, atol=1e-4)


def test_a_model_of_one_shape_takes_any() -> None:
    """Only what is named is opened: the weight is an input too, as old exporters wrote them."""
    values = [("picture", [10, 3, 32, 32]), ("weight", [1, 3, 1, 1]), ("sums", [10, 1, 32, 32])]
    picture, weight, sums = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values)
    ones = helper.make_tensor("weight", TensorProto.FLOAT, [1, 3, 1, 1], [1.0, 1.0, 1.0])
    node = helper.make_node("Conv", ["picture", "weight"], ["sums"])
    graph = helper.make_graph([node], "sums", [picture, weight], [sums], [ones])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    opened = any_shape(model, ["picture", "sums"])
    assert len(opened) == len(model)
    read = onnx.load_from_string(opened).graph
    assert [dim.HasField("dim_value") for dim in read.input[0].type.tensor_type.shape.dim] == [False] * 4
    assert read.input[1] == weight
    session = import_onnxruntime().InferenceSession(opened, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 5, 7), np.float32)
    np.testing.assert_allclose(session.run(["sums"], {"picture": image})[0][0, 0], image[0].sum(axis=0), rtol=1e-5)


def astronaut() -> Pixels:
    return load_image(next(path for path in sample_photos() if path.stem == "astronaut"))


def assert_close(found: Box | None, expected: Box, pixels: float) -> None:
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=pixels)


@installed
def test_the_faces_of_the_sample_photos() -> None:
    finder = FaceFinder()
    hopper = load_image(next(path for path in sample_photos() if path.stem == "grace_hopper"))
    assert_close(finder.largest(astronaut()), ASTRONAUT, 4)
    assert_close(finder.largest(hopper), Box(104, 98, 187, 215), 6)
    assert PACKAGE not in sys.modules


@installed
def test_a_face_on_its_side_and_one_that_fills_the_photo() -> None:
    finder, photo = FaceFinder(), astronaut()
    left, top, width, height = ASTRONAUT
    on_its_side = Box(top, photo.shape[1] - left - width, height, width)
    assert_close(finder.largest(np.ascontiguousarray(np.rot90(photo))), on_its_side, 14)
    close = Image.fromarray(photo).crop((70, 40, 190, 200)).resize((1500, 2000))
    place = Box(round((left - 70) * 12.5), round((top - 40) * 12.5), round(width * 12.5), round(height * 12.5))
    assert_close(finder.largest(np.asarray(close)), place, 140)


@installed
def test_the_larger_of_two_small_faces() -> None:
    photo = np.full((1000, 1600, 3), 110, np.uint8)
    for side, left, top in ((100, 100, 300), (160, 800, 500)):
        photo[top : top + side, left : left + side] = Image.fromarray(astronaut()).resize((side, side))
    place = Box(*(round(length * 160 / 256) for length in ASTRONAUT))
    assert_close(FaceFinder().largest(photo), place._replace(left=800 + place.left, top=500 + place.top), 8)


@installed
@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"])
def test_what_has_no_face(name: str) -> None:
    data = pytest.importorskip("skimage.data")
    assert FaceFinder().largest(load_image(Path(data.__file__).parent / name)) is None


@installed
def test_faces_are_found_without_being_told_how() -> None:
    assert TranslateOptions(crop="face").face_model is None
