"""The one walker, in trees with links of every kind."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel
from tests.tensor_bundle.bundle_writer import write_bundle
from ugatit_fast.errors import InputError
from ugatit_fast.media.folders import matches, photos_below
from ugatit_fast.tensor_bundle.locate import find_prefix
from ugatit_fast.train.data import image_files
from ugatit_fast.train.data_check import check_data
from ugatit_fast.train.evaluation.features import pictures_of
from ugatit_fast.translate.sources import find_images
from ugatit_fast.translate.watch import Watcher

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def pattern(folder: Path) -> list[str]:
    return [str(source.path.relative_to(folder)) for source in find_images([f"{folder}/**/*.png"])]


Walk = Callable[[Path], list[str]]


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    return path


def watched(folder: Path) -> list[str]:
    watcher = Watcher([folder])
    watcher.look()
    return [str(source.path.relative_to(folder)) for source in watcher.look()]


WALKERS: dict[str, Walk] = {
    "photos_below": lambda folder: [str(path.relative_to(folder)) for path in photos_below(folder)],
    "translate a folder": lambda folder: [str(source.path.relative_to(folder)) for source in find_images([folder])],
    "translate a pattern": pattern,
    "watch": watched,
    "train": lambda folder: [str(path.relative_to(folder)) for path in image_files(folder)],
    "evaluate": lambda folder: [str(path.relative_to(folder)) for path in pictures_of(folder)],
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    photo(tmp_path / "elsewhere" / "far.png")
    photo(tmp_path / "elsewhere" / "deep" / "down.png")
    return tmp_path / "elsewhere"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photo(tmp_path / "photos" / "near.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("walk", WALKERS)
def test_links_to_folders_and_files_are_followed(folder: Path, elsewhere: Path, walk: str) -> None:
    (folder / "a").symlink_to(elsewhere, target_is_directory=True)
    (folder / "sub").mkdir()
    (folder / "sub" / "b").symlink_to(os.path.relpath(elsewhere / "deep", folder / "sub"), target_is_directory=True)
    (folder / "one.png").symlink_to(elsewhere / "far.png")
    (folder / ".hidden").symlink_to(elsewhere, target_is_directory=True)
    expected = ["a/deep/down.png", "a/far.png", "near.png", "one.png", "sub/b/down.png"]
    assert sorted(WALKERS[walk](folder)) == expected


LOOPS: dict[str, Callable[[Path, Path], object]] = {
    "to itself": lambda folder, _: (folder / "again").symlink_to(folder, target_is_directory=True),
    "to its parent": lambda folder, _: (folder / "up").symlink_to("..", target_is_directory=True),
    "to the root of all": lambda folder, _: [
        (folder / name).symlink_to(folder, target_is_directory=True) for name in ("a", "b", "c", "d")
    ],
    "two that lead to each other": lambda folder, elsewhere: [
        (folder / "there").symlink_to(elsewhere, target_is_directory=True),
        (elsewhere / "back").symlink_to(folder, target_is_directory=True),
    ],
    "to nowhere": lambda folder, _: (folder / "gone").symlink_to(folder / "nothing", target_is_directory=True),
    "to nothing but itself": lambda folder, _: (folder / "me").symlink_to(folder / "me"),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("walk", WALKERS)
def test_loops_do_no_harm(folder: Path, elsewhere: Path, walk: str, loop: str) -> None:
    LOOPS[loop](folder, elsewhere)
    found = WALKERS[walk](folder)
    assert "near.png" in found
    assert len(found) == len(set(found)) <= 4
    assert ("there/far.png" in found) is (loop == "two that lead to each other")


def test_a_folder_reached_by_two_names_has_its_photos_under_both(folder: Path, elsewhere: Path) -> None:
    for name in ("a", "b"):
        (folder / name).symlink_to(elsewhere, target_is_directory=True)
    found = WALKERS["photos_below"](folder)
    assert found == ["a/deep/down.png", "a/far.png", "b/deep/down.png", "b/far.png", "near.png"]


def test_a_data_set_of_links(tmp_path: Path, elsewhere: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("trainA", "trainB", "testA", "testB"):
        (data / name).symlink_to(elsewhere, target_is_directory=True)
    assert check_data(data, 96).counts == dict.fromkeys(("trainA", "trainB", "testA", "testB"), 2)


def test_a_tensorflow_run_beside_a_loop(tmp_path: Path) -> None:
    run = tmp_path / "archive" / "run"
    run.mkdir(parents=True)
    prefix = write_bundle(run / "UGATIT.model-3", RandomVariables(TensorFlowModel(ch=2, light=True)))
    (tmp_path / "archive" / "again").symlink_to(tmp_path / "archive", target_is_directory=True)
    assert find_prefix(tmp_path / "archive") == prefix


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check that it is there"):
        photos_below(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b/c.png", "**/*.png", True),
        ("c.png", "**/*.png", True),
        ("a/b/c.png", "a/**/c.*", True),
        ("a/b/c.png", "**", True),
        ("a/b/c.png", "*/*.png", False),
        ("a/b/c.jpg", "**/*.png", False),
        ("a/c.png", "b/**/*.png", False),
    ],
)
def test_patterns(path: str, pattern: str, fits: bool) -> None:
    assert matches(Path(path).parts, Path(pattern).parts) is fits
