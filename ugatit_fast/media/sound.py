"""The sound of one video in another: packets copied, or coded anew as stereo AAC where the container can't hold them.

    source -> packets of its tracks -> (decoded -> AAC) -> packets for the tracks added to the output

MP4 and MOV hold nearly all but Vorbis, Windows Media and the telephone's codings, MKV Vorbis too.
"""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ugatit_fast.media.video import can_be_decoded

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

    AnyPacket = Packet[Any]
    """Of a stream of any kind."""

MOST_SAMPLES_PER_SECOND = 48_000
"""Of sound that is coded anew."""


class Sound:
    """All tracks of sound of `source`, on their way into `output`."""

    def __init__(self, source: "InputContainer", output: "OutputContainer") -> None:
        """Add the tracks to `output`, to which nothing was written yet. One in an unknown coding is left out."""
        self.source, self.output = source, output
        self.copies: dict[int, AudioStream] = {}
        self.encoders: dict[int, AudioStream] = {}
        for track in source.streams.audio:
            coding = track.codec_context
            if not can_be_decoded(track):
                warnings.warn(f"{source.name} has sound in an unknown coding, which is left out", stacklevel=1)
            elif coding.name in output.supported_codecs:
                self.copies[track.index] = output.add_stream_from_template(track, opaque=True)
            else:
                rate = min(coding.sample_rate, MOST_SAMPLES_PER_SECOND)
                layout = "mono" if coding.layout.nb_channels == 1 else "stereo"
                self.encoders[track.index] = output.add_stream("aac", rate=rate, layout=layout)

    def packets(self) -> "Iterator[AnyPacket]":
        """Those for `output`, from time 0 of `source` on, in its order; up to where it is cut off or damaged."""
        tracks = [track for track in self.source.streams.audio if track.index in self.copies | self.encoders]
        start = Fraction(self.source.start_time or 0, 1_000_000)
        for packet in self.whole_packets(tracks):
            index = packet.stream.index
            if index in self.encoders:
                yield from self.coded_anew(packet, start)
            elif packet.dts is not None:  # the last one of all is empty
                offset = round(start / packet.time_base)
                packet.pts = (packet.dts if packet.pts is None else packet.pts) - offset
                packet.dts -= offset
                packet.stream = self.copies[index]
                yield packet
        for encoder in self.encoders.values():
            yield from encoder.encode(None)

    def whole_packets(self, tracks: "list[AudioStream]") -> "Iterator[AnyPacket]":
        from av.error import FFmpegError

        try:
            if tracks:
                yield from self.source.demux(tracks)
        except FFmpegError:  # told by whoever reads the pictures of the same file
            return

    def coded_anew(self, packet: "AnyPacket", start: Fraction) -> "Iterator[AnyPacket]":
        from av.error import FFmpegError

        try:
            frames: list[Any] = packet.decode()
        except FFmpegError:  # a damaged packet is a short silence
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(start / frame.time_base)
            yield from self.encoders[packet.stream.index].encode(frame)
