"""What the index of a checkpoint says: its messages as entries.

Under the empty name the table has a BundleHeaderProto, under each variable's name a BundleEntryProto with its type,
shape, place and checksum (TensorFlow's tensor_bundle.proto, tensor_shape.proto and types.proto).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ugatit_fast.tensor_bundle.crc32c import unmask
from ugatit_fast.tensor_bundle.leveldb_table import Malformed, read_varint

BUNDLE_VERSION = 1  # of the format; there has been no other
MAX_SHARDS = 100_000  # what the five digits of the file names can count
MAX_RANK = 32  # NumPy's own limit before version 2
MAX_ELEMENTS = 1 << 48

# TensorFlow's numbering of types (DataType in types.proto) and the bytes of those that NumPy can hold: little-endian,
# bool as bytes, bfloat16 as the upper half of a float32. The others are refused by name.
TYPES: dict[int, tuple[str, str | None]] = {
    1: ("float32", "<f4"),
    2: ("float64", "<f8"),
    3: ("int32", "<i4"),
    4: ("uint8", "|u1"),
    5: ("int16", "<i2"),
    6: ("int8", "|i1"),
    7: ("string", None),
    8: ("complex64", "<c8"),
    9: ("int64", "<i8"),
    10: ("bool", "|u1"),
    11: ("qint8", None),
    12: ("quint8", None),
    13: ("qint32", None),
    14: ("bfloat16", "<u2"),
    15: ("qint16", None),
    16: ("quint16", None),
    17: ("uint16", "<u2"),
    18: ("complex128", "<c16"),
    19: ("float16", "<f2"),
    20: ("resource", None),
    21: ("variant", None),
    22: ("uint32", "<u4"),
    23: ("uint64", "<u8"),
    24: ("float8_e5m2", None),
    25: ("float8_e4m3fn", None),
    29: ("int4", None),
    30: ("uint4", None),
}
DECODED_TYPES = {"bool": np.dtype(bool), "bfloat16": np.dtype("<f4")}


@dataclass(frozen=True)
class Entry:
    """What one tensor is and where it lies."""

    name: str
    dtype: np.dtype[np.generic]
    """Of the array that `TensorBundle.read` returns: float32 for a tensor stored as bfloat16."""
    shape: tuple[int, ...]
    shard: int
    """Number of its data file."""
    offset: int
    """Its first byte there."""
    size: int
    """Its bytes there."""
    crc32c: int
    """Checksum of these bytes."""
    stored_as: str
    """TensorFlow's name of the stored type, such as "float32" or "bfloat16"."""


@dataclass(frozen=True)
class Index:
    """The parsed index. Every entry's size is that of its shape and type, and its shard is one of `num_shards`."""

    num_shards: int
    entries: dict[str, Entry]
    """The tensors that can be read, in order of their names."""
    unreadable: dict[str, str]
    """The others: by name, what they are."""


def parse_index(table: dict[bytes, bytes]) -> Index:
    """The messages of a table as entries. Raises Malformed."""
    if b"" not in table:
        raise Malformed("expected a header under the empty name, found none")
    num_shards = parse_header(table[b""])
    entries: dict[str, Entry] = {}
    unreadable: dict[str, str] = {}
    for key, value in table.items():
        if key.startswith(b"\0") or not key:
            continue  # the header, and pieces of a sliced tensor, which has an entry of its own
        name = parse_name(key)
        entry = parse_entry(name, value, num_shards)
        if isinstance(entry, Entry):
            entries[name] = entry
        else:
            unreadable[name] = entry
    return Index(num_shards, entries, unreadable)


def parse_name(key: bytes) -> str:
    """Printable, since names end up in messages and on terminals."""
    try:
        name = key.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"expected names in UTF-8, found {key!r}") from None
    if not name.isprintable():
        raise Malformed(f"expected printable names, found {name!r}")
    return name


