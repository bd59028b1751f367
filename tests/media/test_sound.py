"""The sound of a translated video: what is copied, what is coded anew, and when it is heard."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.media.videos import plain
from ugatit_fast.media.clip import Frame, Picture
from ugatit_fast.media.video_writer import VideoWriter

RATE = 48_000


def beeps(seconds: int, rate: int = RATE) -> npt.NDArray[np.float64]:
    """A tone in the first tenth of each second, silence for the rest."""
    time = np.arange(seconds * rate) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) * (time % 1 < 0.1)


def write_sound(
    path: Path,
    codec: str,
    *,
    seconds: int = 3,
    rate: int = RATE,
    layout: str = "stereo",
    lost: tuple[float, float] = (0, 0),
) -> Path:
    """A video of `beeps`. lost: from and to which second there are no packets of sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        strictness = {"strict": "experimental"} if codec == "vorbis" else {}
        sound = container.add_stream(codec, rate=rate, layout=layout, options=strictness)
        assert isinstance(sound, av.AudioStream)
        sound.bit_rate = 128_000
        for number in range(10 * seconds):
            container.mux(video.encode(av.VideoFrame.from_ndarray(plain(number), format="rgb24")))
        container.mux(video.encode(None))
        samples = beeps(seconds, rate)
        for start in range(0, len(samples), 960):
            piece = (samples[None, start : start + 960] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for packet in sound.encode(frame):
                if not lost[0] <= packet.pts * packet.time_base < lost[1]:
                    container.mux(packet)
        container.mux(sound.encode(None))
    return path


def translated(source: Path, target: Path, seconds: int = 3) -> Path:
    """`source`'s sound under new pictures."""
    writer = VideoWriter(target, Fraction(1, 10), rate=Fraction(10), crf=30, sound=source, tags={}, settings={})
    writer.write(Picture(Frame(n, 1, lambda: plain(0)), plain(n)) for n in range(10 * seconds))
    return target


def heard(path: Path) -> tuple[str, npt.NDArray[np.int64], float]:
    """The coding, the milliseconds at which beeps begin, and the seconds of the last packet; packets are checked."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        times = [packet.dts for packet in packets]
        assert sorted(set(times)) == times
        container.seek(0)
        loud: list[float] = []
        for frame in container.decode(stream):
            samples = frame.to_ndarray().astype(np.float64)
            samples = samples.reshape(-1, samples.shape[-1])[0]
            scale = 32767 if frame.format.name.startswith("s16") else 1
            step = frame.layout.nb_channels if not frame.format.is_planar else 1
            at = np.flatnonzero(np.abs(samples[::step]) > 0.15 * scale)
            loud += [float(frame.pts * frame.time_base) + i / frame.sample_rate for i in at]
        times_ms = np.rint(np.array(loud) * 1000).astype(np.int64)
        starts = times_ms[np.flatnonzero(np.diff(times_ms, prepend=-1000) > 500)]
        return stream.codec_context.name, starts, float(packets[-1].pts * packets[-1].time_base)


@pytest.mark.parametrize(
    ("source", "codec"),
    [
        ("a.avi", "wmav2"),
        ("a.wmv", "wmav1"),
        ("a.mkv", "vorbis"),
        ("a.mkv", "pcm_s16le"),
        ("a.mkv", "pcm_f32le"),
        ("a.mkv", "flac"),
        ("a.mkv", "mp2"),
        ("a.avi", "pcm_alaw"),
    ],
)
def test_what_players_would_not_play_in_mp4_becomes_aac(tmp_path: Path, source: str, codec: str) -> None:
    path = write_sound(tmp_path / source, codec)
    name, starts, _ = heard(translated(path, tmp_path / "out.mp4"))
    assert name == "aac"
    np.testing.assert_allclose(starts, [0, 1000, 2000], atol=90)  # half a block of WMA, at the beginning


@pytest.mark.parametrize(
    ("target", "codec", "expected"),
    [
        ("out.mp4", "aac", "aac"),
        ("out.m4v", "ac3", "ac3"),
        ("out.mp4", "libmp3lame", "mp3float"),
        ("out.mp4", "libopus", "libopus"),
        ("out.mov", "pcm_s16le", "pcm_s16le"),
        ("out.mov", "libopus", "aac"),
        ("out.mkv", "vorbis", "vorbis"),
        ("out.mkv", "flac", "flac"),
        ("out.mkv", "pcm_s16le", "pcm_s16le"),
    ],
)
def test_what_they_play_is_copied(tmp_path: Path, target: str, codec: str, expected: str) -> None:
    name, starts, _ = heard(translated(write_sound(tmp_path / "a.mkv", codec), tmp_path / target))
    assert name.removeprefix("lib") == expected.removeprefix("lib")
    np.testing.assert_allclose(starts, [0, 1000, 2000], atol=60)


@pytest.mark.parametrize("codec", ["mp2", "aac"])
def test_a_lost_signal_is_silence_and_what_follows_is_in_time(tmp_path: Path, codec: str) -> None:
    path = write_sound(tmp_path / "a.mkv", codec, seconds=4, lost=(0.9, 1.9))
    _, starts, _ = heard(translated(path, tmp_path / "out.mp4", 4))
    np.testing.assert_allclose(starts, [0, 2000, 3000], atol=80)


@pytest.mark.parametrize("codec", ["mp2", "aac"])
def test_sound_of_joined_recordings(tmp_path: Path, codec: str) -> None:
    """Also where the second has another number of channels and another rate, and so its sound another kind."""
    parts = write_sound(tmp_path / "a.ts", codec), write_sound(tmp_path / "b.ts", codec, rate=44_100, layout="mono")
    for name, pieces in (("same.ts", [parts[0]] * 2), ("other.ts", parts)):
        path = tmp_path / name
        path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
        _, starts, end = heard(translated(path, tmp_path / "out.mp4", 6))
        np.testing.assert_allclose(starts[:3], [0, 1000, 2000], atol=80)
        if name == "same.ts" or codec == "mp2":  # AAC that changes its kind inside one track is beyond MP4
            np.testing.assert_allclose(starts, [0, 1000, 2000, 3000, 4000, 5000], atol=150)
        assert end == pytest.approx(6, abs=0.2)
