"""CenterFace: its arithmetic and the opening of its file by what is made here, its judgement where it is installed."""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.ort import import_onnxruntime
from ugatit_fast.choices import Box
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.media.turning import Turned
from ugatit_fast.translate.centerface import (
    HEAT,
    OFFSET,
    PACKAGE,
    POINTS,
    SCALE,
    SCORE,
    STRIDE,
    Centerface,
    any_shape,
    packaged_model,
)
from ugatit_fast.translate.faces import FaceFinder, wrapped
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions

installed = pytest.mark.skipif(packaged_model() is None, reason="needs the extra face")
ASTRONAUT = Box(82, 59, 89, 119)
"""Her face in the sample photo, looked at."""


def test_decoding_is_the_direct_statement() -> None:
    rows, columns = 6, 9
    random = np.random.default_rng(0)
    heat = random.uniform(0, 1, (1, 1, rows, columns)).astype(np.float32)
    scale, offset = (random.normal(size=(1, 2, rows, columns)).astype(np.float32) for _ in range(2))
    relative = random.uniform(0, 1, (1, 10, rows, columns)).astype(np.float32)
    expected = []
    for row in range(rows):
        for column in range(columns):
            if heat[0, 0, row, column] < SCORE:
                continue
            high, wide = (math.exp(length) * STRIDE for length in scale[0, :, row, column])
            y, x = offset[0, :, row, column]
            centre_x, centre_y = (column + x + 0.5) * STRIDE, (row + y + 0.5) * STRIDE
            left, top = centre_x - wide / 2, centre_y - high / 2
            points = [
                (
                    left + relative[0, 2 * point + 1, row, column] * wide,
                    top + relative[0, 2 * point, row, column] * high,
                )
                for point in range(5)
            ]
            expected.append((left, top, wide, high, heat[0, 0, row, column], *np.ravel(points)))
    outputs = {HEAT: heat, SCALE: scale, OFFSET: offset, POINTS: relative}
    boxes, scores, points = Centerface().candidates(outputs, (24, 36))
    assert len(expected) > 10
    found = np.column_stack([boxes, scores, points.reshape(-1, 10)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


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


def hopper() -> Pixels:
    return load_image(next(path for path in sample_photos() if path.stem == "grace_hopper"))


def assert_close(found: Turned | None, expected: Box, pixels: float) -> None:
    assert found is not None
    np.testing.assert_allclose(found.box, expected, atol=pixels)


@installed
def test_the_faces_of_the_sample_photos() -> None:
    finder = FaceFinder()
    assert_close(finder.largest(astronaut()), ASTRONAUT, 4)
    assert_close(finder.largest(hopper()), Box(104, 98, 187, 215), 6)
    assert PACKAGE not in sys.modules


@installed
@pytest.mark.parametrize("degrees", [*range(-180, 180, 30), 20, -15, 8])
def test_a_turned_face_is_found_as_it_is_turned(degrees: float) -> None:
    """In both sample portraits, whose own tilts are the astronaut's 2 and the officer's -5 degrees."""
    finder = FaceFinder()
    for photo, tilted in ((astronaut(), 1.6), (hopper(), -5.0)):
        upright = finder.largest(photo)
        turned = Image.fromarray(photo).rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="gray")
        found = finder.largest(np.asarray(turned))
        assert found is not None
        assert upright is not None
        assert abs(wrapped(found.degrees - degrees - tilted)) < 6
        out = complex(turned.width, turned.height) / 2
        middle = Turned(Box(0, 0, photo.shape[1], photo.shape[0]), degrees)
        expected = middle.in_photo(upright.middle) - middle.middle + out
        assert abs(found.middle - expected) < 0.1 * upright.box.height
        np.testing.assert_allclose(found.box[2:], upright.box[2:], rtol=0.15)


@installed
def test_a_face_that_is_nearly_upright_is_left_as_it_is() -> None:
    for photo in (astronaut(), hopper()):
        found = FaceFinder().largest(photo)
        assert found is not None
        assert found.degrees == 0


@installed
@pytest.mark.parametrize("degrees", [30, -75, 160])
def test_a_turned_face_goes_into_the_network_upright_and_back_as_it_lay(degrees: float) -> None:
    """In what the engine sees, the detector finds the face upright and in the middle."""
    photo = np.asarray(Image.fromarray(astronaut()).resize((512, 512), Image.Resampling.BICUBIC))
    turned = np.asarray(
        Image.fromarray(photo).rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="gray")
    )
    framing = Framing(TranslateOptions(crop="face", paste_back=True), (128, 128))
    framed = framing.frame(turned, "b.png")
    seen = FaceFinder().largest(framed.pixels)
    assert seen is not None
    assert seen.degrees == 0
    assert abs(seen.middle - (64 + 64j)) < 6
    same = framing.paste(turned, framed.pixels, framed)
    assert np.abs(same.astype(int) - turned).mean() < 2
    white = framing.paste(turned, np.full_like(framed.pixels, 255), framed)
    x, y = round(framed.part.middle.real), round(framed.part.middle.imag)
    assert (white[y - 40 : y + 40, x - 40 : x + 40] == 255).all()


@installed
def test_a_face_that_fills_the_photo() -> None:
    finder, photo = FaceFinder(), astronaut()
    left, top, width, height = ASTRONAUT
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
