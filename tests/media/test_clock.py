"""Files whose clock starts anew, against what FFmpeg's command line makes of them: every frame, end to end."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.videos import grey, greys, write_video
from ugatit_fast.media.video import VideoReader


def read(path: Path) -> tuple[list[float], list[int], int]:
    """Seconds of the frames from the first on, their levels, and how many were broken."""
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        times = [float((frame.start - frames[0].start) * reader.time_base) for frame in frames]
        return times, greys([frame.pixels() for frame in frames]), reader.broken


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("sound", [None, "aac"])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".ts", "libx264"),
        (".ts", "mpeg2video"),
        (".mpg", "mpeg2video"),
        (".mkv", "libx264"),
        (".webm", "libvpx-vp9"),
        (".avi", "mpeg4"),
    ],
)
@pytest.mark.parametrize("times", [2, 3])
def test_recordings_joined_end_to_end(tmp_path: Path, suffix: str, codec: str, sound: str | None, times: int) -> None:
    if sound:
        sound = {".mpg": "mp2", ".avi": "mp2", ".webm": "libopus"}.get(suffix, sound)
    if suffix in (".mkv", ".webm"):
        times = 2  # in Matroska FFmpeg finds one more piece, and no third
    part = write_video(tmp_path / f"a{suffix}", 25, codec=codec, rate=25, sound=sound)
    seconds, levels, broken = read(joined(tmp_path / f"b{suffix}", *[part] * times))
    np.testing.assert_allclose(seconds, np.arange(25 * times) / 25, atol=0.05 * times)
    np.testing.assert_allclose(levels, [grey(number) for number in range(25)] * times, atol=12)
    assert broken == 0


def test_a_recording_that_goes_on_hours_later(tmp_path: Path) -> None:
    """Its clock jumps ahead: the pieces follow on each other."""
    first = write_video(tmp_path / "a.ts", 25, rate=25)
    hours = [25 * 3600 * 3 + number for number in range(25)]
    later = write_video(tmp_path / "b.ts", 25, rate=25, times=hours, time_base=Fraction(1, 25))
    seconds, _, broken = read(joined(tmp_path / "c.ts", first, later))
    np.testing.assert_allclose(seconds, np.arange(50) / 25, atol=0.05)
    assert broken == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_long_pause_is_kept_where_clocks_never_start_anew(tmp_path: Path, suffix: str) -> None:
    """A screen recording shows a frame until the next, however long that takes."""
    path = write_video(tmp_path / f"a{suffix}", 3, times=[0, 10, 400], codec="mpeg4", rate=10)
    assert read(path)[0] == pytest.approx([0, 1, 40])
