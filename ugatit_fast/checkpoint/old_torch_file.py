"""What `torch.save` wrote before PyTorch 1.6 (July 2020), read tensor by tensor.

`torch.load` reads such a file whole: 2.7 GB for the one gigabyte of a full generator. The format is simple enough to do
better. Four pickles: a magic number, a version, facts of the writer's machine, and the object (see `torch_pickle`).
Then a pickled list of the storages' keys, and in that order every storage: a 64-bit count of elements and the elements.
"""

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ugatit_fast.checkpoint.torch_pickle import Storage, TensorUnpickler
from ugatit_fast.errors import CheckpointError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
AS_TEXT = b"L%dL\n" % MAGIC_NUMBER
"""How such a file begins under the pickle protocols 0 and 1."""
PROTOCOL_VERSION = 1001


class OldTorchFile:
    """The storages of a file, once `read_old_torch_file` knows where they begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[object, int] = {}

    def read(self, storage: Storage) -> Tensor:
        """Into memory."""
        position = self.positions.get(storage.key)
        if position is None:
            raise CheckpointError(
                f"{self.path} is damaged (storage {storage.key!r} is lost); copy or download it again"
            )
        data = torch.empty(storage.size_bytes, dtype=torch.uint8)
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                complete = file.readinto(data.numpy().data) == len(data)
        except OSError as error:
            raise CheckpointError(f"{self.path} can't be read ({error.strerror}); copy or download it again") from error
        if not complete:
            raise CheckpointError(f"{self.path} became shorter while it was read; copy or download it again")
        return data


def read_old_torch_file(path: Path) -> object:
    """The saved object, every tensor in it a StoredTensor. Raises CheckpointError for a damaged file."""
    try:
        with path.open("rb") as file:
            return read_object(file, OldTorchFile(path))
    except Exception as error:  # damaged pickles raise whatever their opcodes stumble over
        raise CheckpointError(f"{path} is truncated or damaged ({error!r}); copy or download it again") from error


def read_object(file: BinaryIO, container: OldTorchFile) -> object:
    def load() -> Any:
        return TensorUnpickler(file, container).load()

    size = container.path.stat().st_size
    if load() != MAGIC_NUMBER or load() != PROTOCOL_VERSION:
        raise ValueError("it is a pickle, but not one that torch.save wrote")
    if not load().get("little_endian", True):
        raise ValueError("it was saved on a big-endian machine")
    unpickler = TensorUnpickler(file, container)
    saved = unpickler.load()
    for key in load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        position = file.tell()
        if count != storage.count or position + storage.size_bytes > size:
            raise ValueError(f"storage {key!r} isn't all there")
        container.positions[key] = position
        file.seek(storage.size_bytes, io.SEEK_CUR)
    return saved
