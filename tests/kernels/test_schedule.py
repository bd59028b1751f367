"""The plans: every pixel is somebody's, everything fits, and the network's shapes get what the table means for them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.kernels.schedule import (
    MAX_BACKWARD_SPLITS,
    MAX_RESIDENT_IMAGES,
    MAX_RESIDENT_PAIRS,
    MAX_SPLITS,
    NORM_TILES,
    Gpu,
    ProductTile,
    Tile,
    backward_plan,
    cdiv,
    norm_plan,
    power_of_two,
    resident_programs,
    style_plan,
    two_stage_plan,
)

H200 = Gpu((9, 0), 132, 228 * 1024)
A100 = Gpu((8, 0), 108, 164 * 1024)
LAPTOP = Gpu((7, 5), 14, 64 * 1024)

sizes = st.integers(1, 300)
gpus = st.sampled_from([H200, A100, LAPTOP])
dtypes = st.sampled_from(list(NORM_TILES))


@given(st.integers(1, 2000), st.integers(1, 600), sizes, sizes, dtypes, st.integers(0, 3), gpus)
def test_plans_cover_every_pixel_once(n: int, c: int, h: int, w: int, dtype: torch.dtype, pad: int, gpu: Gpu) -> None:
    plan = norm_plan(n, c, h, w, dtype, pad, "reflect", gpu)
    assert (plan.splits - 1) * plan.split_pixels < h * w <= plan.splits * plan.split_pixels
    assert plan.split_pixels % plan.statistics.rows == 0
    if plan.apply is None:
        assert plan.split_pixels == plan.statistics.rows
        tiles = plan.splits * cdiv(c, plan.statistics.channels)
        assert plan.splits % plan.tiles == 0
        assert tiles // plan.tiles <= resident_programs(plan.statistics, gpu) // 2
        assert tiles <= MAX_RESIDENT_PAIRS
        assert n <= MAX_RESIDENT_IMAGES
    else:
        assert plan.splits <= MAX_SPLITS
        assert plan.apply_pixels % plan.apply.rows == 0
    backward = backward_plan(n, c, h, w, dtype, gpu)
    assert (backward.splits - 1) * backward.split_pixels < h * w <= backward.splits * backward.split_pixels
    assert backward.splits <= MAX_BACKWARD_SPLITS
    assert backward.split_pixels % backward.tile.rows == 0
    assert backward.tile_pixels % backward.tile.rows == 0


@pytest.mark.parametrize(
    ("gpu", "shape", "tiles"),
    [
        (H200, (256, 64, 64), 1),
        (H200, (128, 128, 128), 1),
        (H200, (64, 256, 256), 2),
        (A100, (256, 64, 64), 1),
        (A100, (128, 128, 128), 2),
        (A100, (64, 256, 256), 4),
    ],
)
def test_two_images_have_room_at_once(gpu: Gpu, shape: tuple[int, int, int], tiles: int) -> None:
    plan = norm_plan(1, *shape, torch.float16, 1, "reflect", gpu)
    assert plan.resident
    assert plan.tiles == tiles


def test_an_image_too_large_for_the_gpu_is_two_stage() -> None:
    assert not norm_plan(1, 256, 64, 64, torch.float16, 1, "reflect", LAPTOP).resident
    assert not norm_plan(1, 64, 512, 512, torch.float16, 1, "reflect", H200).resident


@given(st.integers(1, 40), st.sampled_from([64, 128, 256]), st.sampled_from([64, 128, 256]), gpus)
def test_streaming_programs_run_in_one_wave(n: int, c: int, side: int, gpu: Gpu) -> None:
    plan = two_stage_plan(n, c, side, side, torch.float16, 1, gpu)
    programs = n * plan.splits * cdiv(c, plan.statistics.channels)
    wanted = NORM_TILES[torch.float16].programs * gpu.multiprocessors
    assert programs <= max(wanted, n * cdiv(c, plan.statistics.channels))
    backward = backward_plan(n, c, side, side, torch.float16, gpu)
    channel_tiles = cdiv(c, backward.tile.channels)
    at_once = resident_programs(backward.tile, gpu)
    assert n * backward.splits * channel_tiles <= max(at_once, n * channel_tiles)
    assert n * cdiv(side * side, backward.tile_pixels) * channel_tiles <= max(at_once, n * channel_tiles)


def test_wide_replicated_borders_and_huge_batches_are_two_stage() -> None:
    assert not norm_plan(1, 16, 8, 8, torch.float16, 2, "replicate", H200).resident
    assert not norm_plan(MAX_RESIDENT_IMAGES + 1, 16, 8, 8, torch.float16, 0, "reflect", H200).resident


def test_the_first_linear_layer_fills_the_gpu_once() -> None:
    x = torch.empty(1, 256, 64, 64, dtype=torch.float16, device="meta")
    plan = style_plan(x, torch.empty(256, 256 * 64 * 64, dtype=torch.float16, device="meta"), H200)
    assert isinstance(plan.tile, ProductTile)
    programs = plan.splits * 256 // plan.tile.rows
    assert 0.95 * 3 * 132 <= programs <= 3 * 132  # three programs of 60 KiB a multiprocessor
    assert (plan.splits - 1) * plan.split_size < 256 * 64 * 64 <= plan.splits * plan.split_size


def test_the_light_style_pools() -> None:
    x = torch.empty(1, 256, 64, 64, dtype=torch.float16, device="meta")
    assert isinstance(style_plan(x, torch.empty(256, 256, device="meta"), H200).tile, Tile)


@given(st.integers(1, 2**31))
def test_power_of_two(a: int) -> None:
    assert power_of_two(a) // 2 < a <= power_of_two(a)
    assert power_of_two(a).bit_count() == 1
