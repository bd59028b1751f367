"""What `translate` says and refuses, and what it says meanwhile."""

import os
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from tests.media.videos import write_video
from tests.translate.fake_translator import write_photos
from ugatit_fast.cli import main, with_names
from ugatit_fast.commands import arguments
from ugatit_fast.commands.arguments import phase_bars, progress_bar


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_photos(tmp_path / "in", "a.png", "b.png")


def run(*words: str | Path) -> int:
    return main([str(word) for word in words])


# Names and options


def test_names_after_two_hyphens(photos: Path, light_engine: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(tmp_path / "-dash.png")
    (photos / "b.png").rename(tmp_path / "--foo.png")
    assert run("translate", light_engine, "-o", "out", "--no-gallery", "--", "-dash.png", "--foo.png") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["--foo.png", "-dash.png"]
    assert with_names(["a", "--", "-", "-b", "c", "--"]) == ["a", "--", "-", "./-b", "c", "./--"]
    assert with_names(["a", "-b"]) == ["a", "-b"]


@pytest.mark.parametrize("words", [["--frob"], ["a.png", "--frob"], ["a.png", "b.png", "--frob", "3"], ["--frob=3"]])
def test_an_unknown_option_is_named_and_nothing_else(
    light_engine: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("translate", light_engine, *words, "-o", "out") == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "unknown option --frob" in said
    assert "('" not in said


# The output's name


@pytest.mark.parametrize("name", ["party.webm", "me.tiff", "me.BMP", "me.heic", "me.avif", "party.avi", "me.psd"])
@pytest.mark.parametrize("many", [False, True])
def test_a_name_that_is_not_written_is_refused(
    photos: Path, light_engine: Path, name: str, many: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("translate", light_engine, photos if many else photos / "a.png", "-o", name) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(
        f"error: nothing can be written as {Path(name).suffix.lower()!r}; expected a folder, .zip, or"
    )
    assert ".png, .jpg, .jpeg, .webp" in error
    assert not Path(name).exists()


def test_one_file_is_no_place_for_several(photos: Path, light_engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("translate", light_engine, photos, "-o", "me.png") == 1
    assert "me.png names one file" in capsys.readouterr().err
    assert not Path("me.png").exists()
    Path("me.png").mkdir()  # a folder that is there stays one
    assert run("translate", light_engine, photos, "-o", "me.png") == 0


def test_a_photo_is_no_video(photos: Path, light_engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("translate", light_engine, photos / "a.png", "-o", "me.mp4") == 1
    said = capsys.readouterr()
    assert "no picture can be written as '.mp4'; expected one of .png" in said.err
    assert "Speed" not in said.err
    assert said.out.strip() == "0 translated, 1 of 1 failed"


@pytest.mark.parametrize("name", ["me.png", "new/me.jpg"])
def test_the_file_is_told(photos: Path, light_engine: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("translate", light_engine, photos / "a.png", "-o", name) == 0
    assert capsys.readouterr().out.strip() == f"1 translated into {Path(name)}"


# What is no photo


@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.png", "pipe.gif", "pipe.mp4"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_pipe_fails_at_once(
    photos: Path, light_engine: Path, name: str, alone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(photos / name)
    done: list[int] = []
    words = ("translate", light_engine, photos / name if alone else photos, "-o", "out")
    thread = threading.Thread(target=lambda: done.append(run(*words)), daemon=True)
    thread.start()
    thread.join(60)
    assert done == [1]
    assert f"{name} is a pipe or a device, not a file" in capsys.readouterr().err


def test_programs_among_photos_are_no_broken_videos(photos: Path, light_engine: Path) -> None:
    (photos / "app.ts").write_text("export const answer = 42;\n" * 100)
    assert run("translate", light_engine, photos, "-o", "out") == 0


# Meanwhile


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(arguments, "time", clock)
    return clock


def test_a_line_now_and_then_where_there_is_no_terminal(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as advance:
        for done in range(61):
            advance(done, 60)
            clock.seconds += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"translating: {done} of 60" for done in (10, 20, 30, 40, 50, 60)]
    with phase_bars() as tell:
        clock.seconds += 20
        tell("building", 3, 8)
        tell("building", 4, 8)
    assert capsys.readouterr().err.splitlines() == ["building: 3 of 8"]


def test_short_work_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as advance:
        clock.seconds = 9
        advance(1, 1)
    with progress_bar(shown=False) as advance:
        clock.seconds = 99
        advance(1, 1)
    assert capsys.readouterr().err == ""


def test_a_long_video_tells_of_itself(
    light_engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arguments, "LINE_SECONDS", 0.0)
    path = write_video(tmp_path / "a.mp4", 5)
    assert run("translate", light_engine, path, "-o", tmp_path / "b.mp4") == 0
    assert "translating: 3 of 6" in capsys.readouterr().err.splitlines()


# What goes along


@pytest.mark.parametrize(("keep", "kept"), [("date", True), ("all", True), ("none", False), (None, True)])
def test_the_date_goes_along(photos: Path, light_engine: Path, keep: str | None, kept: bool) -> None:
    exif = Image.Exif()
    exif[0x132] = "2024:05:01 10:00:00"
    Image.new("RGB", (40, 40)).save("a.jpg", exif=exif)
    options = ["--keep-metadata", keep] if keep else []
    assert run("translate", light_engine, "a.jpg", "-o", "b.png", *options) == 0
    with Image.open("b.png") as image:
        assert (image.getexif().get(0x132) == "2024:05:01 10:00:00") is kept
    assert run("translate", light_engine, "a.jpg", "-o", "out", *options) == 0
    with Image.open("out/gallery/input/a.jpg") as image:
        assert len(image.getexif()) == 0


def test_a_video_s_date_goes_along(light_engine: Path, tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    write_video(path, 3)
    dated = tmp_path / "dated.mkv"
    with av.open(str(path)) as source, av.open(str(dated), "w") as target:
        target.metadata.update(
            {"creation_time": "2024-05-01T10:00:00.000000Z", "title": "Party", "location": "+52+13/"}
        )
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    everything = {"creation_time", "title", "location"}
    for keep, expected in (("date", {"creation_time"}), ("all", everything), ("none", set())):
        out = tmp_path / f"{keep}.mkv"
        assert run("translate", light_engine, dated, "-o", out, "--keep-metadata", keep) == 0
        with av.open(str(out)) as made:
            said = {name.lower() for name in made.metadata} & everything
        assert said == expected
    assert sys.modules["av"] is av
