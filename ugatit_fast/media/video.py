"""Videos in, by PyAV: frames upright and in sRGB, at the times that the file gives them.

    file -> packets -> decoded frames -> pixels: by the frame's own colours, turned as the file says

Interlaced frames are taken as they are. What only pictures need is done in `PixelSource`, on any thread.
"""

import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.files import refuse_special
from ugatit_fast.machine import pip_install
from ugatit_fast.media.clip import ClipError, Frame
from ugatit_fast.media.clock import packets_of
from ugatit_fast.media.colour import of_frame, to_srgb
from ugatit_fast.media.images import MAX_PIXELS, Pixels

if TYPE_CHECKING:
    from av.buffer import Buffer
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

# fmt: off
VIDEO_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv",
    ".ts", ".vob", ".webm", ".wmv",
)
# fmt: on
"""What counts as a video; it is told by its name, since a folder may hold thousands of files."""

STREAM_SUFFIXES = (".ts", ".mts", ".m2ts")
"""Those of transport streams; programs in TypeScript end so too."""
STREAM_PACKETS = (188, 192, 204)
"""Bytes of their packets: plain, with a time in front, with a checksum behind."""
SYNC_BYTE = 0x47

FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,nut"
"""The only demuxers a file can reach, whatever its name says: FFmpeg has others that open more files, or addresses."""

BT709, BT601, FCC, SMPTE240M, BT2020 = 1, 5, 4, 7, 9
MATRICES = {1: BT709, 4: FCC, 5: BT601, 6: BT601, 7: SMPTE240M, 9: BT2020, 10: BT2020}
"""How a file names its matrix from YCbCr to RGB (H.273) -> how the converter does."""
_LIMITED, _FULL = 1, 2


def import_av() -> ModuleType:
    """PyAV. Raises BackendUnavailable where it is missing."""
    try:
        import av
    except ImportError as error:
        raise BackendUnavailable(f"videos need PyAV: {pip_install('video')}") from error
    return av


