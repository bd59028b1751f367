"""Whatever is wrong with one photo or clip, the others are translated, and the page and the report come."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from tests.media.videos import read_video, write_video
from tests.translate.fake_translator import FakeTranslator, write_photos
from tests.translate.test_clip_files import write_animation
from ugatit_fast.errors import PlaceError
from ugatit_fast.files import write_errors
from ugatit_fast.media.animation import AnimationReader
from ugatit_fast.media.sound import Sound
from ugatit_fast.media.video import PixelSource, VideoReader
from ugatit_fast.media.video_writer import VideoWriter
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.report import Report
from ugatit_fast.translate.sinks import FolderSink
from ugatit_fast.translate.sources import find_images


def translate(folder: Path, out: Path, **options: Any) -> Report:
    return translate_files(FakeTranslator(), find_images([folder]), out, TranslateOptions(**options))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    folder = write_photos(tmp_path / "in", "a.png", "z.jpg")
    write_video(folder / "b.mp4", 3, sound="aac")
    write_video(folder / "c.mp4", 3)
    return folder


def assert_only_one_failed(report: Report, failed: str, *, others: int = 3) -> str:
    assert [failure.path.name for failure in report.failures] == [failed]
    assert len(report.translated) == others
    assert all(path.is_file() for path in report.translated)
    assert report.page is not None
    assert report.page.is_file()
    return report.failures[0].reason


def raising(error: Exception, name: str) -> Any:
    """A method that raises for the clip of that name only, and else does as `original`."""

    def patched(original: Any) -> Any:
        def method(self: Any, *rest: Any) -> Any:
            path = getattr(self, "path", None) or getattr(self, "target", None) or Path(self.source.name)
            if Path(path).name == name:
                raise error
            return original(self, *rest)

        return method

    return patched


ERRORS = [
    av.error.ArgumentError(22, "Invalid argument"),
    OSError(errno.EIO, "Input/output error"),
    ValueError("no such layout"),
    MemoryError("too much"),
    RuntimeError("odd"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("owner", "method"),
    [(VideoReader, "__init__"), (VideoReader, "frames"), (VideoWriter, "write_segment"), (VideoWriter, "join")],
)
def test_what_a_library_raises_over_a_clip_is_its_failure(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, error: Exception
) -> None:
    if method == "__init__":
        original = owner.__init__

        def init(self: Any, path: Path) -> None:
            if path.name == "b.mp4":
                raise error
            original(self, path)

        monkeypatch.setattr(owner, "__init__", init)
    else:
        monkeypatch.setattr(owner, method, raising(error, "b.mp4")(getattr(owner, method)))
    reason = assert_only_one_failed(translate(mixed, tmp_path / "out"), "b.mp4")
    assert "b.mp4" in reason
    assert "\n" not in reason


def test_a_frame_that_has_no_pixels(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(self: PixelSource, frame: object) -> None:
        raise ValueError("unsupported format")

    monkeypatch.setattr(PixelSource, "__call__", call)
    report = translate(mixed, tmp_path / "out")
    assert [failure.path.name for failure in report.failures] == ["b.mp4", "c.mp4"]
    assert "ValueError: unsupported format" in report.failures[0].reason


def test_sound_that_cannot_be_written(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def packets(self: Sound) -> Iterator[Any]:
        if self.copies:
            raise av.error.ArgumentError(22, "Invalid argument")
        yield from ()

    monkeypatch.setattr(Sound, "packets", packets)
    assert_only_one_failed(translate(mixed, tmp_path / "out"), "b.mp4")


def test_an_animation(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_animation(mixed / "d.gif")
    monkeypatch.setattr(AnimationReader, "frames", raising(RuntimeError("odd"), "d.gif")(AnimationReader.frames))
    assert_only_one_failed(translate(mixed, tmp_path / "out"), "d.gif", others=4)


@pytest.mark.parametrize("name", ["a.png", "b.mp4"])
def test_something_in_the_place_of_a_file(mixed: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name / "full").mkdir(parents=True)
    assert_only_one_failed(translate(mixed, tmp_path / "out"), name)


@pytest.mark.parametrize("name", ["sub/a.png", "sub/b.mp4"])
def test_a_file_in_the_place_of_a_folder(mixed: Path, tmp_path: Path, name: str) -> None:
    (mixed / "sub").mkdir()
    (mixed / Path(name).name).rename(mixed / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").write_text("mine")
    assert_only_one_failed(translate(mixed, tmp_path / "out"), Path(name).name)
    assert (tmp_path / "out/sub").read_text() == "mine"


def test_someone_else_s_folder_of_segments(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "out/b.mp4.part").mkdir(parents=True)
    (tmp_path / "out/b.mp4.part/mine.txt").write_text("mine")
    assert "holds something else" in assert_only_one_failed(translate(mixed, tmp_path / "out"), "b.mp4")


@pytest.mark.parametrize("bytes_", [140, 250, 251, 255])
@pytest.mark.parametrize("letter", ["x", "日"])
def test_long_names(tmp_path: Path, bytes_: int, letter: str) -> None:
    """Of photos, clips and what helps to write them; also where a run is gone on with."""
    folder = write_photos(tmp_path / "in", "a.png")
    for suffix in (".png", ".mp4", ".avi", ".gif"):
        stem = letter * ((bytes_ - 4) // len(letter.encode()))
        name = stem + "x" * (bytes_ - 4 - len(stem.encode())) + suffix
        if suffix == ".png":
            (folder / "a.png").rename(folder / name)
        elif suffix == ".gif":
            (folder / "gif").mkdir()
            write_animation(folder / "gif" / name)
        else:
            (folder / suffix).mkdir()
            write_video(folder / "b.mp4", 3).rename(folder / suffix / name)
    (folder / ".mp4").rename(folder / "mp4")
    (folder / ".avi").rename(folder / "avi")
    report = translate(folder, tmp_path / "out")
    assert report.failures == ()
    assert len(report.translated) == 4
    assert len(read_video(next((tmp_path / "out/mp4").iterdir()))[0]) == 3


def test_a_name_that_grows_too_long_is_its_own_failure(mixed: Path, tmp_path: Path) -> None:
    """A photo without a suffix gets one."""
    name = "x" * 253
    (mixed / "a.png").rename(mixed / name)
    sources = find_images([mixed / name, mixed])
    report = translate_files(FakeTranslator(), sources, tmp_path / "out")
    assert "the name is too long for this disk; choose a shorter one" in assert_only_one_failed(report, name)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("what", ["photo", "clip"])
def test_a_place_that_takes_no_more_ends_the_run(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, what: str
) -> None:
    put = FolderSink.put

    def full(self: Any, *rest: Any) -> None:
        raise OSError(code, "no")

    def put_full(self: FolderSink, relative: Any, content: bytes) -> None:
        with write_errors(self.root / relative):
            full(self)
        put(self, relative, content)

    if what == "photo":
        monkeypatch.setattr(FolderSink, "put", put_full)
    else:
        monkeypatch.setattr(VideoWriter, "add_video", full)
    with pytest.raises(PlaceError, match=r"cannot write .*(the disk is full|no permission)"):
        translate(mixed, tmp_path / "out")
