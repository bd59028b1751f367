"""The GPU through cuda-python: the CUDA runtime, call by call. Starts in no time, where PyTorch takes seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ugatit_fast.backends.driver import newest_cuda_of_driver
from ugatit_fast.backends.gpu_parts import GpuError, Memory, OutOfGpuMemory, Shape, Stream

if TYPE_CHECKING:
    import torch

Handle = TypeVar("Handle")


class CudaPythonGpu:
    """See `ugatit_fast.backends.gpu.Gpu`. Raises ImportError without cuda-python, GpuError without a GPU."""

    def __init__(self, number: int | None = None) -> None:
        from cuda.bindings import runtime

        self.runtime = runtime
        if not called(runtime.cudaGetDeviceCount()):
            raise GpuError("the driver sees no NVIDIA GPU here")
        self.number = number
        asked = called(runtime.cudaGetDevice()) if number is None else number
        properties = called(runtime.cudaGetDeviceProperties(asked))
        self.name = properties.name.split(b"\0")[0].decode()
        self.capability = 10 * properties.major + properties.minor
        self.driver_cuda = newest_cuda_of_driver()

    @contextmanager
    def current(self) -> Iterator[None]:
        if self.number is None:
            yield
            return
        before = called(self.runtime.cudaGetDevice())
        called(self.runtime.cudaSetDevice(self.number))
        try:
            yield
        finally:
            called(self.runtime.cudaSetDevice(before))

    def stream(self) -> Stream:
        return CudaPythonStream(self.runtime)

    def memory(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(called(self.runtime.cudaMalloc(nbytes)))
        return Memory(address, nbytes, Owner(address, self.runtime.cudaFree))

    def pinned(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        import ctypes

        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(called(self.runtime.cudaHostAlloc(nbytes, self.runtime.cudaHostAllocDefault)))
        array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address)).view(dtype).reshape(shape)
        array[:] = 0
        return Memory(address, nbytes, Owner(address, self.runtime.cudaFreeHost), array)

    def of_tensor(self, tensor: "torch.Tensor") -> Memory:
        return Memory(tensor.data_ptr(), tensor.nbytes, tensor)

    def copy(self, target: Memory, source: Memory, stream: Stream) -> None:
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyDefault
        called(self.runtime.cudaMemcpyAsync(target.address, source.address, source.nbytes, kind, stream.handle))

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None]:
        runtime = self.runtime
        called(
            runtime.cudaStreamBeginCapture(
                stream.handle, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
            )
        )
        try:
            work()
        finally:
            ended = runtime.cudaStreamEndCapture(stream.handle)
            runtime.cudaGetLastError()  # a capture that failed leaves its error behind
        graph = called(ended)
        executable = called(runtime.cudaGraphInstantiate(graph, 0))
        called(runtime.cudaGraphDestroy(graph))
        owner = Owner(executable, runtime.cudaGraphExecDestroy)
        return lambda: called(runtime.cudaGraphLaunch(owner.handle, stream.handle))

    def free_bytes(self) -> int:
        return int(called(self.runtime.cudaMemGetInfo())[0])


class CudaPythonStream:
    """See `Stream`."""

    def __init__(self, runtime: ModuleType) -> None:
        self.runtime = runtime
        self.stream = Owner(
            called(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking)), runtime.cudaStreamDestroy
        )
        self.handle = int(self.stream.handle)
        self.event = Owner(
            called(runtime.cudaEventCreateWithFlags(runtime.cudaEventDisableTiming)), runtime.cudaEventDestroy
        )

    def wait_for(self, other: Stream) -> None:
        assert isinstance(other, CudaPythonStream)
        called(self.runtime.cudaEventRecord(other.event.handle, other.handle))
        called(self.runtime.cudaStreamWaitEvent(self.handle, other.event.handle, 0))

    def synchronize(self) -> None:
        called(self.runtime.cudaStreamSynchronize(self.handle))


class Owner(Generic[Handle]):
    """Something of the driver's, given back when nobody holds it any more."""

    def __init__(self, handle: Handle, free: Callable[[Handle], object]) -> None:
        self.handle, self.free = handle, free

    def __del__(self) -> None:
        self.free(self.handle)


def called(result: tuple[Any, ...]) -> Any:
    """What a call of the CUDA runtime gives beside its status; GpuError where that isn't success."""
    status, *values = result
    if status != 0:
        refused = OutOfGpuMemory if status.name == "cudaErrorMemoryAllocation" else GpuError
        raise refused(f"CUDA says {status.name}")
    return values[0] if len(values) == 1 else tuple(values)
