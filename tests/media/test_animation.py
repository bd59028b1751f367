from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ugatit_fast.errors import InputError
from ugatit_fast.media import animation
from ugatit_fast.media.animation import AnimationReader, AnimationWriter, is_animated
from ugatit_fast.media.clip import ClipError, Frame, Picture
from ugatit_fast.media.images import Pixels

SUFFIXES = [".gif", ".webp", ".png"]
COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 20)]
LOSSLESS: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".gif": {}, ".png": {}}


def write(path: Path, durations: list[int], loop: int | None = 0, **options: Any) -> Path:
    """Frames of one colour each, with the next colour in a corner: so that frames are partial in the file."""
    images = []
    for number in range(len(durations)):
        image = Image.new("RGB", (32, 24), COLOURS[0])
        image.paste(COLOURS[number % 4], (0, 0, 10, 10))
        images.append(image)
    loops = {} if loop is None else {"loop": loop}
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=durations, **loops, **LOSSLESS[path.suffix], **options
    )
    return path


def read(path: Path) -> tuple[list[tuple[int, int]], list[Pixels], int, int]:
    with AnimationReader(path) as reader:
        frames = list(reader.frames())
        return [(f.start, f.duration) for f in frames], [f.pixels() for f in frames], reader.plays, reader.broken


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_with_their_times(tmp_path: Path, suffix: str) -> None:
    times, pixels, plays, broken = read(write(tmp_path / f"a{suffix}", [100, 50, 200]))
    assert times == [(0, 100), (100, 50), (150, 200)]
    for number, picture in enumerate(pixels):
        np.testing.assert_allclose(picture[5, 5], COLOURS[number], atol=6)
        np.testing.assert_allclose(picture[20, 20], COLOURS[0], atol=6)
    assert (plays, broken) == (0, 0)


@pytest.mark.parametrize(("suffix", "loop", "plays"), [(".gif", None, 1), (".gif", 0, 0), (".gif", 4, 5)])
@pytest.mark.parametrize("target", SUFFIXES)
def test_how_often_it_is_shown(tmp_path: Path, suffix: str, loop: int | None, plays: int, target: str) -> None:
    """A GIF counts repeats, the others showings; and it goes from each format to each."""
    source = write(tmp_path / f"a{suffix}", [100, 100], loop)
    assert read(source)[2] == plays
    copy(source, tmp_path / f"b{target}")
    assert read(tmp_path / f"b{target}")[2] == plays
    copy(tmp_path / f"b{target}", tmp_path / f"c{suffix}")
    assert read(tmp_path / f"c{suffix}")[2] == plays


def copy(source: Path, target: Path) -> None:
    with AnimationReader(source) as reader:
        writer = AnimationWriter(target, reader.time_base, reader.plays, reader.expected)
        writer.write(Picture(frame, frame.pixels()) for frame in reader.frames())


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_a_copy_has_the_same_frames(tmp_path: Path, source: str, target: str) -> None:
    path = write(tmp_path / f"a{source}", [40, 30, 500, 20])
    copy(path, tmp_path / f"b{target}")
    times, pixels, plays, _ = read(path)
    new_times, new_pixels, new_plays, _ = read(tmp_path / f"b{target}")
    assert new_times == times
    assert new_plays == plays
    for picture, new in zip(pixels, new_pixels, strict=True):
        assert np.abs(picture.astype(int) - new).mean() < 6


def test_transparency_is_white_and_disposal_is_done(tmp_path: Path) -> None:
    """The second frame's square takes the place of the first's, not beside it."""
    images = []
    for left in (0, 16):
        image = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
        image.paste((200, 0, 0, 255), (left, 0, left + 8, 8))
        image.putpixel((left + 7, 7), (200, 0, 0, 128))  # without it Pillow's WebP says that nothing is transparent
        images.append(image)
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        images[0].save(path, save_all=True, append_images=images[1:], duration=100, disposal=2, **LOSSLESS[suffix])
        _, (first, second), *_ = read(path)
        np.testing.assert_array_equal(first[20, 20], (255, 255, 255))
        np.testing.assert_allclose(first[4, 4], (200, 0, 0), atol=3)
        np.testing.assert_array_equal(second[4, 4], (255, 255, 255))
        np.testing.assert_allclose(second[4, 20], (200, 0, 0), atol=3)


