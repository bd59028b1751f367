"""Pictures to features and .npz files: how they are resized, which are taken, and what files are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import random_pictures
from tests.train.conftest import rows_of
from ugatit_fast.errors import InputError
from ugatit_fast.train.evaluation.features import (
    FeatureSet,
    as_seen,
    common,
    pictures_of,
    read_features,
    save_features,
    tf1_bilinear,
)
from ugatit_fast.train.evaluation.inception import SIDE_PIXELS, WIDTH


def resized_by_loops(image: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """TensorFlow 1's definition, a value at a time: (c, h, w) -> (c, side, side)."""
    channels, height, width = image.shape
    result = np.zeros((channels, side, side))
    for i in range(side):
        for j in range(side):
            y, x = i * height / side, j * width / side
            top, left = int(y), int(x)
            down, right = min(top + 1, height - 1), min(left + 1, width - 1)
            for c in range(channels):
                above = image[c, top, left] * (1 - (x - left)) + image[c, top, right] * (x - left)
                below = image[c, down, left] * (1 - (x - left)) + image[c, down, right] * (x - left)
                result[c, i, j] = above * (1 - (y - top)) + below * (y - top)
    return result


@given(height=st.integers(1, 9), width=st.integers(1, 9), side=st.integers(1, 9))
def test_tf1_bilinear_is_its_definition(height: int, width: int, side: int) -> None:
    image = np.random.default_rng(height).random((2, height, width), dtype=np.float32) * 255
    found = tf1_bilinear(torch.from_numpy(image), side).numpy()
    np.testing.assert_allclose(found, resized_by_loops(image, side), atol=2e-3)  # 1 + 2 / 3 lies between two pixels


def test_tf1_bilinear_neither_shifts_nor_smooths() -> None:
    """Twice as large: every other value is a pixel, the first included. Half as large: every other pixel."""
    ramp = torch.arange(8.0).expand(3, 8, 8)
    np.testing.assert_array_equal(tf1_bilinear(ramp, 16)[0, 0], [*np.arange(0, 7.5, 0.5), 7])
    np.testing.assert_array_equal(tf1_bilinear(ramp, 4)[0, 0], [0, 2, 4, 6])
    torch.testing.assert_close(tf1_bilinear(ramp, 8), ramp, rtol=0, atol=0)


def test_both_resizes_and_their_ranges() -> None:
    picture = random_pictures(1, 40, 60)[0]
    picture[0, 0], picture[-1, -1] = 0, 255
    tf1, pil = as_seen(picture, "tf1-bilinear"), as_seen(picture, "pil-bilinear")
    assert tf1.shape == pil.shape == (3, SIDE_PIXELS, SIDE_PIXELS)
    assert tf1[:, 0, 0].tolist() == [-1] * 3
    assert tf1[:, -1, -1].tolist() == [127 / 128] * 3
    assert (pil[:, 0, 0].tolist(), pil[:, -1, -1].tolist()) == ([-1] * 3, [1] * 3)
    resized = Image.fromarray(picture).resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BILINEAR)
    np.testing.assert_allclose((pil.permute(1, 2, 0) + 1) * 127.5, np.asarray(resized), atol=1e-4)
    assert (tf1 - pil).abs().mean() > 0.01


def test_a_folder_of_ours_counts_translations_only(tmp_path: Path) -> None:
    """Its page keeps the photos in a folder below."""
    for name in ("a.png", "sub/b.jpg", "gallery/input/a.png", ".hidden/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert len(pictures_of(tmp_path)) == 3  # anyone's folder may be called gallery
    (tmp_path / "index.html").touch()
    assert {file.name for file in pictures_of(tmp_path)} == {"a.png", "b.jpg"}
    assert len(pictures_of(tmp_path)) == 2


@pytest.mark.parametrize(("name", "message"), [("empty", "holds no pictures"), ("missing", "no folder")])
def test_no_pictures(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        pictures_of(tmp_path / name)


def test_features_come_back_by_their_role(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    sets = {"translated": FeatureSet(rows_of(3), "r", "n"), "real": FeatureSet(rows_of(4, seed=1), "r", "n", skipped=2)}
    save_features(file, sets)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [file]
    for role, saved in sets.items():
        found = read_features(file, role)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.features, saved.features)
        assert (found.resize, found.network) == ("r", "n")
    with pytest.raises(InputError, match="holds translated, real; expected an array 'source'"):
        read_features(file, "source")


def test_anyones_single_array_will_do(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez_compressed(file, rows_of(3).astype(np.float64))
    found = read_features(file, "source")
    assert (found.resize, found.network, len(found), found.features.dtype) == ("unknown", "unknown", 3, np.float32)
    assert common([found, FeatureSet(rows_of(2), "r", "n")], "resize") == "unknown"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"f": np.zeros((3, 64))}, r"\(3, 64\) of float64; expected a row of 2048"),
        ({"f": np.zeros(WIDTH)}, r"\(2048,\)"),
        ({"f": np.full((3, WIDTH), "a")}, "of <U1"),
        ({"f": np.where(np.eye(3, WIDTH), np.nan, 0.0)}, "NaN or infinite features in 3 of 3 rows"),
        ({"f": np.where(np.arange(2)[:, None], np.inf, np.zeros((2, WIDTH)))}, "in 1 of 2 rows"),
        ({"mu": np.zeros(WIDTH), "sigma": np.zeros((WIDTH, WIDTH))}, "mu, sigma.*not their means and covariances"),
        ({}, "damaged"),
        ({"f": np.array([{}])}, "damaged"),
    ],
    ids=["width", "one row", "words", "NaN", "infinite", "statistics", "nothing", "objects"],
)  # fmt: skip
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        read_features(tmp_path / "x.npz", "real")


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    with pytest.raises(InputError, match="No such file"):
        read_features(file, "real")
    np.savez_compressed(file, rows_of(3))
    whole = file.read_bytes()
    with (tmp_path / "y.npz").open("wb") as target:
        np.save(target, rows_of(3))
    (tmp_path / "damaged.npz").write_bytes(whole[:3000] + b"damage" + whole[3006:])
    file.write_bytes(whole[:-100])
    for name in ("x.npz", "y.npz"):
        with pytest.raises(InputError, match=r"no \.npz file, or cut off"):
            read_features(tmp_path / name, "real")
    with pytest.raises(InputError, match="damaged"):
        read_features(tmp_path / "damaged.npz", "real")
