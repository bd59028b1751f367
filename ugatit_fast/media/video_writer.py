"""Videos out, by PyAV: H.264 in yuv420p and BT.709, with the source's sound, in segments that outlive a killed run.

    pictures -> segments (NAME.part/000000.nut ...) -> all of them, and the source's sound, in one file -> NAME

A segment is a file of its own, written whole, of pictures whose times are already those of the video: joining copies
packets. That works because each picture is predicted from earlier ones only (no B-frames), so the packets' order is
that of their times.
"""

import hashlib
import heapq
import itertools
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.files import make_folder, write_errors, written_whole
from ugatit_fast.media.clip import Frame, Picture
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.sound import Sound
from ugatit_fast.media.video import import_av, open_video

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from ugatit_fast.media.sound import AnyPacket

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""What videos are written as: suffix -> FFmpeg's name."""

FRAMES_PER_SEGMENT = 240
"""Most that a killed run loses."""

PART_SUFFIX = ".part"
LONGEST_NAME = 143
"""Bytes that every disk takes for a name, encrypted ones too."""
SETTINGS = "settings.json"
"""In the folder of segments: what they were made with, and of what."""
SEGMENT_NAME = re.compile(r"(\d{6})\.nut")

_BT709, _LIMITED = 1, 1


class VideoWriter:
    """Writes a video; see `ClipWriter`. What an earlier run of the same settings has finished is kept, and told."""

    def __init__(
        self,
        target: Path,
        time_base: Fraction,
        *,
        rate: Fraction,
        crf: int,
        sound: Path | None,
        tags: Mapping[str, str],
        settings: Mapping[str, object],
    ) -> None:
        """Look for segments of an earlier run, and begin anew where they were made otherwise.

        time_base: seconds, of the frames' times. rate: frames a second, on average.
        crf: x264's, 0 (lossless) to 51. sound: the video whose sound is taken over; None for silence.
        tags: what the file says about itself, by FFmpeg's names; what the container has no place for is left out.
        settings: all that the pictures depend on, as JSON has it.
        Raises InputError where the folder of segments can't be written, or isn't ours; BackendUnavailable without PyAV
        or x264.
        """
        self.target, self.time_base, self.rate, self.crf = target, time_base, rate, crf
        self.sound, self.tags = sound, tags
        self.av = import_av()
        try:
            self.av.Codec("libx264", "w")
        except self.av.FFmpegError as error:
            raise BackendUnavailable(
                "this build of PyAV has no x264 to write videos with: pip install --force-reinstall --no-deps av"
            ) from error
        self.part = part_of(target)
        self.end = 0
        """When the last picture ends."""
        self.begin({**settings, "crf": crf, "av": self.av.__version__})

    @property
    def segments(self) -> list[Path]:
        return sorted(path for path in self.part.iterdir() if SEGMENT_NAME.fullmatch(path.name))

    @property
    def finished(self) -> int:
        return FRAMES_PER_SEGMENT * len(self.kept)

    def begin(self, settings: Mapping[str, object]) -> None:
        wanted = json.dumps(settings, indent=2, sort_keys=True)
        with write_errors(self.part):
            make_folder(self.part)
            there = {path.name for path in self.part.iterdir()}
            file = self.part / SETTINGS
            if there and SETTINGS not in there:
                raise InputError(f"{self.part} holds something else, and is needed for {self.target}; rename it")
            same = SETTINGS in there and file.read_text(encoding="utf-8") == wanted
            if there and not same:
                warnings.warn(f"{self.part} was begun with other settings; it is done anew", stacklevel=1)
            for name in there - {SETTINGS}:
                if not (same and SEGMENT_NAME.fullmatch(name)):
                    (self.part / name).unlink()
        if not same:
            with written_whole(file) as partial:
                partial.write_text(wanted, encoding="utf-8")
        self.kept = self.segments

    def skip(self, frame: Frame) -> None:
        self.end = frame.start + frame.duration

    def write(self, pictures: Iterator[Picture]) -> None:
        """See `ClipWriter`. The folder of segments goes when the file is there."""
        for number in itertools.count(len(self.kept)):
            first = next(pictures, None)
            if first is None:
                break
            self.write_segment(number, itertools.chain([first], itertools.islice(pictures, FRAMES_PER_SEGMENT - 1)))
        self.join()
        shutil.rmtree(self.part, ignore_errors=True)

    def write_segment(self, number: int, pictures: Iterator[Picture]) -> None:
        with (
            self.written(self.part / f"{number:06}.nut") as partial,
            self.av.open(f"file:{partial}", "w", format="nut") as container,
        ):
            stream: VideoStream | None = None
            for frame, pixels in pictures:
                even = even_sided(pixels)
                stream = stream or self.add_video(container, even)
                rgb = self.av.VideoFrame.from_ndarray(even, format="rgb24")
                coded = rgb.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
                coded.color_primaries = coded.color_trc = _BT709
                coded.pts, coded.time_base, coded.pict_type = frame.start, self.time_base, 0
                container.mux(stream.encode(coded))
                self.end = frame.start + frame.duration
            if stream:
                container.mux(stream.encode())

    @contextmanager
    def written(self, path: Path) -> Iterator[Path]:
        """As `written_whole`, which knows what to say of a full disk, for FFmpeg's errors too."""
        with written_whole(path) as partial:
            try:
                yield partial
            except self.av.FFmpegError as error:
                # A copy: FFmpeg's own is an OSError of some kinds only, and its text names no file.
                raise OSError(error.errno, error.strerror) from error

    def add_video(self, container: "OutputContainer", pixels: Pixels) -> "VideoStream":
        options = {"crf": str(self.crf), "bf": "0"}
        stream = container.add_stream("libx264", rate=self.rate.limit_denominator(2**16), options=options)
        context = stream.codec_context
        context.height, context.width = pixels.shape[:2]
        context.pix_fmt = "yuv420p"
        context.time_base = stream.time_base = self.time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return stream

    # Joining --------------------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Copy all segments, and the sound, into the target."""
        name = CONTAINERS[self.target.suffix.lower()]
        flags = {} if name == "matroska" else {"movflags": "+faststart"}
        with ExitStack() as stack:
            partial = stack.enter_context(self.written(self.target))
            output = stack.enter_context(self.av.open(f"file:{partial}", "w", format=name, container_options=flags))
            output.metadata.update(self.tags)
            packets: list[Iterator[AnyPacket]] = [self.picture_packets(self.add_copy(output))]
            if self.sound:
                source = stack.enter_context(open_video(self.sound))
                packets.append(Sound(source, output).packets())
            # In the order of their times, or the container would keep all of the one until the other begins.
            for packet in heapq.merge(*packets, key=seconds_of):
                output.mux(packet)

    def add_copy(self, output: "OutputContainer") -> "VideoStream":
        with self.av.open(f"file:{self.segments[0]}", "r", format="nut") as segment:
            stream: VideoStream = output.add_stream_from_template(segment.streams.video[0], opaque=True)
        stream.time_base = self.time_base
        return stream

    def picture_packets(self, stream: "VideoStream") -> "Iterator[Packet[VideoStream]]":
        """The packets of all segments; each is shown until the next, and the last until the last frame ends."""
        held: Packet[VideoStream] | None = None
        shown = 0
        for path in self.segments:
            with self.av.open(f"file:{path}", "r", format="nut") as segment:
                for packet in segment.demux(segment.streams.video[0]):
                    if packet.dts is None:  # the last one is empty
                        continue
                    packet.stream = stream
                    if held:
                        held.duration = packet.dts - shown
                        yield held
                    held, shown = packet, packet.dts
        if held:
            held.duration = round(self.end * self.time_base / held.time_base) - shown
            yield held


def part_of(target: Path) -> Path:
    """The folder of a video's segments: its name and `PART_SUFFIX`, or a short one where that would be too long."""
    name = target.name + PART_SUFFIX
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"ugatit-fast-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}{PART_SUFFIX}"
    return target.with_name(name)


def seconds_of(packet: "AnyPacket") -> Fraction:
    return (packet.dts or 0) * packet.time_base


def even_sided(pixels: Pixels) -> Pixels:
    """With a last row or column repeated where there is an odd number: colours are coded for pairs."""
    rows, columns = pixels.shape[0] % 2, pixels.shape[1] % 2
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else pixels
