"""A video's packets on one clock, also where the file's starts anew: recordings joined end to end, a lost signal.

FFmpeg's library hands out the times that stand in the file; setting them right is left to programs. This is nearly the
rule of its command line, so that our times are those that it gives: where a stream's clock jumps, the first packet
behind it follows on the one before, and what it was off by is taken from all that come later, in the other streams too.
But not from everything at once, as there: the last packet of a stream from before the jump may come late.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

BACK_SECONDS = Fraction(1, 10)
"""A packet that is earlier than the one before it by more has another clock, where formats are known for that."""
FORTH_SECONDS = 10
"""Likewise one that is later than it is due."""
BACK_ANYWHERE_SECONDS = Fraction(1, 2)
"""In all other formats a clock never goes back; it did where pieces were put together byte by byte."""


class Clock:
    """Sets the times of a container's packets right; it must see all those of its pictures and sound, in order."""

    def __init__(self, container: "InputContainer") -> None:
        from av.format import Flags

        self.restarts = bool(container.format.flags & cast(int, Flags.ts_discont.value))
        self.newest = Fraction(0)
        """Seconds to add to the file's times since the latest jump."""
        self.added: dict[int, Fraction] = {}
        """Stream -> seconds that are added to its times."""
        self.last: dict[int, Fraction] = {}
        """Stream -> seconds of its last packet."""
        self.due: dict[int, Fraction] = {}
        """Stream -> seconds of its next packet, if nothing happens."""

    def set_right(self, packet: "Packet[Any]") -> None:
        """Move a packet's times to the common clock. Those without times stay as they are."""
        index = packet.stream.index
        if packet.dts is not None:
            self.follow(packet, index, packet.dts * packet.time_base)
        moved = round(self.added.get(index, self.newest) / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts + moved
        packet.pts = None if packet.pts is None else packet.pts + moved

    def follow(self, packet: "Packet[Any]", index: int, time: Fraction) -> None:
        """Choose what is added to a stream's times. time: of decoding the packet, in seconds, as the file has it."""
        added = self.added.setdefault(index, self.newest)
        if self.jumped(index, time + added):
            if self.jumped(index, time + self.newest):  # no other stream has jumped so before it
                self.newest = self.due[index] - time
            added = self.added[index] = self.newest
        self.last[index] = time + added
        duration = (packet.duration or 0) * packet.time_base
        if self.restarts or packet.pts is None:
            self.due[index] = time + added + duration
        else:  # in Matroska the time of decoding is guessed: what was shown tells where the next piece begins
            end = packet.pts * packet.time_base + added + duration
            self.due[index] = max(end, self.due.get(index, end))

    def jumped(self, index: int, time: Fraction) -> bool:
        if index not in self.due:
            return False
        if self.restarts:
            return time + BACK_SECONDS < self.last[index] or abs(time - self.due[index]) > FORTH_SECONDS
        return time + BACK_ANYWHERE_SECONDS < self.last[index]


def packets_of(container: "InputContainer") -> "Iterator[Packet[Any]]":
    """The packets of all streams of pictures and sound, in the file's order, on one clock. Raises FFmpegError."""
    clock = Clock(container)
    streams = [*container.streams.video, *container.streams.audio]
    for packet in container.demux(streams):
        clock.set_right(packet)
        yield packet
