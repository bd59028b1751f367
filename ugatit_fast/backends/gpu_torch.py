"""The GPU through PyTorch, with its memory pool."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from ugatit_fast.backends.driver import newest_cuda_of_driver
from ugatit_fast.backends.gpu_parts import GpuError, Memory, Shape, Stream
from ugatit_fast.errors import first_line

if TYPE_CHECKING:
    import torch


class TorchGpu:
    """See `ugatit_fast.backends.gpu.Gpu`. Raises GpuError where PyTorch sees no GPU."""

    def __init__(self, number: int | None = None) -> None:
        import torch

        if torch.version.cuda is None:
            raise GpuError("this PyTorch is a build without CUDA")
        if not torch.cuda.is_available():
            raise GpuError("PyTorch sees no NVIDIA GPU here")
        self.torch, self.number = torch, number
        self.name = torch.cuda.get_device_name(number)
        major, minor = torch.cuda.get_device_capability(number)
        self.capability = 10 * major + minor
        self.driver_cuda = newest_cuda_of_driver()

    def current(self) -> AbstractContextManager[object]:
        return nullcontext() if self.number is None else self.torch.cuda.device(self.number)

    def stream(self) -> Stream:
        return TorchStream(self.torch.cuda.Stream())  # type: ignore[no-untyped-call]

    def memory(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        return self.of_tensor(self.torch.empty(shape, dtype=self.dtype_of(dtype), device="cuda"))

    def pinned(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        tensor = self.torch.zeros(shape, dtype=self.dtype_of(dtype), pin_memory=True)
        return Memory(tensor.data_ptr(), tensor.nbytes, tensor, tensor.numpy())

    def of_tensor(self, tensor: "torch.Tensor") -> Memory:
        return Memory(tensor.data_ptr(), tensor.nbytes, tensor)

    def copy(self, target: Memory, source: Memory, stream: Stream) -> None:
        assert isinstance(stream, TorchStream)
        with self.torch.cuda.stream(stream.stream):
            bytes_of(target.owner, source.nbytes).copy_(bytes_of(source.owner, source.nbytes), non_blocking=True)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None]:
        assert isinstance(stream, TorchStream)
        graph, torch = self.torch.cuda.CUDAGraph(), self.torch
        try:
            with torch.cuda.graph(graph, stream=stream.stream, capture_error_mode="thread_local"):
                work()
        except RuntimeError as error:
            raise GpuError(first_line(error)) from error

        def replay() -> None:
            with torch.cuda.stream(stream.stream):
                graph.replay()

        return replay

    def free_bytes(self) -> int:
        return int(self.torch.cuda.mem_get_info()[0])

    def dtype_of(self, dtype: type[np.generic]) -> "torch.dtype":
        found: torch.dtype = getattr(self.torch, np.dtype(dtype).name)
        return found


class TorchStream:
    """See `Stream`."""

    def __init__(self, stream: "torch.cuda.Stream") -> None:
        self.stream = stream
        self.handle: int = stream.cuda_stream

    def wait_for(self, other: Stream) -> None:
        assert isinstance(other, TorchStream)
        self.stream.wait_stream(other.stream)

    def synchronize(self) -> None:
        self.stream.synchronize()


def bytes_of(tensor: "torch.Tensor", nbytes: int) -> "torch.Tensor":
    """The first of a contiguous tensor."""
    import torch

    return tensor.reshape(-1).view(torch.uint8)[:nbytes]
