import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.videos import HEIGHT, WIDTH, damage, grey, greys, plain, write_video
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.media import video
from ugatit_fast.media.clip import ClipError
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.video import VideoReader, is_full_range, matrix_of


def read(path: Path) -> tuple[list[Fraction], list[Pixels], int]:
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        return [frame.start * reader.time_base for frame in frames], [f.pixels() for f in frames], reader.broken


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx265"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.flv", "libx264"),
        ("a.wmv", "wmv2"),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: str) -> None:
    times, pixels, broken = read(write_video(tmp_path / name, 12, codec=codec, rate=25))
    np.testing.assert_allclose([float(time) for time in times], np.arange(12) / 25, atol=1e-3)
    np.testing.assert_allclose(greys(pixels), [grey(number) for number in range(12)], atol=12)
    assert pixels[0].shape == (HEIGHT, WIDTH, 3)
    assert broken == 0


def test_times_that_vary_are_the_file_s(tmp_path: Path) -> None:
    times = [0, 1001, 1500, 90_000, 90_007, 200_000]
    read_times, _, _ = read(write_video(tmp_path / "a.mp4", 6, times=times, time_base=Fraction(1, 90_000)))
    assert read_times == [Fraction(time, 90_000) for time in times]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_frames_are_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    """The display matrix says how to turn what is coded; so the red quarter, coded top left, goes elsewhere."""

    def turn(stream: av.VideoStream) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)

    _, (pixels, *_), _ = read(write_video(tmp_path / "a.mp4", 2, turn=turn))
    expected = np.rot90(plain(0), degrees // 90)  # counter-clockwise; what is displayed is then mirrored
    expected = expected[:, ::-1] if mirrored else expected
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("size", [(47, 63), (2, 2), (48, 130)])
def test_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(
        tmp_path / "a.mkv",
        3,
        picture=lambda number: np.full((*size, 3), grey(number), np.uint8),
        codec="ffv1",
        pixel_format="yuv444p",
    )
    _, pixels, _ = read(path)
    assert [picture.shape for picture in pixels] == [(*size, 3)] * 3


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    def widen(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    _, (pixels, *_), _ = read(write_video(tmp_path / "a.mp4", 2, turn=widen))
    assert pixels.shape == (HEIGHT, WIDTH * 3 // 2, 3)


# Colours


def frame_of(y: int, u: int, v: int, *, bits: int = 8, height: int = 48, **tags: int) -> av.VideoFrame:
    frame = av.VideoFrame(64, height, "yuv420p" if bits == 8 else "yuv420p10le")
    kind = np.uint8 if bits == 8 else np.uint16
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, value << (bits - 8), kind).tobytes())
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


RED_709, RED_601, RED_2020 = (63, 102, 240), (81, 90, 240), (74, 97, 240)
"""(255, 0, 0) in the limited range of each matrix."""


@pytest.mark.parametrize(
    ("yuv", "tags"),
    [
        (RED_709, {"colorspace": 1, "color_range": 1}),
        (RED_601, {"colorspace": 5, "color_range": 1}),
        (RED_601, {"colorspace": 6, "color_range": 1}),
        (RED_2020, {"colorspace": 9, "color_range": 1}),
        (RED_601, {"colorspace": 2, "height": 576}),
        (RED_709, {"colorspace": 2, "height": 720}),
        (RED_709, {"colorspace": 1, "bits": 10}),
        ((54, 99, 255), {"colorspace": 1, "color_range": 2}),
    ],
    ids=["709", "601-625", "601-525", "2020", "small", "large", "ten bits", "full range"],
)
def test_colours_go_by_what_the_frame_says(tmp_path: Path, yuv: tuple[int, int, int], tags: dict[str, int]) -> None:
    with VideoReader(write_video(tmp_path / "a.mp4", 1)) as reader:
        frame = frame_of(*yuv, **tags)
        pixels = video.PixelSource(reader.stream, frame)(frame)
    np.testing.assert_allclose(pixels[20, 20], (255, 0, 0), atol=3)


def test_matrix_and_range() -> None:
    assert matrix_of(frame_of(0, 0, 0, colorspace=2, height=48)) == 5
    assert matrix_of(frame_of(0, 0, 0, colorspace=2, height=1080)) == 1
    assert not is_full_range(frame_of(0, 0, 0))
    assert is_full_range(av.VideoFrame(64, 48, "yuvj420p"))


def test_high_dynamic_range_becomes_that_of_a_photo(tmp_path: Path) -> None:
    """Paper white, 203 nits, is code 0.58 in PQ; taken for SDR it would be a middling grey."""

    def tag(stream: av.VideoStream) -> None:
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1

    white = round(255 * 0.58)
    path = write_video(
        tmp_path / "a.mp4",
        2,
        picture=lambda _: np.full((48, 64, 3), white, np.uint8),
        codec="libx265",
        pixel_format="yuv420p10le",
        turn=tag,
    )
    _, (pixels, *_), _ = read(path)
    assert 215 < pixels[20, 20].min() <= pixels[20, 20].max() < 240


# Bad input


def no_pictures(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))  # type: ignore[union-attr, arg-type]
        container.mux(stream.encode(None))  # type: ignore[union-attr]


