"""The data files of a checkpoint, mapped into memory, and the arrays in them."""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle.crc32c import crc32c
from ugatit_fast.tensor_bundle.index import Entry, Index, parse_index
from ugatit_fast.tensor_bundle.leveldb_table import DAMAGED, Malformed, read_table
from ugatit_fast.tensor_bundle.locate import find_prefix, index_file

AnyArray = NDArray[np.generic]
"""Of whatever dtype the tensor has."""


class TensorBundle:
    """An open checkpoint. Opening reads the index and checks that the data files are there, and long enough.

    `entries` maps the names of the tensors to their entries, in order of the names. Tensors of a type that NumPy lacks
    and tensors saved in slices are in `unreadable` instead, with the reason; `read` refuses them.
    """

    def __init__(self, prefix: Path, index: Index) -> None:
        self.prefix = prefix
        self.num_shards = index.num_shards
        self.entries = MappingProxyType(index.entries)
        self.unreadable = MappingProxyType(index.unreadable)
        self._used_bytes: dict[int, int] = {}  # of each data file
        for entry in self.entries.values():
            self._used_bytes[entry.shard] = max(self._used_bytes.get(entry.shard, 0), entry.offset + entry.size)
        self._mapped: dict[int, NDArray[np.uint8]] = {}

    @classmethod
    def open(cls, path: Path) -> "TensorBundle":
        """Open a checkpoint by anything that `find_prefix` takes. Raises CheckpointError."""
        prefix = find_prefix(path)
        file = index_file(prefix)
        table = read_table(file)
        try:
            bundle = cls(prefix, parse_index(table))
        except Malformed as error:
            raise CheckpointError(f"{file}: {error}") from error
        for shard in sorted(bundle._used_bytes):
            bundle.check_length(shard)
        return bundle

    def __enter__(self) -> "TensorBundle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the data files. Arrays already read stay valid: each keeps its file mapped."""
        self._mapped.clear()

    @property
    def index_file(self) -> Path:
        """`PREFIX.index`."""
        return index_file(self.prefix)

    def names(self) -> tuple[str, ...]:
        """Names of the tensors that can be read, sorted."""
        return tuple(self.entries)

    def size_bytes(self) -> int:
        """Of the index and of what is used of the data files."""
        return self.index_file.stat().st_size + sum(self._used_bytes.values())

    def read(self, name: str, verify: bool = False) -> AnyArray:
        """One tensor, of the dtype and shape in `entries[name]`; with `verify`, after checking its CRC-32C.

        The array is read-only: a view of the mapped file where the data is aligned and needs no decoding, else a copy.
        Raises CheckpointError for an unknown or unreadable name, a damaged file, or one that shrank since `open`.
        """
        entry = self.entry_of(name)
        data = self.shard_bytes(entry.shard)[entry.offset : entry.offset + entry.size]
        if verify and (found := crc32c(data)) != entry.crc32c:
            raise CheckpointError(
                f"{self.shard_file(entry.shard)}: expected CRC-32C {entry.crc32c:#010x} for {name}, "
                f"found {found:#010x}; {DAMAGED}"
            )
        array = decoded(data, entry)
        array.flags.writeable = False
        return array.reshape(entry.shape)

    def read_rows(self, name: str, rows: int) -> Iterator[AnyArray]:
        """One tensor in pieces of `rows` along its first dimension, the last one shorter, each a copy.

        For tensors too large to have in memory twice: nothing is mapped. Raises as `read`, and for a scalar.
        """
        entry = self.entry_of(name)
        if not entry.shape:
            raise CheckpointError(f"{self.prefix}: expected {name} to have rows, found a scalar")
        length, *rest = entry.shape
        row_bytes = entry.size // max(length, 1)
        file = self.shard_file(entry.shard)
        for start in range(0, length, rows):
            count = min(rows, length - start)
            try:
                data = np.fromfile(file, np.uint8, count * row_bytes, offset=entry.offset + start * row_bytes)
            except OSError as error:
                raise CheckpointError(f"{file}: can't be read ({error.strerror}); check its permissions") from error
            if data.size != count * row_bytes:
                raise CheckpointError(f"{file}: expected {name} in it, found it shorter; {DAMAGED}")
            yield decoded(data, entry).reshape(count, *rest)

    def entry_of(self, name: str) -> Entry:
        if name in self.unreadable:
            raise CheckpointError(f"{self.prefix}: {name} can't be read: it is {self.unreadable[name]}")
        if name not in self.entries:
            raise CheckpointError(
                f"{self.prefix}: expected a variable {name}, found {len(self.entries)} others; "
                "pass the checkpoint of a model that has it"
            )
        return self.entries[name]

    def shard_bytes(self, shard: int) -> NDArray[np.uint8]:
        if shard not in self._mapped:
            self.check_length(shard)
            self._mapped[shard] = self.mapped(shard)
        return self._mapped[shard]

    def mapped(self, shard: int) -> NDArray[np.uint8]:
        length = self._used_bytes[shard]
        if length == 0:  # nothing can't be mapped
            return np.empty(0, np.uint8)
        file = self.shard_file(shard)
        try:
            return np.memmap(file, np.uint8, mode="r", shape=(length,)).view(np.ndarray)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: can't be mapped into memory ({error})") from error

    def check_length(self, shard: int) -> None:
        file = self.shard_file(shard)
        used = self._used_bytes[shard]
        try:
            found = file.stat().st_size if file.is_file() else None
        except OSError as error:
            raise CheckpointError(f"{file}: can't be read ({error.strerror}); check its permissions") from error
        if found is None:
            raise CheckpointError(
                f"{file}: expected this data file, number {shard} (from 0) of {self.num_shards}, found none; "
                "copy it beside the .index file"
            )
        if found < used:
            raise CheckpointError(f"{file}: expected at least {used} bytes, found {found}; {DAMAGED}")

    def shard_file(self, shard: int) -> Path:
        return Path(f"{self.prefix}.data-{shard:05d}-of-{self.num_shards:05d}")


def decoded(data: NDArray[np.uint8], entry: Entry) -> AnyArray:
    if entry.stored_as == "bfloat16":
        return (data.view("<u2").astype("<u4") << 16).view("<f4")
    if entry.stored_as == "bool":
        return data.astype(bool)
    array: AnyArray = np.require(data.view(entry.dtype), requirements=["ALIGNED"])  # copies only what isn't
    return array