def parse_header(message: bytes) -> int:
    header = Message(message)
    if header.number(2) != 0:
        raise Malformed(
            "expected little-endian data, found big-endian (saved on another kind of machine)",
            "load it there with TensorFlow and save it on a little-endian machine",
        )
    required = header.message(3).number(2)  # VersionDef.min_consumer
    if required > BUNDLE_VERSION:
        raise Malformed(
            f"expected format version {BUNDLE_VERSION}, found data for readers of version {required} and later",
            "save it again with tf.train.Saver of TensorFlow 1 or 2",
        )
    num_shards = header.number(1)
    if not 1 <= num_shards <= MAX_SHARDS:
        raise Malformed(f"expected 1 to {MAX_SHARDS} data files, found a count of {num_shards}")
    return num_shards


def parse_entry(name: str, message: bytes, num_shards: int) -> Entry | str:
    """The entry; or, if it can't be read, what it is."""
    fields = Message(message)
    if slices := fields.count(7):
        return f"saved in {slices} slice(s), as a partitioned variable; save it whole with TensorFlow"
    type_number = fields.number(1)
    stored_as, stored = TYPES.get(type_number, (f"number {type_number}", None))
    if stored is None:
        return f"of the TensorFlow type {stored_as}, which NumPy can't hold; save it as a number type"

    shape = parse_shape(name, fields.message(2))
    shard, offset, size = fields.number(3), fields.number(4), fields.number(5)
    needed = math.prod(shape) * np.dtype(stored).itemsize
    if size != needed:
        raise Malformed(f"expected {needed} bytes for {name}, {stored_as} of shape {shape}, found {size}")
    if shard >= num_shards:
        raise Malformed(f"expected {name} in one of {num_shards} data file(s), found it in number {shard} (from 0)")
    dtype = DECODED_TYPES.get(stored_as, np.dtype(stored))
    return Entry(name, dtype, shape, shard, offset, size, unmask(fields.number(6)), stored_as)


def parse_shape(name: str, fields: "Message") -> tuple[int, ...]:
    if fields.number(3) or fields.count(2) > MAX_RANK:
        found = "an unknown number" if fields.number(3) else str(fields.count(2))
        raise Malformed(f"expected at most {MAX_RANK} dimensions for {name}, found {found}")
    shape = tuple(dimension.number(1) for dimension in fields.messages(2))
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise Malformed(f"expected at most 2^48 numbers in {name}, found shape {shape}")
    return shape


class Message:
    """A protocol-buffer message: the values of each field, in the order they came. Absent fields are 0 or empty."""

    def __init__(self, message: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in read_fields(message):
            self._fields.setdefault(number, []).append(value)

    def count(self, field: int) -> int:
        return len(self._fields.get(field, ()))

    def number(self, field: int) -> int:
        """The last value, as the protocol says. Negative ones come out at 2^63 and above, beyond every limit here."""
        value = self._fields.get(field, [0])[-1]
        if not isinstance(value, int):
            raise Malformed(f"expected a number in field {field}, found {len(value)} bytes")
        return value

    def messages(self, field: int) -> list["Message"]:
        messages = []
        for value in self._fields.get(field, []):
            if not isinstance(value, bytes):
                raise Malformed(f"expected a message in field {field}, found the number {value}")
            messages.append(Message(value))
        return messages

    def message(self, field: int) -> "Message":
        return (self.messages(field) or [Message(b"")])[-1]


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        wire_type = tag & 7
        if wire_type == 0:
            number, at = read_varint(message, at)
            yield tag >> 3, number
            continue
        if wire_type == 2:
            size, at = read_varint(message, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise Malformed(f"expected a field of wire type 0, 1, 2 or 5, found {wire_type}")
        if size > len(message) - at:
            raise Malformed(f"expected a field within {len(message) - at} bytes, found {size}")
        value = message[at : at + size]
        yield tag >> 3, value if wire_type == 2 else int.from_bytes(value, "little")
        at += size