@pytest.mark.parametrize(("suffix", "unit"), [(".gif", 10), (".webp", 1), (".png", 1)])
def test_a_film_s_times_do_not_drift(tmp_path: Path, suffix: str, unit: int) -> None:
    """30000/1001 frames a second are 33.37 ms each, which no format can say."""
    frames = [Frame(number, 1, lambda: np.zeros((8, 8, 3), np.uint8)) for number in range(90)]
    noise = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 3), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    writer = AnimationWriter(path, Fraction(1001, 30_000), 0, 90)
    writer.write(Picture(frame, pixels) for frame, pixels in zip(frames, noise, strict=True))
    times, *_ = read(path)
    assert len(times) == 90
    for number, (start, _) in enumerate(times):
        assert abs(start - number * 1001 / 30) <= unit / 2 + 1e-9


def test_what_is_animated(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        assert is_animated(write(tmp_path / f"a{suffix}", [100, 100]))
        Image.new("RGB", (8, 8)).save(tmp_path / f"still{suffix}")
        assert not is_animated(tmp_path / f"still{suffix}")
    (tmp_path / "a.gif").rename(tmp_path / "a.jpg")
    assert is_animated(tmp_path / "a.jpg")  # by content
    for content in (b"", b"GIF89a", b"hello"):
        (tmp_path / "bad.gif").write_bytes(content)
        assert not is_animated(tmp_path / "bad.gif")
    assert not is_animated(tmp_path / "missing.gif")
    assert not is_animated(tmp_path)


# Bad input


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_a_cut_off_animation_ends_where_it_is_cut(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    images = [Image.fromarray(pixels) for pixels in noise]
    path = tmp_path / f"a{suffix}"
    images[0].save(path, save_all=True, append_images=images[1:], duration=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    times, *_, broken = read(path)
    assert 2 <= len(times) <= 5
    if suffix == ".png":  # whose head says how many there should be
        assert len(times) + broken == 6


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"hello, no picture"])
def test_what_is_no_animation(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"a\.gif") as raised:
        AnimationReader(path)
    assert "\n" not in str(raised.value)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.gif", [100] * 4)
    monkeypatch.setattr(animation, "MAX_FRAMES", 3)
    with pytest.raises(ClipError, match="4 frames; expected at most 3"):
        AnimationReader(path)
    monkeypatch.undo()
    monkeypatch.setattr(animation, "MAX_PIXELS", 32 * 24 - 1)
    with pytest.raises(ClipError, match="32 x 24"):
        AnimationReader(path)


def test_an_animation_too_large_to_write_is_refused_at_its_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animation, "MAX_PIXELS_KEPT", 5 * 64)
    taken = []

    def pictures() -> Iterator[Picture]:
        for number in range(6):
            taken.append(number)
            yield Picture(Frame(number, 1, lambda: np.zeros((8, 8, 3), np.uint8)), np.zeros((8, 8, 3), np.uint8))

    for expected, most in ((6, 1), (0, 6)):
        with pytest.raises(ClipError, match="write a video"):
            AnimationWriter(tmp_path / "a.gif", Fraction(1, 10), 0, expected).write(pictures())
        assert len(taken) == most
        taken.clear()
    assert list(tmp_path.iterdir()) == []


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    wide = np.zeros((1, 16_384, 3), np.uint8)
    frames = [Picture(Frame(number, 1, lambda: wide), wide) for number in range(2)]
    with pytest.raises(InputError, match="WEBP"):
        AnimationWriter(tmp_path / "a.webp", Fraction(1, 10), 0, 2).write(iter(frames))
    assert list(tmp_path.iterdir()) == []


# What browsers show


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize(("written", "shown"), [(0, 100), (10, 100), (20, 20), (100, 100)])
def test_frames_too_short_to_be_seen_take_a_tenth_of_a_second(
    tmp_path: Path, suffix: str, written: int, shown: int
) -> None:
    path = tmp_path / f"a{suffix}"
    images = [Image.new("RGB", (32, 32), (40 * number,) * 3) for number in range(4)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=written, loop=0)
    with AnimationReader(path) as reader:
        assert [(frame.start, frame.duration) for frame in reader.frames()] == [(shown * n, shown) for n in range(4)]


@pytest.mark.parametrize("frames", [1, 3])
def test_the_cover_of_an_animated_png_is_none_of_its_frames(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "a.png"
    cover = Image.new("RGB", (32, 32), (255, 0, 0))
    images = [Image.new("RGB", (32, 32), (40 * number,) * 3) for number in range(frames)]
    cover.save(path, save_all=True, append_images=images, duration=50, default_image=True)
    with AnimationReader(path) as reader:
        assert reader.expected == frames
        assert [frame.pixels()[5, 5].tolist() for frame in reader.frames()] == [[40 * n] * 3 for n in range(frames)]
        assert reader.broken == 0
