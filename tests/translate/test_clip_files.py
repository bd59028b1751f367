import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.media.videos import damage, grey, greys, read_video, write_video
from tests.translate.fake_translator import FakeTranslator, write_photos
from ugatit_fast.cli import main
from ugatit_fast.errors import InputError
from ugatit_fast.machine import pip_install
from ugatit_fast.media import video_writer
from ugatit_fast.media.video_writer import PART_SUFFIX
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.report import Report
from ugatit_fast.translate.sources import ClipSource, Source, as_named, clip_name, find_images


def write_animation(path: Path, frames: int = 4) -> Path:
    images = [Image.new("RGB", (40, 32), (grey(number),) * 3) for number in range(frames)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=80, loop=0)
    return path


def translate(folder: Path, out: Path, translator: FakeTranslator | None = None, **options: Any) -> Report:
    return translate_files(translator or FakeTranslator(), find_images([folder]), out, TranslateOptions(**options))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of a photo, an animation and a video in a subfolder."""
    folder = write_photos(tmp_path / "mixed", "a.png", "sub/b.jpg")
    write_animation(folder / "c.gif")
    write_video(folder / "sub" / "d.mov", 6)
    return folder


# What is a clip, and what it is called


def test_clips_are_found_among_photos(mixed: Path) -> None:
    Image.new("RGB", (8, 8)).save(mixed / "still.gif")
    (mixed / "sub/.hidden.mp4").touch()
    (mixed / "sub/notes.txt").touch()
    found = {source.path.name: source for source in find_images([mixed])}
    assert sorted(found) == ["a.png", "b.jpg", "c.gif", "d.mov", "still.gif"]
    assert {name: s.kind for name, s in found.items() if isinstance(s, ClipSource)} == {
        "c.gif": "animation",
        "d.mov": "video",
    }
    assert found["still.gif"].relative == PurePath("still.png")
    assert found["d.mov"].relative == PurePath("sub/d.mov")


@pytest.mark.parametrize(
    ("name", "kind", "suffix", "expected"),
    [
        ("a.mp4", "video", None, "a.mp4"),
        ("a.MKV", "video", None, "a.MKV"),
        ("sub/a.avi", "video", None, "sub/a.mp4"),
        ("a.webm", "video", ".png", "a.mp4"),
        ("a.gif", "animation", None, "a.gif"),
        ("a.gif", "animation", ".webp", "a.webp"),
        ("a.gif", "animation", ".jpg", "a.gif"),
        ("a.jpg", "animation", None, "a.gif"),
        ("party.2019", "animation", None, "party.2019.gif"),
    ],
)
def test_names(name: str, kind: Any, suffix: str | None, expected: str) -> None:
    assert clip_name(PurePath(name), kind, suffix) == PurePath(expected)


def test_two_videos_of_one_name(tmp_path: Path) -> None:
    for name in ("a.avi", "a.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"would both be written as a\.mp4"):
        find_images([tmp_path])


def test_one_source_may_be_named(tmp_path: Path) -> None:
    one = [Source(Path("a.png"), PurePath("a.png"))]
    for name in ("b.png", "b.gif", "b.mp4", "sub/b.WEBP"):
        ((named,), folder) = as_named(one, tmp_path / name)
        assert (named.relative, folder) == (PurePath(Path(name).name), (tmp_path / name).parent)
    (tmp_path / "folder.png").mkdir()
    for out in (tmp_path / "folder.png", tmp_path / "folder", tmp_path / "b.zip", Path("-")):
        assert as_named(one, out) == (one, out)
    assert as_named(one * 2, tmp_path / "b.png")[1] == tmp_path / "b.png"


# Through the pipeline


def test_clips_and_photos_in_one_run(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[tuple[int, int]] = []
    report = translate_files(FakeTranslator(), find_images([mixed]), out, on_progress=lambda *of: told.append(of))
    assert report.failures == ()
    assert report.translated == (out / "a.png", out / "sub/b.jpg", out / "c.gif", out / "sub/d.mov")
    assert "<h1>2 photos and 2 clips translated</h1>" in (out / "index.html").read_text()
    assert (report.clips, report.frames, report.images) == (2, 10, 12)
    assert told[-1] == (14, 14)  # four files, ten frames
    times, pixels = read_video(out / "sub/d.mov")
    assert times == [Fraction(number, 10) for number in range(6)]
    np.testing.assert_allclose(greys(pixels), [255 - grey(number) for number in range(6)], atol=6)
    assert pixels[0].shape == (32, 32, 3)
    with Image.open(out / "c.gif") as animation:
        assert animation.n_frames == 4  # type: ignore[attr-defined]
        assert animation.info["duration"] == 80
    page = (out / "index.html").read_text()
    assert '<video src="sub/d.mov"' in page
    assert '<img src="c.gif"' in page


@pytest.mark.parametrize(("fit", "shape"), [("crop", (32, 32)), ("squash", (32, 32)), ("pad", (24, 32))])
def test_fit(tmp_path: Path, fit: str, shape: tuple[int, int]) -> None:
    write_video(tmp_path / "in.mp4", 3)
    sources, folder = as_named(find_images([tmp_path / "in.mp4"]), tmp_path / "out.mp4")
    translate_files(FakeTranslator(), sources, folder, TranslateOptions(fit=fit, gallery=False))  # type: ignore[arg-type]
    assert read_video(tmp_path / "out.mp4")[1][0].shape == (*shape, 3)


def test_a_clip_becomes_what_its_new_name_says(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 6)
    for source, target in (("a.mp4", "b.gif"), ("b.gif", "c.webp"), ("c.webp", "d.mkv")):
        sources, folder = as_named(find_images([tmp_path / source]), tmp_path / target)
        report = translate_files(FakeTranslator(), sources, folder, TranslateOptions(gallery=False))
        assert (report.failures, report.frames) == ((), 6)
    times, pixels = read_video(tmp_path / "d.mkv")
    assert times == [Fraction(number, 10) for number in range(6)]
    np.testing.assert_allclose(greys(pixels), [255 - grey(number) for number in range(6)], atol=16)


@pytest.mark.parametrize(("stride", "kept"), [(2, [0, 2, 4]), (4, [0, 4])])
def test_stride_leaves_times_and_length(tmp_path: Path, stride: int, kept: list[int]) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", 6, sound="aac")
    report = translate(tmp_path / "in", tmp_path / "out", stride=stride)
    assert report.frames == len(kept)
    times, pixels = read_video(tmp_path / "out/a.mp4")
    assert times == [Fraction(number, 10) for number in kept]
    np.testing.assert_allclose(greys(pixels), [255 - grey(number) for number in kept], atol=6)


def test_what_cannot_be_a_clip_s_is_its_failure(mixed: Path, tmp_path: Path) -> None:
    (mixed / "bad.mp4").write_text("hello")
    (mixed / "empty.mkv").write_bytes(b"")
    report = translate(mixed, tmp_path / "out")
    assert sorted(failure.path.name for failure in report.failures) == ["bad.mp4", "empty.mkv"]
    assert len(report.translated) == 4
    into_zip = translate(mixed, tmp_path / "out.zip", gallery=False)
    assert len(into_zip.translated) == 2
    assert len(into_zip.failures) == 4


def test_videos_without_pyav_are_failures_of_theirs(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    report = translate(mixed, tmp_path / "out")
    assert len(report.translated) == 3
    (failure,) = report.failures
    assert pip_install("video") in failure.reason


@pytest.mark.parametrize("name", ["a:b", "50%d", "ü 日本", "-x", "http:x"])
def test_names_that_mean_something_to_ffmpeg(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    write_video(tmp_path / "a.mp4", 3, sound="aac").rename(Path(name, f"{name}.mp4"))
    out = Path(f"{name} out")
    report = translate_files(FakeTranslator(), find_images([Path(name)]), out)
    assert report.failures == ()
    assert len(read_video(tmp_path / out / f"{name}.mp4")[0]) == 3


def test_skip_existing(mixed: Path, tmp_path: Path) -> None:
    translate(mixed, tmp_path / "out")
    report = translate(mixed, tmp_path / "out", skip_existing=True)
    assert (report.skipped, report.frames, report.translated) == (4, 0, ())
    assert '<video src="sub/d.mov"' in (tmp_path / "out/index.html").read_text()


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine never sees a frame of a finished segment again."""
    monkeypatch.setattr(video_writer, "FRAMES_PER_SEGMENT", 5)
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", 30)

    def stop(call: int) -> None:
        if call == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translate(tmp_path / "in", tmp_path / "out", FakeTranslator(before=stop))
    finished = 5 * len(list((tmp_path / f"out/a.mp4{PART_SUFFIX}").glob("*.nut")))
    assert finished >= 5
    translator = FakeTranslator()
    report = translate(tmp_path / "in", tmp_path / "out", translator)
    assert len(translator.shapes) == report.frames == 30 - finished
    times, pixels = read_video(tmp_path / "out/a.mp4")
    assert times == [Fraction(number, 10) for number in range(30)]
    np.testing.assert_allclose(greys(pixels), [255 - grey(number) for number in range(30)], atol=6)


