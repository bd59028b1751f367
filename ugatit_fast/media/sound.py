"""The sound of one video in another: packets copied, or coded anew as AAC where players wouldn't play them.

    source -> packets of its tracks -> (decoded -> one sample after another -> AAC) -> packets for the output's tracks

What is coded anew is timed by counting samples: a file's own times may be too coarse to tell two packets apart.
"""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ugatit_fast.media.clock import packets_of
from ugatit_fast.media.video import can_be_decoded

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter import Graph
    from av.packet import Packet

    AnyPacket = Packet[Any]
    """Of a stream of any kind."""

# MP4 can hold more, such as Vorbis, PCM and FLAC, which phones, television sets and Apple's players don't play there.
PLAYED = {
    "mp4": ("aac", "ac3", "alac", "eac3", "mp3", "mp3float", "opus", "libopus"),
    "mov": ("aac", "ac3", "alac", "eac3", "mp3", "mp3float", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"),
}
"""Container -> the codings that are copied into it; into others, all that they hold."""
AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Samples a second that sound is coded anew with; 48000 where it has another rate."""
LARGEST_GAP = 0.1
"""Seconds of silence in a file, or of sound twice, up to which samples are taken to follow on each other."""


class Sound:
    """All tracks of sound of `source`, on their way into `output`."""

    def __init__(self, source: "InputContainer", output: "OutputContainer") -> None:
        """Add the tracks to `output`, to which nothing was written yet. One in an unknown coding is left out."""
        self.source, self.output = source, output
        self.copies: dict[int, AudioStream] = {}
        self.encoders: dict[int, Recoder] = {}
        self.copied_to: dict[int, int] = {}
        """Track -> dts of the last packet copied."""
        played = PLAYED.get(output.format.name, output.supported_codecs)
        for track in source.streams.audio:
            if not can_be_decoded(track):
                warnings.warn(f"{source.name} has sound in an unknown coding, which is left out", stacklevel=1)
            elif track.codec_context.name in played:
                self.copies[track.index] = output.add_stream_from_template(track, opaque=True)
            else:
                self.encoders[track.index] = Recoder(track, output)

    def packets(self) -> "Iterator[AnyPacket]":
        """Those for `output`, from time 0 of `source` on, in its order; up to where it is cut off or damaged."""
        start = Fraction(self.source.start_time or 0, 1_000_000)
        for packet in self.whole_packets():
            index = packet.stream.index
            if index in self.encoders:
                yield from self.coded_anew(packet, start)
            elif index in self.copies and packet.dts is not None:  # the last one of all is empty
                yield self.copied(packet, start)
        for encoder in self.encoders.values():
            yield from encoder.rest()

    def whole_packets(self) -> "Iterator[AnyPacket]":
        from av.error import FFmpegError

        try:
            if self.copies or self.encoders:
                yield from packets_of(self.source)
        except FFmpegError:  # told by whoever reads the pictures of the same file
            return

    def copied(self, packet: "AnyPacket", start: Fraction) -> "AnyPacket":
        """For its copy in the output, no earlier than the one before it: where clocks meet, they may overlap."""
        index = packet.stream.index
        offset = round(start / packet.time_base)
        dts = (packet.dts or 0) - offset
        later = max(dts, self.copied_to.get(index, dts - 1) + 1)
        packet.pts = max(later, (dts if packet.pts is None else packet.pts - offset) + later - dts)
        packet.dts = self.copied_to[index] = later
        packet.stream = self.copies[index]
        return packet

    def coded_anew(self, packet: "AnyPacket", start: Fraction) -> "Iterator[AnyPacket]":
        from av.error import FFmpegError

        encoder = self.encoders[packet.stream.index]
        try:
            frames: list[Any] = packet.decode()
        except FFmpegError:  # a damaged packet is a short silence
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(start / frame.time_base)
            yield from encoder.encode(frame)


class Recoder:
    """A track of the output in AAC, mono or stereo, made of decoded sound of any kind, also where that changes."""

    def __init__(self, track: "AudioStream", output: "OutputContainer") -> None:
        coding = track.codec_context
        self.rate = coding.sample_rate if coding.sample_rate in AAC_RATES else AAC_RATES[-1]
        self.layout = "mono" if coding.layout.nb_channels == 1 else "stereo"
        self.stream: AudioStream = output.add_stream("aac", rate=self.rate, layout=self.layout)
        self.counted = 0
        """Samples so far: where the next one belongs."""
        self.graph: Graph | None = None
        self.kind: tuple[str, str, int] | None = None
        """Of the sound that the graph takes: format of a sample, layout, rate."""

    def encode(self, frame: "AudioFrame") -> "Iterator[AnyPacket]":
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self.kind:
            yield from self.flushed()
            self.graph, self.kind = self.graph_for(frame), kind
        assert self.graph is not None, "made for the first frame"
        self.graph.push(frame)
        yield from self.filtered()

    def rest(self) -> "Iterator[AnyPacket]":
        """What is left when no more sound comes."""
        yield from self.flushed()
        yield from self.stream.encode(None)

    def graph_for(self, frame: "AudioFrame") -> "Graph":
        """FFmpeg's filters from one kind of sound to the track's, silence where a file has gaps."""
        from av.filter import Graph

        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base or Fraction(1, frame.sample_rate),
        )
        first = round(self.counted * frame.sample_rate / self.rate)
        steady = f"{self.rate}:async=1:min_hard_comp={LARGEST_GAP}:first_pts={first}"
        graph.link_nodes(
            source,
            graph.add("aresample", steady),
            graph.add("aformat", f"sample_fmts=fltp:channel_layouts={self.layout}"),
            graph.add("abuffersink"),
        ).configure()
        return graph

    def flushed(self) -> "Iterator[AnyPacket]":
        if self.graph is not None:
            self.graph.push(None)
            yield from self.filtered()

    def filtered(self) -> "Iterator[AnyPacket]":
        from av.error import BlockingIOError as NothingYet
        from av.error import EOFError as NothingMore

        assert self.graph is not None, "called where there is one"
        while True:
            try:
                frame: Any = self.graph.pull()
            except (NothingYet, NothingMore):
                return
            frame.pts, frame.time_base = self.counted, Fraction(1, self.rate)
            self.counted += frame.samples
            yield from self.stream.encode(frame)
