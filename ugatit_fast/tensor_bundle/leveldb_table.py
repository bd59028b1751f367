"""Read a sorted table in LevelDB's file format: the index of a TensorFlow checkpoint.

    table:  block ... | footer, the last 48 bytes: handle of the metaindex, handle of the index, zeros, magic
    handle: offset and size of a block, two varints
    block:  entry ... | restart offsets (u32 each) | their count (u32) || compression (u8) | masked CRC-32C (u32)
    entry:  length shared with the previous key, length of the rest, length of the value (varints), rest, value

The index block maps to the handles of the data blocks. Everything is little-endian. Reading is one pass in order, so
neither the restart offsets nor the metaindex (filters, of which TensorFlow writes none) are needed.
"""

from collections.abc import Iterator
from pathlib import Path

from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle.crc32c import crc32c, unmask

# A U-GAT-IT training checkpoint has an index of 25 kB with 776 names. The limits bound the memory and time that a
# hostile file can cost, prefix compression included.
MAX_FILE_BYTES = 4 << 20
MAX_ENTRIES = 100_000
MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 1 << 16

FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
TRAILER_BYTES = 5
MAX_VARINT_BYTES = 10
COMPRESSIONS = {1: "snappy", 2: "zstd"}


DAMAGED = "the file is damaged or cut short: copy or unpack it again"


class Malformed(Exception):
    """Bytes that break the format: what was expected, what came and what to do. Becomes a CheckpointError."""

    def __init__(self, problem: str, remedy: str = DAMAGED) -> None:
        super().__init__(f"{problem}; {remedy}")


def read_table(file: Path) -> dict[bytes, bytes]:
    """All entries in order of their keys, every block checked against its CRC-32C. Raises CheckpointError."""
    data = read_whole(file)
    try:
        return parse_table(data)
    except Malformed as error:
        raise CheckpointError(f"{file}: {error}") from error


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned 64-bit number at `at`, seven bits a byte, lowest first; and the place after it."""
    value = 0
    for i, octet in enumerate(data[at : at + MAX_VARINT_BYTES]):
        value |= (octet & 0x7F) << 7 * i
        if octet < 0x80:
            if value >> 64:
                raise Malformed(f"expected a 64-bit number at byte {at}, found {value:#x}")
            return value, at + i + 1
    raise Malformed(f"expected a number at byte {at}, found no end to it")


def read_whole(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise CheckpointError(f"{file}: expected the index file of a TensorFlow checkpoint, found no such file")
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"{file}: can't be read ({error.strerror}); check its permissions") from error
    if len(data) > MAX_FILE_BYTES:
        raise CheckpointError(
            f"{file}: expected a checkpoint index of at most {MAX_FILE_BYTES >> 20} MiB, found a larger file; "
            "pass the .index file of a U-GAT-IT checkpoint"
        )
    return data


def parse_table(data: bytes) -> dict[bytes, bytes]:
    if len(data) < FOOTER_BYTES:
        raise Malformed(f"expected at least {FOOTER_BYTES} bytes, found {len(data)}")
    magic = int.from_bytes(data[-8:], "little")
    if magic != MAGIC:
        raise Malformed(f"expected the index of a TensorFlow checkpoint, ending in {MAGIC:#x}, found {magic:#x}")
    footer = data[-FOOTER_BYTES:]
    _, at = read_handle(footer, 0)
    index, _ = read_handle(footer, at)

    table: dict[bytes, bytes] = {}
    last = None
    for _, value in block_entries(read_block(data, index)):
        handle, end = read_handle(value, 0)
        if end != len(value):
            raise Malformed(f"expected the offset and size of a block, found {len(value) - end} bytes more")
        block = read_block(data, handle)
        for key, entry in block_entries(block):
            # Ascending keys also mean that no block can be listed twice: the work stays linear in the file.
            if last is not None and key <= last:
                raise Malformed(f"expected names in ascending order, found {key!r} after {last!r}")
            if len(table) == MAX_ENTRIES:
                raise Malformed(f"expected at most {MAX_ENTRIES} names, found more")
            table[key] = entry
            last = key
    return table


def read_handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (offset, size), at


def read_block(data: bytes, handle: tuple[int, int]) -> bytes:
    """The entries of a block as bytes, without restart offsets and trailer."""
    offset, size = handle
    end = offset + size
    if end + TRAILER_BYTES > len(data) - FOOTER_BYTES:
        room = len(data) - FOOTER_BYTES
        raise Malformed(f"expected a block of {size} bytes at {offset}, found {room} bytes before the footer")
    stored = unmask(int.from_bytes(data[end + 1 : end + TRAILER_BYTES], "little"))
    found = crc32c(data[offset : end + 1])
    if found != stored:
        raise Malformed(f"expected CRC-32C {stored:#010x} for the block at {offset}, found {found:#010x}")
    if compression := data[end]:
        kind = COMPRESSIONS.get(compression, f"number {compression}")
        raise Malformed(
            f"expected uncompressed blocks, as TensorFlow's Saver writes them, found {kind} compression",
            "save the checkpoint again with tf.train.Saver",
        )

    restarts = int.from_bytes(data[max(offset, end - 4) : end], "little")
    entries_size = size - 4 * (restarts + 1)
    if entries_size < 0:
        raise Malformed(f"expected {restarts} restart offsets in the block at {offset}, found {size} bytes in all")
    return data[offset : offset + entries_size]


def block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not block:
        raise Malformed("expected a block with entries, found an empty one")
    key, at = b"", 0
    while at < len(block):
        shared, at = read_varint(block, at)
        unshared, at = read_varint(block, at)
        value_size, at = read_varint(block, at)
        if shared > len(key) or unshared + value_size > len(block) - at:
            raise Malformed(
                f"expected an entry within {len(block) - at} bytes that shares at most {len(key)} of its key, "
                f"found {unshared + value_size} bytes sharing {shared}"
            )
        if shared + unshared > MAX_KEY_BYTES:
            raise Malformed(f"expected names of at most {MAX_KEY_BYTES} bytes, found {shared + unshared}")
        if value_size > MAX_VALUE_BYTES:
            raise Malformed(f"expected values of at most {MAX_VALUE_BYTES} bytes, found {value_size}")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + value_size]
        at += value_size
