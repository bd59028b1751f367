from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("skimage", reason='the example data set needs pip install ".[example-data]"')
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from ugatit_fast.cli import main
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.media.images import load_image
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.train.data_check import check_data
from ugatit_fast.train.example import example_data
from ugatit_fast.train.example.cartoon import INK, cartoon, ink_lines
from ugatit_fast.train.example.example_data import (
    HELD_OUT,
    PHOTOS_A,
    PHOTOS_B,
    balanced,
    build_example_data,
    cropped,
    located,
    recoloured,
)
from ugatit_fast.train.example.rendered import landscape, portrait, rendered


def test_a_data_set_that_training_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "example", str(tmp_path / "data"), "--count", "10"]) == 0
    assert "trainA   10 pictures\ntrainB   10 pictures\ntestA    1 pictures" in capsys.readouterr().out
    report = check_data(tmp_path / "data", img_size=128)
    assert report.usable
    assert report.counts == {"trainA": 10, "trainB": 10, "testA": 1, "testB": 1}


def test_the_same_seed_gives_the_same_pictures(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        build_example_data(tmp_path / name, count=2, seed=seed)
    for picture in sorted((tmp_path / "one").rglob("*.png")):
        relative = picture.relative_to(tmp_path / "one")
        assert picture.read_bytes() == (tmp_path / "again" / relative).read_bytes()
        assert picture.read_bytes() != (tmp_path / "other" / relative).read_bytes()


def test_the_domains_share_no_photo_and_the_held_out_one_is_in_neither() -> None:
    assert len({*PHOTOS_A, *PHOTOS_B, HELD_OUT}) == len(PHOTOS_A) + len(PHOTOS_B) + 1
    for photo in (*PHOTOS_A, *PHOTOS_B, HELD_OUT):
        assert load_image(located(photo)).shape[2] == 3


def test_progress_is_told_picture_by_picture(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    counts = build_example_data(tmp_path / "data", count=2, on_progress=lambda *step: told.append(step))
    assert told == [(name, i + 1, count) for name, count in counts.items() for i in range(count)]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="name a new folder"):
        build_example_data(tmp_path, count=1)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_data.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"matplotlib.*\[example-data\]"):
        build_example_data(tmp_path / "new", count=1)


@pytest.mark.parametrize("painter", [landscape, portrait, lambda shape, random: rendered(shape[0], random) / 255])
def test_renderings_are_pictures_with_texture(painter: Callable[..., np.ndarray]) -> None:
    for seed in range(5):
        picture = painter((96, 96), np.random.default_rng(seed))
        assert picture.shape == (96, 96, 3)
        assert np.isfinite(picture).all()
        assert picture.std() > 0.05


@pytest.mark.parametrize("seed", range(20))
def test_crops_are_whole_whatever_is_drawn(seed: int) -> None:
    photo = np.full((300, 451, 3), 200, np.uint8)
    crop = recoloured(cropped(photo, np.random.default_rng(seed)), np.random.default_rng(seed))
    assert crop.shape == (160, 160, 3)


def test_balanced_pictures_have_the_same_mean_and_contrast_in_every_channel() -> None:
    picture = np.random.default_rng(0).integers(30, 220, (64, 64, 3)).astype(np.uint8)
    tinted = np.rint(picture * (0.9, 0.7, 1.1) + (5, 20, 0)).astype(np.uint8)
    for one in (balanced(picture), balanced(tinted)):
        assert one.mean(axis=(0, 1)) == pytest.approx([127.5] * 3, abs=1)
        assert one.std(axis=(0, 1)) == pytest.approx([64] * 3, abs=1)
    assert abs(balanced(tinted).astype(int) - balanced(picture)).max() <= 3  # what rounding the tinted one cost
    assert (balanced(np.full((8, 8, 3), 30, np.uint8)) == 128).all()
    faint = np.random.default_rng(0).integers(100, 104, (64, 64, 3)).astype(np.uint8)
    assert balanced(faint).std() == pytest.approx(3 * faint.std(), rel=0.05)  # noise stays noise


def test_a_generator_cannot_tell_brightness_and_contrast() -> None:
    """Why pictures are balanced: its instance normalisations take them off."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(ch=4, n_res=1, img_size=32, light=True)).eval()
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        bright, dim = (generator(x)[0] for x in (picture, 0.4 * picture - 0.3))
    torch.testing.assert_close(dim, bright, rtol=0, atol=1e-3)


def test_a_cartoon_has_few_colours_and_dark_lines() -> None:
    photo = np.asarray(Image.fromarray(load_image(located(HELD_OUT))).resize((160, 160)))
    drawn = cartoon(photo)
    assert drawn.shape == photo.shape
    colours = len(np.unique(drawn.reshape(-1, 3), axis=0))
    assert colours < len(np.unique(photo.reshape(-1, 3), axis=0)) / 5
    assert (abs(drawn - INK).max(-1) < 12).mean() > 0.01


def test_ink_is_on_the_dark_side_of_an_edge_and_nowhere_else() -> None:
    lightness = np.where(np.arange(40) < 20, 0.2, 0.8)[None].repeat(40, axis=0)
    ink = ink_lines(lightness)
    assert ink[:, 17:20].max() > 0.9
    assert ink[:, 20:].max() == 0
    assert ink[:, :12].max() == 0
    assert ink_lines(np.full((16, 16), 0.5)).max() == 0
