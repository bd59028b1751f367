import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.videos import HEIGHT, WIDTH, grey, greys, plain, read_video, write_video
from ugatit_fast.errors import InputError
from ugatit_fast.media import video_writer
from ugatit_fast.media.clip import Frame, Picture
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.video_writer import CONTAINERS, VideoWriter


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_writer, "FRAMES_PER_SEGMENT", 5)


def writer(target: Path, *, time_base: Fraction = Fraction(1, 10), **changes: Any) -> VideoWriter:
    settings: dict[str, Any] = {"rate": Fraction(10), "crf": 5, "sound": None, "tags": {}, "settings": {"stride": 1}}
    return VideoWriter(target, time_base, **settings | changes)


def pictures(
    count: int, times: list[int] | None = None, make: Callable[[int], Pixels] = plain, *, first: int = 0
) -> Iterator[Picture]:
    for number in range(first, count):
        start = times[number] if times else number
        end = times[number + 1] if times and number + 1 < len(times) else start + 1
        yield Picture(Frame(start, end - start, lambda: plain(0)), make(number))


def parts(target: Path) -> list[str]:
    folder = target.with_name(target.name + ".part")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("count", [1, 5, 12])
def test_pictures_come_back_at_their_times(tmp_path: Path, suffix: str, count: int) -> None:
    target = tmp_path / f"a{suffix}"
    writer(target).write(pictures(count))
    times, pixels = read_video(target)
    assert times == [Fraction(number, 10) for number in range(count)]
    np.testing.assert_allclose(greys(pixels), [grey(number) for number in range(count)], atol=3)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    with av.open(str(target)) as container:
        assert container.duration == pytest.approx(count * 100_000, abs=1000)


def test_times_are_exact(tmp_path: Path) -> None:
    """Across segments too, and whatever the clock counts in."""
    times = [0, 1001, 1500, 90_000, 90_007, 200_000, 200_001, 10**6]
    for time_base in (Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 12_800)):
        writer(tmp_path / "a.mp4", time_base=time_base).write(pictures(8, times))
        assert read_video(tmp_path / "a.mp4")[0] == [time * time_base for time in times]


def test_h264_in_bt709_that_everything_plays(tmp_path: Path) -> None:
    writer(tmp_path / "a.mp4").write(pictures(2))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.width, stream.height) == ("h264", "yuv420p", WIDTH, HEIGHT)
        tags = context.colorspace, context.color_primaries, context.color_trc, context.color_range
        assert tags == (1, 1, 1, 1)
        (first, *_) = container.decode(stream)
        luma = np.frombuffer(bytes(first.planes[0]), np.uint8)
    red = 0.2126 * 220 + 0.7874 * 30  # BT.709's luma of (220, 30, 30)
    assert luma[5] == pytest.approx(16 + red * 219 / 255, abs=2)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # a browser can start before it has all