class VideoReader:
    """The frames of a video's first stream of pictures; a context manager. Their times are the file's, moved to 0."""

    plays = 1
    threading = "AUTO"
    """What FFmpeg's decoder shares out among threads."""

    def __init__(self, path: Path) -> None:
        """Raises ClipError for a file without video, or that can't be decoded; BackendUnavailable without PyAV."""
        self.path = path
        self.sound: Path | None = path
        self.container = self.open()
        self.broken = 0
        try:
            self.stream = self.find_stream()
        except BaseException:
            self.container.close()
            raise
        self.stream.thread_type = self.threading
        self.time_base = self.stream.time_base or Fraction(1, 90_000)
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.tags: Mapping[str, str] = dict(self.container.metadata)
        start = self.container.start_time or 0  # microseconds, of the earliest stream
        self.offset = round(Fraction(start, 1_000_000) / self.time_base)
        self.expected = self.stream.frames or round(Fraction(self.container.duration or 0, 1_000_000) * self.rate)

    def open(self) -> "InputContainer":
        return open_video(self.path)

    def ended_early(self, error: "FFmpegError") -> None:
        """Called where no further packet can be read: the file is cut off, or damaged beyond finding the next."""
        warnings.warn(f"{self.path} ends early ({error.strerror}); its sound may go on", stacklevel=1)

    def find_stream(self) -> "VideoStream":
        from av.stream import Disposition

        streams = [s for s in self.container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            sound = " but sound" if self.container.streams.audio else ""
            raise ClipError(f"{self.path} holds no pictures{sound}; name a video")
        stream = streams[0]
        if not can_be_decoded(stream):
            raise ClipError(
                f"{self.path} is in a coding that this build of FFmpeg can't decode; convert it to H.264 first"
            )
        if stream.width * stream.height > MAX_PIXELS:
            raise ClipError(
                f"{self.path} is {stream.width} x {stream.height}; expected at most {MAX_PIXELS // 10**6} megapixels: "
                "make it smaller first"
            )
        return stream

    def frames(self) -> Iterator[Frame]:
        """See `ClipReader`. Frames that are damaged, or shown no later than the one before, are left out."""
        usual = max(1, round(1 / (self.rate * self.time_base)))
        pixels: PixelSource | None = None
        due = 0
        last = -1
        for frame in self.decoded():
            pixels = pixels or PixelSource(self.stream, frame)
            start = due if frame.pts is None else frame.pts - self.offset
            if frame.is_corrupt or start <= last:
                self.broken += 1
                continue
            duration = frame.duration or usual
            yield Frame(start, duration, partial(pixels, frame))
            last, due = start, start + duration

    def decoded(self) -> Iterator["VideoFrame"]:
        from av.error import FFmpegError

        packets = packets_of(self.container)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self.ended_early(error)
                packet = None
            if packet is None:
                return
            if packet.stream != self.stream:
                continue
            try:
                yield from self.stream.decode(packet)
            except FFmpegError:
                self.broken += 1

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()


def open_video(path: Path) -> "InputContainer":
    """Open a video file, and no other that it may name. Raises ClipError."""
    av = import_av()
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    if path.is_dir():
        raise ClipError(f"{path} is a folder, not a video; name a video in it")
    refuse_special(path)
    try:
        if path.stat().st_size == 0:
            raise ClipError(f"{path} is empty (0 bytes); copy or export it again")
        return av.open(f"file:{path}", container_options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise ClipError(
            f"{path} is not a video that can be read, or a damaged one ({error.strerror}); copy or convert it again"
        ) from error
    except OSError as error:
        raise ClipError(f"{path} can't be read ({error.strerror}); check its name and permissions") from error


def is_transport_stream(path: Path) -> bool:
    """Whether the beginning of a file has a transport stream's rhythm; one that can't be read is taken for one."""
    try:
        with path.open("rb") as file:
            head = file.read(8 * max(STREAM_PACKETS))
    except OSError:
        return True
    return any(
        all(head[at] == SYNC_BYTE for at in range(first, min(first + 3 * size, len(head)), size))
        for size in STREAM_PACKETS
        for first in range(min(size, len(head) - size))
    )


def can_be_decoded(stream: "Stream") -> bool:
    """Whether FFmpeg knows the coding; PyAV's types say that it always does."""
    context: object = stream.codec_context
    return context is not None


# Frame to pixels --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """What sets frames upright: first rows and columns swapped, then either turned round."""

    swap: bool
    across: bool
    down: bool

    def __call__(self, pixels: Pixels) -> Pixels:
        if self.swap:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if self.down else 1, :: -1 if self.across else 1]


def turn_of(frame: "VideoFrame") -> Turn:
    """By the frame's display matrix, to the nearest quarter turn, mirrored or not."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn(False, False, False)
    # Rows of the matrix say where a step to the right, and one down, lead: (a, b) and (c, d) in 16.16 fixed point.
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(cast("Buffer", matrix)), np.int32)[:5])
    if abs(b) > abs(a):
        return Turn(True, across=c < 0, down=b < 0)
    return Turn(False, across=a < 0, down=d < 0)


class PixelSource:
    """Makes pixels of a stream's frames, all of the first one's size. Safe to call from several threads at once."""

    def __init__(self, stream: "VideoStream", first: "VideoFrame") -> None:
        aspect = stream.sample_aspect_ratio or Fraction(1)  # pixels of old films and DVDs aren't square
        self.width = max(1, round(first.width * aspect))
        self.height = first.height
        self.turn = turn_of(first)
        self.threads = threading.local()

    def __call__(self, frame: "VideoFrame") -> Pixels:
        rgb = self.reformatter().reformat(
            frame,
            width=self.width,
            height=self.height,
            format="rgb24",
            src_colorspace=matrix_of(frame),
            src_color_range=_FULL if is_full_range(frame) else _LIMITED,
            dst_color_range=_FULL,
            threads=1,
        )
        pixels = to_srgb(cast(Pixels, rgb.to_ndarray()), of_frame(frame.color_primaries, frame.color_trc))
        return np.ascontiguousarray(self.turn(pixels))

    def reformatter(self) -> "VideoReformatter":
        """One for each thread, kept: making it costs as much as using it."""
        from av.video.reformatter import VideoReformatter

        if not hasattr(self.threads, "reformatter"):
            self.threads.reformatter = VideoReformatter()
        kept: VideoReformatter = self.threads.reformatter
        return kept


def matrix_of(frame: "VideoFrame") -> int:
    """The converter's name for the frame's matrix; where the file doesn't say, players go by the size, and so do we."""
    usual = BT709 if frame.width >= 1280 or frame.height > 576 else BT601
    return MATRICES.get(frame.colorspace, usual)


def is_full_range(frame: "VideoFrame") -> bool:
    return frame.color_range == _FULL or frame.format.name.startswith("yuvj")
