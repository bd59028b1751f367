from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason='the example data set needs pip install ".[example-data]"')
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from ugatit_fast.cli import main
from ugatit_fast.errors import InputError
from ugatit_fast.train.data_check import check_data
from ugatit_fast.train.example import example_data
from ugatit_fast.train.example.example_data import SMALLEST_DEVIATION, build_example_data, cropped
from ugatit_fast.train.example.photographs import Photographs, installed_photographs


@pytest.fixture
def few_photographs(monkeypatch: pytest.MonkeyPatch) -> Photographs:
    """Two photographs in each part: the set is made in a second, whatever is installed."""
    every = installed_photographs()
    few = Photographs(every.a[:2], every.b[:2], every.held_out[:2])
    monkeypatch.setattr(example_data, "installed_photographs", lambda: few)
    return few


@pytest.mark.usefixtures("few_photographs")
def test_a_data_set_that_training_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "example", str(tmp_path / "data"), "--count", "20"]) == 0
    assert "trainA   20 pictures\ntrainB   20 pictures\ntestA    1 pictures" in capsys.readouterr().out
    report = check_data(tmp_path / "data", img_size=128)
    assert report.sound
    assert report.counts == {"trainA": 20, "trainB": 20, "testA": 1, "testB": 1}


@pytest.mark.usefixtures("few_photographs")
def test_missing_debian_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "ugatit_fast.train.example.photographs.missing_debian_packages", lambda: ["mate-backgrounds", "ukui-wallpapers"]
    )
    assert main(["data", "example", str(tmp_path / "data"), "--count", "1"]) == 0
    assert "apt-get install mate-backgrounds ukui-wallpapers" in capsys.readouterr().err


@pytest.mark.usefixtures("few_photographs")
def test_the_same_seed_gives_the_same_pictures(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        build_example_data(tmp_path / name, count=5, seed=seed)
    for picture in sorted((tmp_path / "one").rglob("*.png")):
        relative = picture.relative_to(tmp_path / "one")
        assert picture.read_bytes() == (tmp_path / "again" / relative).read_bytes()
        assert picture.read_bytes() != (tmp_path / "other" / relative).read_bytes()


def test_every_photograph_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_photographs: Photographs
) -> None:
    """Also where the portraits' turn comes round as often as a photograph's."""
    five = [Path(f"{i}.png") for i in range(5)]
    monkeypatch.setattr(example_data, "installed_photographs", lambda: Photographs(five, five, five))
    monkeypatch.setattr(example_data, "load_reduced", lambda file: np.full((8, 8, 3), int(file.stem), np.uint8))
    used = set()

    def remember(photo: np.ndarray, _: np.random.Generator) -> np.ndarray:
        used.add(int(photo[0, 0, 0]))
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(example_data, "cropped", remember)
    build_example_data(tmp_path / "data", count=7)
    assert used == set(range(5))


def test_progress_is_told_picture_by_picture(tmp_path: Path, few_photographs: Photographs) -> None:
    told: list[tuple[str, int, int]] = []
    counts = build_example_data(tmp_path / "data", count=2, on_progress=lambda *step: told.append(step))
    photos = len([*few_photographs.a, *few_photographs.b, *few_photographs.held_out])
    expected = {"photos": photos, **counts}
    assert told == [(name, i + 1, count) for name, count in expected.items() for i in range(count)]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="name a new folder"):
        build_example_data(tmp_path, count=1)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("shape", [(300, 451, 3), (900, 1600, 3), (1600, 900, 3)])
def test_crops_are_whole_and_show_something(shape: tuple[int, int, int]) -> None:
    """A photograph two thirds of which are sky."""
    photo = np.full(shape, 200, np.uint8)
    land = photo[:, -shape[1] // 3 :]
    land[:] = np.random.default_rng(0).integers(0, 256, land.shape)
    crops = [cropped(photo, np.random.default_rng(seed)) for seed in range(20)]
    assert {crop.shape for crop in crops} == {(158, 158, 3)}
    assert sum(crop.std() >= SMALLEST_DEVIATION for crop in crops) >= 19
