"""Where picture files say what their colours are, as far as Pillow doesn't tell.

That is in PNG's chunks, in the boxes of AVIF and JPEG 2000, and in the numbers that an ICC profile may hold.

Whatever is damaged ends the search: the picture is then shown as if it said nothing, as viewers do.
"""

import io
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

Place = tuple[float, float]
"""CIE x and y."""
Cicp = tuple[int, int]
"""H.273's numbers of primaries and transfer."""

LONGEST_CHUNK = 2**16
"""Of those that are read; all have less than 40 bytes."""
DEEPEST_BOX = 8
CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}
"""Boxes on the way to colours -> bytes in front of the boxes in them."""
NAMED_SPACES = {16: (1, 13), 17: (1, 13), 18: (1, 13)}
"""JPEG 2000's numbers for sRGB, grey with sRGB's curve, and sYCC."""


class Chromaticities(NamedTuple):
    """Primaries and their white."""

    red: Place
    green: Place
    blue: Place
    white: Place


class PngColours(NamedTuple):
    """What a PNG file says, but for an ICC profile."""

    cicp: Cicp | None = None
    srgb: bool = False
    gamma: float | None = None
    """Power from light to code."""
    chromaticities: Chromaticities | None = None


class BoxColours(NamedTuple):
    """What the boxes of a file say."""

    cicp: Cicp | None = None
    profile: bytes | None = None


# PNG --------------------------------------------------------------------------------------------------------------


def colours_in_png(file: IO[bytes]) -> PngColours:
    """Of the chunks in front of the pixels."""
    said = PngColours()
    for kind, content in chunks(file):
        if kind == b"cICP" and len(content) == 4:
            primaries, transfer, matrix, full_range = content
            if (matrix, full_range) == (0, 1):
                said = said._replace(cicp=(primaries, transfer))
        elif kind == b"sRGB":
            said = said._replace(srgb=True)
        elif kind == b"gAMA" and len(content) == 4:
            said = said._replace(gamma=int.from_bytes(content) / 100_000 or None)
        elif kind == b"cHRM" and len(content) == 32:
            x = [value / 100_000 for value in struct.unpack(">8I", content)]
            white, red, green, blue = zip(x[::2], x[1::2], strict=True)
            if min(white[1], red[1], green[1], blue[1]) >= 0 and white[1] > 0:
                said = said._replace(chromaticities=Chromaticities(red, green, blue, white))
    return said


def chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Those in front of the pixels, as far as they are short; the content of others is left out."""
    file.seek(8)
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in (b"IDAT", b"IEND"):
            return
        start = file.tell()
        yield kind, file.read(length) if length <= LONGEST_CHUNK else b""
        file.seek(start + length + 4)


# AVIF, JPEG 2000 --------------------------------------------------------------------------------------------------


def colours_in_boxes(file: IO[bytes]) -> BoxColours:
    """Of the first boxes that tell: the picture's own are before those of what goes with it."""
    said = BoxColours()
    for content in colour_boxes(file, 0, file.seek(0, io.SEEK_END), 0):
        kind = content[:4]
        if kind == b"nclx" and len(content) >= 8 and said.cicp is None:
            said = said._replace(cicp=struct.unpack(">HH", content[4:8]))
        elif kind in (b"prof", b"rICC") and said.profile is None:
            said = said._replace(profile=content[4:])
        elif content[:1] == b"\x02" and said.profile is None:  # JPEG 2000's: method, precedence, approximation
            said = said._replace(profile=content[3:])
        elif content[:1] == b"\x01" and len(content) >= 7 and said.cicp is None:
            said = said._replace(cicp=NAMED_SPACES.get(int.from_bytes(content[3:7])))
    return said


def colour_boxes(file: IO[bytes], at: int, end: int, depth: int) -> Iterator[bytes]:
    """The content of each `colr` box between two places of a file."""
    while at + 8 <= end and depth < DEEPEST_BOX:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if size == 1:
            size = int.from_bytes(file.read(8))
            start += 8
        last = at + size if size else end
        if not start <= last <= end:
            return
        if kind == b"colr":
            yield file.read(last - start)
        elif kind in CONTAINERS:
            yield from colour_boxes(file, start + CONTAINERS[kind], last, depth + 1)
        at = last


# ICC --------------------------------------------------------------------------------------------------------------


def cicp_in_profile(profile: bytes) -> Cicp | None:
    """The numbers in a profile's `cicp` tag, which HDR pictures carry beside tables for those who know no better."""
    if len(profile) < 132:
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, entry)
        content = profile[offset : offset + size]
        if name == b"cicp" and content[:4] == b"cicp" and len(content) >= 12:
            return content[8], content[9]
    return None
