"""A GPU in host memory, for the fake TensorRT: everything that is queued happens at once."""

import ctypes
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ugatit_fast.backends.gpu_parts import GpuError, Memory, Shape, Stream


class Current(threading.local):
    """Of a thread: the GPUs that it made current, the innermost last."""

    def __init__(self) -> None:
        self.numbers: list[int | None] = [None]


CURRENT = Current()


class FakeStream:
    numbers = itertools.count(1)

    def __init__(self) -> None:
        self.handle = next(self.numbers)

    def wait_for(self, other: Stream) -> None: ...

    def synchronize(self) -> None: ...


class FakeGpu:
    name = "NVIDIA H200"
    capability = 90
    driver_cuda = (13, 0)
    captures = True

    def __init__(self, number: int | None = None) -> None:
        self.number = number

    @contextmanager
    def current(self) -> Iterator[None]:
        CURRENT.numbers.append(self.number)
        try:
            yield
        finally:
            CURRENT.numbers.pop()

    def stream(self) -> Stream:
        return FakeStream()

    def memory(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        return self.pinned(shape, dtype)

    def pinned(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        array = np.zeros(shape, dtype)
        return Memory(array.ctypes.data, array.nbytes, array, array)

    def of_tensor(self, tensor: Any) -> Memory:
        return Memory(tensor.data_ptr(), tensor.nbytes, tensor)

    def copy(self, target: Memory, source: Memory, stream: Stream) -> None:
        assert source.nbytes <= target.nbytes
        ctypes.memmove(target.address, source.address, source.nbytes)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None]:
        if not self.captures:
            raise GpuError("operation not permitted when stream is capturing")
        return work

    def free_bytes(self) -> int:
        return 2_000_000_000
