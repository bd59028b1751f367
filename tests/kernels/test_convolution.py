"""What our convolution means, and how it is split: properties, on the CPU."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ugatit_fast.kernels.adalin import AdalinCall, adalin_reference
from ugatit_fast.kernels.adalin_streamed import adalin_from_partials
from ugatit_fast.kernels.convolution import convolution, convolution_bias_relu, convolved
from ugatit_fast.kernels.convolution_layout import RowSplits, combined, split_statistics
from ugatit_fast.kernels.convolution_schedule import (
    LEAST,
    MAX_CONVOLUTION_SPLITS,
    SPLITS_AT_ONCE,
    ConvolutionTile,
    convolution_tile,
    convolution_tiles,
    tiles_of_split,
    usual_tile,
)
from ugatit_fast.kernels.schedule import Gpu, cdiv, power_of_two

H100 = Gpu((9, 0), 132, 228 * 1024)
A100 = Gpu((8, 0), 108, 164 * 1024)
RTX = Gpu((12, 0), 84, 100 * 1024)
TURING = Gpu((7, 5), 14, 64 * 1024)
TRUNK, UP = RowSplits(64, 64, 66, 1), RowSplits(128, 128, 130, 1, 4)

splits = st.builds(
    RowSplits,
    st.integers(1, 20),
    st.integers(1, 20),
    st.just(0),
    st.integers(LEAST, 70),
    st.sampled_from([1, 4]),
).flatmap(lambda one: st.builds(lambda border: replace(one, pitch=one.w + border), st.integers(0, 6)))


@given(splits)
def test_every_pixel_belongs_to_one_split_and_no_split_has_none(one: RowSplits) -> None:
    pixels = one.pixels(torch.float64, torch.device("cpu"))
    assert len(pixels) == one.count
    assert pixels.sum() == one.phases * one.h * one.w
    assert pixels.min() >= 1
    assert pixels.max() <= one.rows


@settings(deadline=None, max_examples=40)
@given(splits, st.integers(1, 2))
def test_splits_combine_to_the_whole(one: RowSplits, n: int) -> None:
    scale = 1 if one.phases == 1 else 2
    y = torch.randn(n, 3, scale * one.h, scale * one.w, dtype=torch.float64) + 5
    mean, variance = combined(split_statistics(y, one), one)
    torch.testing.assert_close(mean, y.mean(dim=(2, 3)))
    torch.testing.assert_close(variance, y.var(dim=(2, 3), unbiased=False))


@pytest.mark.parametrize("phases", [False, True])
@pytest.mark.parametrize("tiles", [1, 3])
def test_both_halves_are_a_convolution_and_adalin(phases: bool, tiles: int) -> None:
    """To the last digits of float64: rewrites, not approximations."""
    x = torch.randn(2, 6, 7 + phases, 8 + phases, dtype=torch.float64)
    kernel = 2 if phases else 3
    weight = torch.randn(20, 6, kernel, kernel, dtype=torch.float64)
    y = convolved(x, weight, phases)
    n, c, h, w = y.shape
    gamma, beta, rho, bias = (torch.rand(*shape, dtype=torch.float64) for shape in ((n, c), (1, c), (c,), (c,)))
    residual = torch.randn(n, c, h, w, dtype=torch.float64)
    begun = convolution(x, weight, bias, True, phases, 16, 4, tiles)
    norm = (gamma, beta, rho, bias, residual, True, 1, "reflect", True, 1e-5)
    ours = adalin_from_partials(*begun, x.shape[3], 16 * tiles, 4, phases, *norm)
    torch.testing.assert_close(ours, adalin_reference(AdalinCall(y, *norm)), rtol=1e-10, atol=1e-10)


def test_bias_and_relu_are_added_before_rounding() -> None:
    x, weight = torch.full((1, 1, 4, 4), 1.0).half(), torch.full((1, 1, 1, 1), 2048.0).half()
    y = convolution_bias_relu(x, weight, torch.tensor([1.5]), 0, "reflect", 16, 16)
    assert y.unique().tolist() == [2050.0], "2049.5 as float16; rounded twice, it would be 2048"


@pytest.mark.parametrize("gpu", [H100, A100, RTX], ids=str)
@pytest.mark.parametrize(("inputs", "c"), [(256, 256), (128, 64), (64, 24), (20, 5), (16, 16)])
def test_tiles_fit_the_layer(inputs: int, c: int, gpu: Gpu) -> None:
    tiles = convolution_tiles(inputs, c, gpu)
    assert tiles
    for tile in tiles:
        assert all(power_of_two(side) == side >= LEAST for side in (tile.rows, tile.channels, tile.inputs))
        assert tile.channels < 2 * max(LEAST, c)
        assert tile.inputs < 2 * max(LEAST, inputs)
        assert convolution_tile(tile.rows, tile.channels, inputs, c, gpu) == tile


def test_before_ampere_there_is_none() -> None:
    assert convolution_tiles(256, 256, TURING) == ()
    with pytest.raises(ValueError, match="no tile 128x64 for 256 to 256 channels, only none"):
        convolution_tile(128, 64, 256, 256, TURING)


def test_a_tile_that_is_not_in_the_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="only 128x64, 128x128, 128x256"):
        convolution_tile(64, 64, 256, 256, H100)


@given(
    st.integers(1, 64), st.sampled_from([8, 64, 256]), st.integers(1, 600), st.integers(1, 600),
    st.sampled_from([1, 4]), st.sampled_from([H100, A100, RTX]),
)  # fmt: skip
def test_no_image_has_more_splits_than_may_be(n: int, c: int, h: int, w: int, phases: int, gpu: Gpu) -> None:
    for tile in convolution_tiles(64, c, gpu):
        one = RowSplits(h, w, w + 2, 1, phases)
        tiles = tiles_of_split(tile, n, c, one, gpu)
        count = replace(one, rows=tile.rows * tiles).count
        assert count <= MAX_CONVOLUTION_SPLITS
        assert count <= SPLITS_AT_ONCE or n * (count - phases) * cdiv(c, tile.channels) < 4 * gpu.multiprocessors


def test_the_networks_layers_fill_an_h100() -> None:
    """Tile and programs of the trunk, and of the last up-sampling, for one picture and for 32."""

    def usual(n: int, inputs: int, c: int, one: RowSplits) -> tuple[ConvolutionTile, int, int]:
        tile = usual_tile(convolution_tiles(inputs, c, H100), n, c, one, H100)
        tiles = tiles_of_split(tile, n, c, one, H100)
        return tile, tiles, n * replace(one, rows=tile.rows * tiles).count * cdiv(c, tile.channels)

    small, large = convolution_tiles(256, 256, H100)[0], convolution_tiles(256, 256, H100)[-1]
    assert usual(1, 256, 256, TRUNK) == (small, 1, 132)
    assert usual(32, 256, 256, TRUNK) == (large, 1, 8 * 132)
    assert usual(1, 128, 64, UP)[1:] == (2, 260)
    assert usual(32, 128, 64, UP)[1:] == (9, 1920)