def test_damaged_frames_are_told(tmp_path: Path) -> None:
    path = damage(write_video(tmp_path / "a.mkv", 12, codec="mjpeg", pixel_format="yuvj420p"), 3)
    with pytest.warns(UserWarning, match=r"a\.mkv: 1 damaged frames were left out, 11 translated"):
        translate_files(FakeTranslator(), find_images([path]), tmp_path / "out")


# On the command line


def test_command_line(mixed: Path, light_engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["translate", str(light_engine), str(mixed), "-o", str(out), "--stride", "2", "--crf", "30"]) == 0
    said = capsys.readouterr()
    assert "4 translated" in said.out
    assert "7 in" in said.err  # two photos, and every second frame of four and six
    assert len(read_video(out / "sub/d.mov")[0]) == 3


def test_a_named_output(mixed: Path, light_engine: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "party.webp"
    assert main(["translate", str(light_engine), str(mixed / "c.gif"), "-o", str(target)]) == 0
    assert [path.name for path in target.parent.iterdir()] == ["party.webp"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"hello", "not a video"), (None, "doesn't exist")],
    ids=["empty", "text", "missing"],
)
def test_bad_input(
    light_engine: Path, tmp_path: Path, content: bytes | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    assert main(["translate", str(light_engine), str(path), "-o", str(tmp_path / "out")]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert reason in errors[0]


@pytest.mark.parametrize("options", [["--crf", "52"], ["--crf", "-1"], ["--stride", "0"]])
def test_bad_options(mixed: Path, light_engine: Path, tmp_path: Path, options: list[str]) -> None:
    assert main(["translate", str(light_engine), str(mixed), "-o", str(tmp_path / "out"), *options]) == 1


@pytest.mark.slow
def test_kill_9(light_engine: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 600)
    target = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "ugatit_fast.cli", "translate", str(light_engine), str(path), "-o", str(target)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    part = target.with_name(target.name + PART_SUFFIX)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        while not list(part.glob("*.nut")) and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    kept = {segment.name: segment.stat().st_mtime_ns for segment in part.glob("*.nut")}
    assert kept
    assert not target.exists()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=True)
    frames = int(finished.stderr.split("images/s; ")[1].split(" in")[0])
    assert frames == 600 - 240 * len(kept)
    assert len(read_video(target)[0]) == 600
    assert not part.exists()