def unknown_coding(path: Path) -> None:
    write_video(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))


def cut_off(path: Path) -> None:
    """The index of an MP4 is at its end."""
    write_video(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def playlist(path: Path) -> None:
    """FFmpeg would open what it names."""
    other = write_video(path.with_name("other.ts"))
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1.2,\n{other}\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("hello, this is no video at all"), "is not a video that can be read"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "can't be read"),
        (no_pictures, "holds no pictures but sound"),
        (unknown_coding, "coding that this build of FFmpeg can't decode"),
        (cut_off, "is not a video that can be read"),
        (playlist, "is not a video that can be read"),
    ],
    ids=["empty", "text", "folder", "missing", "audio only", "missing codec", "truncated", "playlist"],
)
def test_what_is_no_video(tmp_path: Path, spoil: Callable[[Path], object], reason: str) -> None:
    path = tmp_path / "a.mp4"
    spoil(path)
    with pytest.raises(ClipError, match=reason) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_there_of_a_cut_off_video_is_read(tmp_path: Path) -> None:
    """MPEG-TS has no index: any piece can be read."""
    path = write_video(tmp_path / "a.ts", 30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    times, pixels, _ = read(path)
    assert 5 < len(times) < 30
    np.testing.assert_allclose(greys(pixels)[:5], [grey(number) for number in range(5)], atol=12)


def test_what_is_there_of_a_cut_off_mp4_is_read(tmp_path: Path) -> None:
    """The index, which comes first, still names all frames."""
    noise = np.random.default_rng(0)

    def noisy(number: int) -> Pixels:
        pixels = noise.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        pixels[HEIGHT // 2 :, WIDTH // 2 :] = grey(number)
        return pixels

    path = write_video(tmp_path / "a.mp4", 30, picture=noisy, container_options={"movflags": "+faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    times, pixels, broken = read(path)
    assert 5 < len(times) < 30
    assert len(times) + broken <= 30
    np.testing.assert_allclose(greys(pixels)[:5], [grey(number) for number in range(5)], atol=12)


def test_damaged_frames_are_left_out_and_counted(tmp_path: Path) -> None:
    path = damage(write_video(tmp_path / "a.mkv", 12, codec="mjpeg", pixel_format="yuvj420p"), 4, 7)
    times, pixels, broken = read(path)
    assert broken == 2
    assert times == [Fraction(number, 10) for number in range(12) if number not in (4, 7)]
    np.testing.assert_allclose(greys(pixels), [grey(n) for n in range(12) if n not in (4, 7)], atol=12)


def test_without_pyav(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(BackendUnavailable, match=r"pip install .*\[video\]"):
        VideoReader(tmp_path / "a.mp4")


@given(st.sampled_from([(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)]))
def test_a_turn_moves_corners_where_the_matrix_says(matrix: tuple[int, int, int, int]) -> None:
    """The corner that is coded top left, (-1, -1) from the middle, goes to (-1, -1) times the matrix."""

    class FrameWithMatrix:
        side_data = {  # noqa: RUF012
            "DISPLAYMATRIX": struct.pack("9i", *(v << 16 for v in (*matrix[:2], 0, *matrix[2:], 0, 0, 0, 1 << 14)))
        }

    a, b, c, d = matrix
    pixels = np.zeros((5, 7, 3), np.uint8)
    pixels[0, 0] = 255
    turned = video.turn_of(FrameWithMatrix())(pixels)  # type: ignore[arg-type]
    x, y = -a - c, -b - d
    assert turned[0 if y < 0 else -1, 0 if x < 0 else -1].min() == 255
