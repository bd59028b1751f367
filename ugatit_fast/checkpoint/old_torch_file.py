"""What `torch.save` wrote before PyTorch 1.6 (July 2020), read tensor by tensor.

`torch.load` reads such a file whole: 2.7 GB for the one gigabyte of a full generator. The format is simple enough to do
better. Four pickles: a magic number, a version, facts of the writer's machine, and the object, in which a tensor is a
call of a rebuilding function on a place in a storage, and a storage is a persistent id. Then a pickled list of the
storages' keys, and in that order every storage: a 64-bit count of elements and the elements.

The unpickler here knows a dozen names and puts values of our own in their place; any other name is refused, so that
nothing in a file is ever called.
"""

import io
import math
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import torch
from torch import Tensor

from ugatit_fast.errors import CheckpointError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
STORAGE_MODULES = ("torch", "torch.cuda")


@dataclass(slots=True)
class Storage:
    """A run of elements in the file."""

    dtype: torch.dtype
    count: int
    position: int = field(default=-1, init=False)
    """Its first byte in the file, known once everything else is read."""


class StoredTensor(NamedTuple):
    """A tensor that is still in the file; `read_stored` gets it."""

    storage: Storage
    offset: int
    """Its first element, counted from that of the storage."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_old_torch_file(path: Path) -> Any:
    """The saved object, every tensor in it a StoredTensor.

    Raises UnpicklingError naming what isn't a tensor or a plain container, CheckpointError for a damaged file.
    """
    try:
        with path.open("rb") as file:
            return read_object(file, path.stat().st_size)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # damaged pickles raise whatever their opcodes stumble over
        raise CheckpointError(f"{path} is truncated or damaged ({error!r}); copy or download it again") from error


def read_object(file: BinaryIO, size: int) -> Any:
    if TensorUnpickler(file).load() != MAGIC_NUMBER or TensorUnpickler(file).load() != PROTOCOL_VERSION:
        raise ValueError("it is a pickle, but not one that torch.save wrote")
    if not TensorUnpickler(file).load().get("little_endian", True):
        raise ValueError("it was saved on a big-endian machine")
    unpickler = TensorUnpickler(file)
    saved = unpickler.load()
    for key in TensorUnpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        storage.position = file.tell()
        if count != storage.count or storage.position + count * storage.dtype.itemsize > size:
            raise ValueError(f"storage {key!r} isn't all there")
        file.seek(count * storage.dtype.itemsize, io.SEEK_CUR)
    return saved


def read_stored(path: Path, tensor: StoredTensor) -> Tensor:
    """Read one tensor into memory. Raises CheckpointError where it doesn't fit its storage."""
    storage, offset, shape, stride = tensor
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if storage.position < 0 or min(offset, 0, *shape, *stride) < 0 or (0 not in shape and last >= storage.count):
        raise CheckpointError(f"{path} is damaged (a tensor of shape {shape} doesn't fit); copy or download it again")
    data = torch.empty(storage.count * storage.dtype.itemsize, dtype=torch.uint8)
    try:
        with path.open("rb") as file:
            file.seek(storage.position)
            complete = file.readinto(data.numpy().data) == len(data)
    except OSError as error:
        raise CheckpointError(f"{path} can't be read ({error.strerror}); copy or download it again") from error
    if not complete:
        raise CheckpointError(f"{path} became shorter while it was read; copy or download it again")
    return data.view(storage.dtype).as_strided(shape, stride, offset)


class TensorUnpickler(pickle._Unpickler):
    """Unpickles tensors in plain containers.

    The unpickler in Python, since the one in C allocates whatever size a damaged file names.
    """

    stack: list[Any]

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[Any, Storage] = {}

    def load_build(self) -> None:
        """The opcode that sets attributes: the only ones in a state dict are of no use here, so none are set."""
        self.stack.pop()

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}

    def find_class(self, module: str, name: str) -> Any:
        if module in STORAGE_MODULES and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return stored_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return stored_parameter
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(count, int) or count < 0:
            raise ValueError(f"it has an object of an unknown kind, {kind!r}")
        if view is not None:
            raise ValueError("it has a storage inside another")
        return self.storages.setdefault(key, Storage(dtype, count))


def stored_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`; gradients and hooks are left out."""
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or len(shape) != len(stride) or any(type(n) is not int for n in numbers):
        raise ValueError("it has a malformed tensor")
    if math.prod(shape) > storage.count:
        raise ValueError(f"it has a tensor of shape {shape} in {storage.count} elements")
    return StoredTensor(storage, offset, tuple(shape), tuple(stride))


def stored_parameter(tensor: StoredTensor, *_: Any) -> StoredTensor:
    """Stands in for `torch._utils._rebuild_parameter`."""
    return tensor
