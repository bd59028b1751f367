"""Writes TensorFlow checkpoints (tensor bundles) for tests, sound ones and, on request, strange ones.

Written from the format alone and sharing no code with the reader, not even the checksum.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

MAGIC = 0xDB4775248B80FB57
TYPE_NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
BFLOAT16 = 14


def _divide(remainder: int, bits: int) -> int:
    for _ in range(bits):
        remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder


REMAINDERS = [_divide(octet, 8) for octet in range(256)]


def crc32c(data: bytes) -> int:
    """Byte by byte: 15 MB a second."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc = REMAINDERS[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    octets = bytearray()
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""


def message_field(number: int, message: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(message)) + message


@dataclass(frozen=True)
class Layout:
    """How a bundle is laid out in files."""

    shards: int = 1
    restart_interval: int = 16
    """Every so many names one is written whole instead of as a difference from the one before."""
    names_per_block: int = 1000
    big_endian: bool = False
    compression: int = 0
    """The marker of every block. The blocks themselves stay uncompressed."""
    min_consumer: int = 0
    padding: int = 0
    """Bytes of nothing before each tensor in its data file."""
    bfloat16: frozenset[str] = frozenset()
    """Names of uint16 arrays to be written as the bits of bfloat16."""
    extra_entries: Mapping[bytes, bytes] = field(default_factory=dict)
    """Further names with their messages, or other messages for names that are there."""
    checksum: Callable[[bytes], int] = crc32c
    """Of the tensors; a faster one serves for large checkpoints."""


def entry_message(
    *, type_number: int, shape: Iterable[int], size: int, crc: int, shard: int = 0, offset: int = 0, slices: int = 0
) -> bytes:
    """A BundleEntryProto."""
    dimensions = b"".join(message_field(2, number_field(1, dimension)) for dimension in shape)
    return (
        number_field(1, type_number)
        + message_field(2, dimensions)
        + number_field(3, shard)
        + number_field(4, offset)
        + number_field(5, size)
        + varint(6 << 3 | 5)
        + struct.pack("<I", mask(crc))
        + b"".join(message_field(7, b"") for _ in range(slices))
    )


def header_message(*, shards: int, big_endian: bool = False, min_consumer: int = 0) -> bytes:
    """A BundleHeaderProto."""
    version = number_field(1, 1) + number_field(2, min_consumer)
    return number_field(1, shards) + number_field(2, int(big_endian)) + message_field(3, version)


def table_block(entries: Mapping[bytes, bytes], restart_interval: int = 16, compression: int = 0) -> bytes:
    """A block of a LevelDB table with its trailer. Keys are written in the order they come."""
    body = bytearray()
    restarts = [0]
    previous = b""
    for i, (key, value) in enumerate(entries.items()):
        shared = 0
        if i % restart_interval:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        elif i:
            restarts.append(len(body))
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    body += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    body.append(compression)
    return bytes(body) + struct.pack("<I", mask(crc32c(bytes(body))))


def table(blocks: Iterable[Mapping[bytes, bytes]], restart_interval: int = 16, compression: int = 0) -> bytes:
    """A whole table: data blocks, empty metaindex, index, footer."""
    data = bytearray()

    def append(block: bytes) -> bytes:
        handle = varint(len(data)) + varint(len(block) - 5)
        data.extend(block)
        return handle

    handles = {}
    for entries in blocks:
        handles[list(entries)[-1]] = append(table_block(entries, restart_interval, compression))
    if handles:  # TensorFlow closes the index with the shortest key above all names
        last = max(handles)
        handles[bytes([last[0] + 1]) if last and last[0] < 0xFF else last] = handles.pop(last)
    footer = append(table_block({})) + append(table_block(handles, 1, compression))
    return bytes(data) + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def write_bundle(prefix: Path, tensors: Mapping[str, NDArray[Any]], layout: Layout | None = None) -> Path:
    """Write the files of a checkpoint, the tensors dealt out to the shards in turn. Returns the prefix.

    Holds one tensor at a time, so a lazy mapping may be larger than memory.
    """
    layout = layout or Layout()
    prefix.parent.mkdir(parents=True, exist_ok=True)
    header = header_message(shards=layout.shards, big_endian=layout.big_endian, min_consumer=layout.min_consumer)
    messages = {b"": header}
    with ExitStack() as stack:
        files = [Path(f"{prefix}.data-{i:05d}-of-{layout.shards:05d}") for i in range(layout.shards)]
        streams = [stack.enter_context(file.open("wb")) for file in files]
        for i, (name, tensor) in enumerate(tensors.items()):
            stream = streams[i % layout.shards]
            stream.write(bytes(layout.padding))
            data = tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
            messages[name.encode()] = entry_message(
                type_number=BFLOAT16 if name in layout.bfloat16 else TYPE_NUMBERS[tensor.dtype.name],
                shape=tensor.shape,
                shard=i % layout.shards,
                offset=stream.tell(),
                size=len(data),
                crc=layout.checksum(data),
            )
            stream.write(data)
    messages = dict(sorted({**messages, **layout.extra_entries}.items()))
    names = list(messages)
    step = layout.names_per_block
    blocks = [{name: messages[name] for name in names[start : start + step]} for start in range(0, len(names), step)]
    Path(f"{prefix}.index").write_bytes(table(blocks, layout.restart_interval, layout.compression))
    return prefix
