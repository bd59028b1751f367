"""The pickle inside a PyTorch file -> a tree of plain containers with tensors that are still in the file.

In it a tensor is a call of a rebuilding function on a place in a storage, and a storage is a persistent id. The
unpickler here knows a dozen names and puts values of our own in their place. Any other class or function becomes a
`Foreign`, which does nothing: a run's arguments or a whole pickled network don't keep anybody from the weights beside
or in them, and nothing that a file names is ever imported or called. It reads every protocol, which `torch.load` does
not where it may not run code.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import torch
from torch import Tensor

from ugatit_fast.errors import CheckpointError

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
    "UntypedStorage": torch.uint8,
}
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


class Container(Protocol):
    """What the storages are in."""

    path: Path
    """For messages."""

    def read(self, storage: "Storage") -> Tensor:
        """The bytes of a storage, uint8 (size,). Raises CheckpointError."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements in the file."""

    container: Container
    key: object
    dtype: torch.dtype
    count: int

    @property
    def size_bytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that is still in the file."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    """Its first element, counted from that of the storage."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        """Get it: mapped, where the container can, else into memory. CheckpointError where it doesn't fit its storage.

        The storage as a whole is read, since tensors may share it.
        """
        last = self.offset + sum((length - 1) * step for length, step in zip(self.shape, self.stride, strict=True))
        there = self.storage.size_bytes // self.dtype.itemsize
        if min(self.offset, 0, *self.shape, *self.stride) < 0 or (0 not in self.shape and last >= there):
            raise CheckpointError(
                f"{self.storage.container.path} is damaged (a tensor of shape {self.shape} doesn't fit); "
                "copy or download it again"
            )
        data = self.storage.container.read(self.storage)
        whole = data[: there * self.dtype.itemsize].view(self.dtype)
        return whole.as_strided(self.shape, self.stride, self.offset)


class Foreign(dict[object, object]):
    """Stands for an object of a class, or the result of a function, that the file names and we don't know.

    It holds what the file put into it, by key: a dictionary's items, an object's attributes.
    """

    named: ClassVar[str] = ""

    def __new__(cls, *_: object, **__: object) -> "Foreign":
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def append(self, _: object) -> None:
        """As a list or a set; what is in it is left out."""

    extend = add = append
    __hash__ = object.__hash__  # type: ignore[assignment]  # it may be a key
    __eq__ = object.__eq__


class TensorUnpickler(pickle._Unpickler):
    """Unpickles tensors in plain containers.

    The unpickler in Python, since the one in C allocates whatever size a damaged file names.
    """

    stack: list[object]

    def __init__(self, file: BinaryIO, container: Container) -> None:
        super().__init__(file, encoding="utf-8")
        self.container = container
        self.storages: dict[object, Storage] = {}

    def load_build(self) -> None:
        """The opcode that sets attributes. A `Foreign` keeps them as items; the few of a state dict are of no use."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Foreign):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    self.stack[-1].update(part)

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}

    def find_class(self, module: str, name: str) -> object:
        if module in STORAGE_MODULES and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if known := KNOWN.get((module, name)):
            return known
        return type("Foreign", (Foreign,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """A storage; or before PyTorch 1.6 the class of a network, which comes with its source."""
        if isinstance(pid, str):
            raise ValueError("it was pickled with protocol 0, which keeps no tensors; save it again with another")
        if pid[0] == "module":
            return pid[1]
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(count, int) or count < 0:
            raise ValueError(f"it has an object of an unknown kind, {kind!r}")
        if pid[5:] not in ((), (None,)):
            raise ValueError("it has a storage inside another")
        return self.storages.setdefault(key, Storage(self.container, key, dtype, count))


def stored_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> StoredTensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`; gradients and hooks are left out."""
    return checked_tensor(storage, storage.dtype if isinstance(storage, Storage) else None, offset, shape, stride)


def typed_tensor(
    storage: object,
    offset: object,
    shape: object,
    stride: object,
    grad: object,
    hooks: object,
    dtype: object,
    *_: object,
) -> StoredTensor:
    """Stands in for `torch._utils._rebuild_tensor_v3`, whose storage has no type of its own."""
    return checked_tensor(storage, dtype, offset, shape, stride)


def checked_tensor(storage: Any, dtype: Any, offset: Any, shape: Any, stride: Any) -> StoredTensor:
    numbers = (offset, *shape, *stride)
    if (
        not isinstance(storage, Storage)
        or not isinstance(dtype, torch.dtype)
        or len(shape) != len(stride)
        or any(type(n) is not int for n in numbers)
    ):
        raise ValueError("it has a malformed tensor")
    return StoredTensor(storage, dtype, offset, tuple(shape), tuple(stride))


def parameter(tensor: object, *_: object) -> object:
    """Stands in for `torch._utils._rebuild_parameter`."""
    return tensor


def with_attributes(function: Callable[..., Any], kind: Any, arguments: Any, state: Any) -> Any:
    """Stands in for `torch._tensor._rebuild_from_type_v2`: a tensor on which somebody has set attributes."""
    return function(*arguments)


KNOWN: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): stored_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): stored_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): typed_tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): with_attributes,
}
"""What the pickles of tensors and state dicts name, and what stands for it. Nothing here runs any code of a file's."""
