import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import random_pictures
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.choices import EIGHT_BITS, Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import EngineError
from ugatit_fast.export.verify import GATES, Difference, difference, sample_pictures, structural_similarity, verify
from ugatit_fast.model import GeneratorConfig


def reference_of(levels: np.ndarray) -> np.ndarray:
    return levels / 127.5 - 1


def test_identical_pictures() -> None:
    pictures = random_pictures(1, 8, 8)
    found = difference(pictures, reference_of(pictures))
    assert found.max_abs == pytest.approx(0, abs=1e-9)
    assert found.mean_abs == pytest.approx(0, abs=1e-9)
    assert found.psnr_db == math.inf
    assert found.passes("fp32")
    assert found.passes("fp16")


def test_rounding_is_not_a_difference() -> None:
    exact = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3))
    found = difference(np.rint((exact + 1) * 127.5).astype(np.uint8), exact)
    assert found.max_abs == 0
    assert 0.001 < found.mean_abs < 0.003


@given(st.floats(-4, 4), st.integers(10, 240))
def test_an_offset_is_measured(offset: float, level: int) -> None:
    """Half a level hides in the rounding; whatever is beyond is reported."""
    exact = np.full((1, 4, 4, 3), reference_of(np.array(level + offset)))
    found = difference(np.full((1, 4, 4, 3), level, np.uint8), exact)
    assert found.max_abs == pytest.approx(max(abs(offset) - 0.5, 0) / 127.5, abs=1e-9)


def test_shares_and_psnr_by_hand() -> None:
    levels = np.full((1, 10, 10, 3), 100, np.uint8)
    wrong = levels.copy()
    wrong[0, 0, 0] = [101, 102, 103]
    found = difference(wrong, reference_of(levels))
    assert found.share_off_by_more_than_1 == pytest.approx(2 / 300)
    assert found.share_off_by_more_than_2 == pytest.approx(1 / 300)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / (14 / 300)))
    assert not found.passes("fp32")


def test_structural_similarity() -> None:
    levels = random_pictures(1, 32, 32)
    assert structural_similarity(levels, levels) == pytest.approx(1)
    flat = np.full_like(levels, 128)
    assert structural_similarity(levels, flat) == pytest.approx(0, abs=0.05)
    # two flat pictures: only the means differ, so what is left is the luminance term
    expected = (2 * 128 * 100 + 6.5025) / (128**2 + 100**2 + 6.5025)
    assert structural_similarity(flat, np.full_like(levels, 100)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, {"fp32", "fp16", *EIGHT_BITS}),
        ({"max_abs": 1.1e-3}, {"fp16", *EIGHT_BITS}),
        ({"psnr_db": 44.9}, {"fp32", *EIGHT_BITS}),
        ({"share_off_by_more_than_2": 0.0011}, {"fp32", *EIGHT_BITS}),
        ({"psnr_db": 39.9}, {"fp32"}),
        ({"share_off_by_more_than_8": 0.0011}, {"fp32", "fp16"}),
    ],
)
def test_gates(changes: dict[str, float], passes: set[Precision]) -> None:
    good = Difference(1e-3, 1e-3, 0.0, 0.001, 0.001, 45.0, 0.99)
    found = replace(good, **changes)  # type: ignore[arg-type]
    assert {precision for precision in get_args(Precision) if found.passes(precision)} == passes
    assert set(GATES) == set(get_args(Precision))


def test_verify_an_engine(light_engine: Path, light_checkpoint: Path) -> None:
    found = verify(light_engine, light_checkpoint)
    assert found.passes("fp32")
    assert f"{found.psnr_db:.1f} dB" in found.describe()


def test_verify_refuses_another_checkpoint(light_engine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    write_random_checkpoint(other, GeneratorConfig(ch=8, n_res=2, light=True), seed=99)
    with pytest.raises(EngineError, match="another checkpoint"):
        verify(light_engine, other)


def test_sample_pictures_fill_the_engines_size(full_engine: Path) -> None:
    spec = read_spec(full_engine)
    pictures = sample_pictures(spec)
    assert pictures.shape == (3, spec.height, spec.width, 3)
    assert all(picture.std() > 20 for picture in pictures)
    photographs = sample_pictures(replace(spec, precision="int8"))
    np.testing.assert_array_equal(photographs, pictures[:2])
