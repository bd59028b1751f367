import numpy as np
import numpy.typing as npt
import pytest

from ugatit_fast.media import tiles
from ugatit_fast.media.tiles import Pass, heatmap_colours, heatmap_overlay, stack_tiles


def test_jet_goes_from_blue_to_red() -> None:
    map_ = tiles.JET.astype(int)
    assert map_[0].tolist() == [0, 0, 128]
    assert map_[255].tolist() == [128, 0, 0]
    np.testing.assert_allclose(
        map_[[32, 96, 160, 223]], [(0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 0)], atol=3
    )
    assert np.abs(np.diff(map_, axis=0)).max() <= 5


def test_heatmap_is_half_jet_half_photo() -> None:
    image = np.full((4, 8, 3), 100, np.uint8)
    heat = np.repeat(np.array([[-3.0, 5.0]], np.float32), 4, axis=1).repeat(4, axis=0)
    overlay = heatmap_overlay(image, heat)
    assert overlay.shape == image.shape
    assert overlay[0, 0].tolist() == [50, 50, 114]
    assert overlay[0, -1].tolist() == [114, 50, 50]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "heat",
    [np.zeros((2, 2)), np.full((2, 2), -7.0), np.full((1, 1), 3e38), np.array([[np.nan, np.inf], [0, 0]])],
)
def test_heatmap_without_contrast_is_blue(heat: npt.NDArray[np.float64]) -> None:
    overlay = heatmap_overlay(np.zeros((6, 5, 3), np.uint8), heat.astype(np.float32))
    assert (overlay == (0, 0, 64)).all()


@pytest.mark.filterwarnings("error")
def test_heatmap_spans_the_whole_float_range() -> None:
    overlay = heatmap_overlay(np.zeros((2, 2, 3), np.uint8), np.array([[-3e38, 3e38]], np.float32))
    assert overlay[0, 0, 2] > overlay[0, 0, 0]
    assert overlay[0, 1, 0] > overlay[0, 1, 2]


def test_the_seven_tiles_are_in_the_published_order() -> None:
    """Input, identity, translation, cycle from top to bottom, each result below its heat map."""
    photo, *made = (np.full((8, 6, 3), level, np.uint8) for level in (10, 20, 30, 40))
    heat = [np.arange(4, dtype=np.float32).reshape(2, 2), np.eye(2, dtype=np.float32), 1 - np.eye(2, dtype=np.float32)]
    stacked = stack_tiles(photo, *(Pass(*each) for each in zip(made, heat, strict=True)))
    assert stacked.shape == (7 * 8, 6, 3)
    pictures, maps = np.split(stacked, 7)[::2], np.split(stacked, 7)[1::2]
    assert [int(picture.max()) for picture in pictures] == [10, 20, 30, 40]
    for shown, values in zip(maps, heat, strict=True):
        np.testing.assert_array_equal(shown, heatmap_colours(values, (8, 6)))
    assert (stacked[4 * 8 : 5 * 8] == 30).all()


def test_heat_maps_on_tiles_are_colours_alone() -> None:
    colours = heatmap_colours(np.array([[0.0, 1.0]], np.float32), (3, 4))
    assert colours.shape == (3, 4, 3)
    assert colours[0, 0].tolist() == tiles.JET[0].tolist()
    assert colours[0, -1].tolist() == tiles.JET[255].tolist()