@pytest.mark.parametrize("size", [(1, 1), (47, 63), (47, 64), (48, 63)])
def test_odd_sizes_repeat_their_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    writer(tmp_path / "a.mp4").write(pictures(3, make=lambda n: np.full((*size, 3), grey(n), np.uint8)))
    _, pixels = read_video(tmp_path / "a.mp4")
    assert pixels[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert np.ptp(pixels[2]) < 6


def test_quality(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    sizes = []
    for crf in (10, 40):
        writer(tmp_path / "a.mp4", crf=crf).write(pictures(3, make=lambda number: noise[number]))
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


# Going on


class Killed(BaseException):
    pass


def die_after(count: int) -> Iterator[Picture]:
    yield from pictures(count)
    raise Killed


def test_a_killed_run_goes_on_and_redoes_no_finished_segment(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with pytest.raises(Killed):
        writer(target).write(die_after(13))
    assert parts(target) == ["000000.nut", "000001.nut", "settings.json"]
    assert not target.exists()
    (tmp_path / "a.mp4.part" / ".1234.partial").write_bytes(b"what kill -9 leaves")
    kept = {name: (tmp_path / "a.mp4.part" / name).stat().st_ino for name in parts(target)[1:]}

    again = writer(target)
    assert again.finished == 10
    assert {name: (tmp_path / "a.mp4.part" / name).stat().st_ino for name in parts(target)} == kept
    for picture in pictures(10):
        again.skip(picture.frame)
    again.write(pictures(17, first=10))
    times, pixels = read_video(target)
    assert times == [Fraction(number, 10) for number in range(17)]
    np.testing.assert_allclose(greys(pixels), [grey(number) for number in range(17)], atol=3)
    assert parts(target) == []


def test_a_run_killed_while_joining_only_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.mp4"

    def die(self: VideoWriter) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(VideoWriter, "join", die)
        with pytest.raises(Killed):
            writer(target).write(pictures(7))
    again = writer(target)
    for picture in pictures(7):
        again.skip(picture.frame)
    again.write(iter(()))
    assert read_video(target)[0] == [Fraction(number, 10) for number in range(7)]
    with av.open(str(target)) as container:
        assert container.duration == 700_000


@pytest.mark.parametrize("change", [{"crf": 30}, {"settings": {"stride": 2}}])
def test_other_settings_begin_anew_and_say_so(tmp_path: Path, change: dict[str, Any]) -> None:
    target = tmp_path / "a.mp4"
    with pytest.raises(Killed):
        writer(target).write(die_after(13))
    with pytest.warns(UserWarning, match="other settings; it is done anew"):
        again = writer(target, **change)
    assert again.finished == 0
    assert parts(target) == ["settings.json"]
    again.write(pictures(6))
    assert len(read_video(target)[0]) == 6


def test_a_folder_of_someone_else_is_kept(tmp_path: Path) -> None:
    mine = tmp_path / "a.mp4.part" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        writer(tmp_path / "a.mp4")
    assert mine.read_text() == "mine"


def test_settings_are_readable(tmp_path: Path) -> None:
    writer(tmp_path / "a.mp4")
    assert json.loads((tmp_path / "a.mp4.part/settings.json").read_text())["crf"] == 5


def test_times_that_no_container_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*a\.mp4: Invalid argument"):
        writer(tmp_path / "a.mp4", time_base=Fraction(1001, 30_000)).write(pictures(2, [0, 10**7]))
    assert not (tmp_path / "a.mp4").exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.mp4"
    running = writer(target)

    def full(self: VideoWriter, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "add_video", full)
    with pytest.raises(InputError, match="the disk is full"):
        running.write(pictures(3))
    assert parts(target) == ["settings.json"]


# Sound


def sound_of(path: Path) -> tuple[str, bytes, float]:
    """Its codec, all its packets, and the seconds at which it begins."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        start = (packets[0].pts or 0) * packets[0].time_base
        return stream.codec_context.name, b"".join(bytes(packet) for packet in packets), float(start)


@pytest.mark.parametrize(
    ("source", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.mkv", "ac3"), ("a.ts", "aac")]
)
def test_sound_is_copied(tmp_path: Path, source: str, codec: str) -> None:
    path = write_video(tmp_path / source, 12, sound=codec)
    writer(tmp_path / "out.mp4", sound=path).write(pictures(12))
    name, packets, start = sound_of(path)
    new_name, new_packets, new_start = sound_of(tmp_path / "out.mp4")
    assert new_name == name
    assert start - new_start == pytest.approx(start_of(path), abs=1e-3)
    if source != "a.ts":  # whose packets carry headers that MP4 keeps elsewhere
        assert new_packets == packets


def start_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.start_time or 0) / 1e6


def test_sound_that_the_container_cannot_hold_becomes_aac(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 12, codec="mpeg4", sound="pcm_mulaw")
    writer(tmp_path / "out.mp4", sound=path).write(pictures(12))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(container.streams.audio[0])])
    assert len(samples) == pytest.approx(1.2 * 48_000, rel=0.05)
    spectrum = np.abs(np.fft.rfft(samples[8000:40_000]))
    assert spectrum.argmax() * 48_000 / 32_000 == pytest.approx(440, abs=3)


def test_sound_and_pictures_alternate_in_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, sound="aac")
    writer(tmp_path / "out.mp4", sound=path).write(pictures(40))
    with av.open(str(tmp_path / "out.mp4")) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.dts is not None]
    assert "audio" in kinds[: len(kinds) // 4]
    assert "video" in kinds[: len(kinds) // 4]


def test_a_silent_source(tmp_path: Path) -> None:
    writer(tmp_path / "out.mp4", sound=write_video(tmp_path / "a.mp4")).write(pictures(3))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
