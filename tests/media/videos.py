"""Small videos, made with PyAV for a test."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ugatit_fast.media.images import Pixels

WIDTH, HEIGHT = 64, 48


def grey(number: int) -> int:
    """The level of frame `number`, far enough from its neighbours' to survive any coding."""
    return 16 + 12 * (number % 18)


def plain(number: int) -> Pixels:
    """A frame that says which it is, and which side is up: grey, its top left quarter red."""
    pixels = np.full((HEIGHT, WIDTH, 3), grey(number), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = (220, 30, 30)
    return pixels


def write_video(
    path: Path,
    frames: int = 12,
    *,
    picture: Callable[[int], Pixels] = plain,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 10,
    sound: str | None = None,
    turn: Callable[[av.VideoStream], None] = lambda stream: None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """times: of the frames, in units of time_base; one a frame at `rate` unless given. sound: its codec."""
    with av.open(str(path), "w", container_options=container_options) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "5"})
        assert isinstance(stream, av.VideoStream)
        first = picture(0)
        stream.height, stream.width, stream.pix_fmt = first.shape[0], first.shape[1], pixel_format
        stream.codec_context.time_base = time_base or Fraction(1, rate)
        turn(stream)
        audio = container.add_stream(sound, rate=48_000, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = times[number] if times else number, time_base or Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            assert isinstance(audio, av.AudioStream)
            container_sound(container, audio, frames / rate)
    return path


def container_sound(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    """A tone of 440 Hz."""
    tone = 0.3 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(round(48_000 * seconds)))
    for start in range(0, len(tone) - 960 + 1, 960):
        samples = (tone[None, start : start + 960] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def damage(path: Path, *numbers: int) -> Path:
    """Spoil frames of an MKV of MJPEG, each of which stands alone; MKV finds its next packet by itself."""
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    for number in numbers:
        start, end = starts[number], starts[number + 1] - 20
        content[start:end] = bytes(end - start)
    path.write_bytes(content)
    return path


def read_video(path: Path) -> tuple[list[Fraction], list[Pixels]]:
    """Times in seconds, and pixels, as FFmpeg has them: neither turned nor of any colours but the tagged."""
    with av.open(f"file:{path}") as container:
        frames = list(container.decode(container.streams.video[0]))
        return [frame.pts * frame.time_base for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def greys(pixels: Sequence[npt.NDArray[np.uint8]]) -> list[int]:
    """The level in the middle of each frame's lower right quarter."""
    return [int(picture[picture.shape[0] * 3 // 4, picture.shape[1] * 3 // 4, 1]) for picture in pixels]
