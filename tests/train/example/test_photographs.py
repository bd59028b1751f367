from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason='the example data set needs pip install ".[example-data]"')
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.media.images import save_image
from ugatit_fast.train.example import photographs
from ugatit_fast.train.example.photographs import (
    COLLECTIONS,
    Collection,
    installed_photographs,
    load_reduced,
    missing_debian_packages,
    of_debian,
)

PROVENANCE = Path(__file__).parents[3] / "assets" / "PROVENANCE.md"


def test_the_domains_share_no_photograph() -> None:
    files = [collection.file(name) for collection in COLLECTIONS for name in names(collection)]
    assert [file for file, times in Counter(files).items() if times > 1] == []


def test_the_provenance_names_every_package_and_photograph() -> None:
    """So that the licence of each is told."""
    text = PROVENANCE.read_text(encoding="utf-8")
    for collection in COLLECTIONS:
        assert f"`{collection.package}`" in text
        for name in names(collection):
            assert f"`{name.removesuffix('/contents/images/' + Path(name).name)}`" in text, name


def test_the_photographs_of_python_packages_are_there() -> None:
    found = installed_photographs()
    for files in (found.a, found.b, found.held_out):
        assert files
        for file in files:
            assert file.is_file()


def test_a_debian_package_counts_once_all_of_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path.relative_to("/"))
    monkeypatch.setattr(photographs, "COLLECTIONS", (of_debian("scenes", folder, a=("1.jpg",), b=("2.jpg",)),))
    (tmp_path / "1.jpg").touch()
    assert missing_debian_packages() == ["scenes"]
    assert installed_photographs().a == []
    (tmp_path / "2.jpg").touch()
    assert missing_debian_packages() == []
    assert installed_photographs().a == [tmp_path / "1.jpg"]
    assert installed_photographs().b == [tmp_path / "2.jpg"]


def test_a_missing_python_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "COLLECTIONS", (Collection("no_such_package", "data", a=("1.jpg",)),))
    with pytest.raises(BackendUnavailable, match=r"no_such_package.*\[example-data\]"):
        installed_photographs()


@pytest.mark.parametrize(("shape", "reduced"), [((1200, 2000), (900, 1500)), ((300, 451), (300, 451))])
def test_large_photographs_are_reduced_to_their_shorter_side(
    tmp_path: Path, shape: tuple[int, int], reduced: tuple[int, int]
) -> None:
    save_image(tmp_path / "photo.png", np.zeros((*shape, 3), np.uint8))
    assert load_reduced(tmp_path / "photo.png").shape == (*reduced, 3)


def names(collection: Collection) -> list[str]:
    return [*collection.a, *collection.b, *collection.held_out]
