import io
import zipfile
from pathlib import Path, PurePath

import numpy as np
import pytest

from tests.media.pictures import photo
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import encode_image
from ugatit_fast.translate import sources
from ugatit_fast.translate.sources import find_images, output_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def relatives(inputs: list[str | Path], suffix: str | None = None) -> list[str]:
    return [source.relative.as_posix() for source in find_images(inputs, suffix)]


def test_folder_gives_images_in_natural_order_with_subfolders(tmp_path: Path) -> None:
    touch(tmp_path, "img10.png", "img2.png", "IMG1.JPG", "trip 10/a.jpg", "trip 9/a.jpg", "notes.txt", "clip.gif")
    touch(tmp_path, ".hidden.png", "._img2.png", ".thumbnails/a.png")
    assert relatives([tmp_path]) == ["clip.png", "IMG1.JPG", "img2.png", "img10.png", "trip 9/a.jpg", "trip 10/a.jpg"]
    assert find_images([tmp_path])[0].path == tmp_path / "clip.gif"


def test_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "photo", "photo.dat", "photo[1].jpg")
    names: list[str | Path] = [tmp_path / "photo", str(tmp_path / "photo.dat"), tmp_path / "photo[1].jpg"]
    assert relatives(names) == ["photo.png", "photo.dat.png", "photo[1].jpg"]


def test_pattern_keeps_what_follows_its_fixed_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a/2.jpg", "a/10.jpg", "b/2.jpg", "b/.2.jpg", "b/folder.jpg/c.txt")
    assert relatives([f"{tmp_path}/*/*.jpg"]) == ["a/2.jpg", "a/10.jpg", "b/2.jpg"]
    assert relatives([f"{tmp_path}/a/*.jpg"]) == ["2.jpg", "10.jpg"]
    assert relatives([f"{tmp_path}/**/2.jpg"]) == ["a/2.jpg", "b/2.jpg"]


def test_pattern_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "1.png", "2.png")
    monkeypatch.chdir(tmp_path)
    assert relatives(["?.png"]) == ["1.png", "2.png"]
    assert relatives(["."]) == ["1.png", "2.png"]


@pytest.mark.parametrize("name", ["missing.jpg", "empty", "*.jpg", "no/such/*.jpg", "text"])
def test_input_that_gives_nothing_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "text/notes.txt")
    with pytest.raises(InputError) as caught:
        find_images([tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)


def test_two_photos_never_share_an_output_name(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.gif", "c/1.png")
    for inputs in (["a", "b"], ["a/1.jpg", "b/1.jpg"], ["c"]):
        with pytest.raises(InputError) as caught:
            find_images([tmp_path / name for name in inputs])
        assert str(caught.value).count(str(tmp_path)) == 2
    with pytest.raises(InputError, match=r"1\.webp"):
        find_images([tmp_path / "a/1.jpg", tmp_path / "c/1.png"], ".webp")


def test_the_same_photo_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    assert relatives([tmp_path, tmp_path / "1.jpg"]) == ["1.jpg"]


@pytest.mark.parametrize(
    ("name", "suffix", "expected"),
    [
        ("a/IMG_1.JPG", None, "a/IMG_1.JPG"),
        ("a.webp", None, "a.webp"),
        ("a.gif", None, "a.png"),
        ("a/b.HEIC", None, "a/b.png"),
        ("scan.2019", None, "scan.2019.png"),
        ("photo", None, "photo.png"),
        ("a/b.tiff", ".jpg", "a/b.jpg"),
        ("a.png", ".jpg", "a.jpg"),
    ],
)
def test_output_name(name: str, suffix: str | None, expected: str) -> None:
    assert output_name(PurePath(name), suffix) == PurePath(expected)
    assert output_name(output_name(PurePath(name), suffix), suffix) == PurePath(expected)


def test_no_inputs() -> None:
    with pytest.raises(InputError, match="nothing to translate"):
        find_images([])


# Archives


def pack(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for seed, name in enumerate(names):
            archive.writestr(name, encode_image(photo(30, 20, seed), ".png"))
    return path


def test_archive_stands_for_its_photos_in_natural_order(tmp_path: Path) -> None:
    names = ["b/10.png", "b/2.png", "a.gif", "readme.txt", ".a.png", "__MACOSX/b/._2.png", "b/.cache/2.png", "in.zip"]
    path = pack(tmp_path / "photos.ZIP", *names)
    found = find_images([path])
    assert [source.relative.as_posix() for source in found] == ["a.png", "b/2.png", "b/10.png"]
    assert [source.path for source in found] == [path / name for name in ("a.gif", "b/2.png", "b/10.png")]
    assert {source.file for source in found} == {path}
    np.testing.assert_array_equal(found[1].load(), photo(30, 20, 1))
    assert relatives([f"{tmp_path}/*.ZIP"], ".jpg") == ["a.jpg", "b/2.jpg", "b/10.jpg"]


def test_archives_are_not_looked_for_in_folders(tmp_path: Path) -> None:
    pack(tmp_path / "photos.zip", "a.png")
    touch(tmp_path, "b.png")
    assert relatives([tmp_path]) == ["b.png"]


def test_what_an_archive_holds_and_is_not_read_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.psd", "sub/c.mp4", "d.PSD", ".e.psd", "notes.txt"):
            archive.writestr(name, b"x")
    with pytest.warns(UserWarning, match=r"photos\.zip holds .* left out: 2 \.psd, 1 \.mp4; export them"):
        assert relatives([path]) == ["a.png"]


def test_archive_without_photos(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no photos"):
        find_images([pack(tmp_path / "photos.zip", "readme.txt")])


def test_a_damaged_photo_in_an_archive_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a/b.png", b"no photo")
    with pytest.raises(InputError, match=r"photos\.zip/a/b\.png is not an image"):
        find_images([tmp_path / "photos.zip"])[0].load()


def test_two_archives_with_one_name_in_them(tmp_path: Path) -> None:
    inputs = [pack(tmp_path / "1.zip", "a.png"), pack(tmp_path / "2.zip", "a.png")]
    with pytest.raises(InputError, match=r"1\.zip/a\.png and .*2\.zip/a\.png would both be written as a\.png"):
        find_images(inputs)


# Stdin


def pipe_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_hyphen_is_the_photo_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, encode_image(photo(30, 20), ".png"))
    (source,) = find_images(["-"], ".webp")
    assert (source.relative, str(source.path), source.file) == (PurePath("stdin.webp"), "stdin", None)
    for _ in range(2):
        np.testing.assert_array_equal(source.load(), photo(30, 20))


def test_stdin_that_brings_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"")
    with pytest.raises(InputError, match="stdin is empty"):
        find_images(["-"])[0].load()
    monkeypatch.setattr(sources, "MAX_PIPED_BYTES", 10)
    pipe_in(monkeypatch, bytes(11))
    with pytest.raises(InputError, match="stdin brings more"):
        find_images(["-"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with pytest.raises(InputError, match="terminal"):
        find_images(["-"])


def test_a_file_called_hyphen_has_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "-")
    monkeypatch.chdir(tmp_path)
    assert relatives([str(tmp_path / "-")]) == ["-.png"]
