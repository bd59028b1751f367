"""The little of CUDA that running a TensorRT engine takes, from PyTorch or from cuda-python, whichever is there.

Memory, copies, streams and captured graphs. All on the current device; everything raises GpuError where the driver
refuses.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.errors import BackendUnavailable

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]


class GpuError(Exception):
    """The driver refused: what it said."""


class OutOfGpuMemory(GpuError):
    """There isn't enough memory left on the GPU."""


@dataclass(frozen=True)
class Memory:
    """Bytes on the GPU, or pinned on the host; they live as long as this does."""

    address: int
    nbytes: int
    owner: Any
    array: NDArray[Any] | None = None

    @property
    def on_host(self) -> NDArray[Any]:
        """The same bytes, where they are pinned on the host."""
        assert self.array is not None
        return self.array

    def first(self, nbytes: int) -> "Memory":
        """The beginning of them."""
        return Memory(self.address, nbytes, self.owner)


class Stream(Protocol):
    """Work in order. Never the default stream, which TensorRT would synchronise."""

    handle: int

    def wait_for(self, other: "Stream") -> None:
        """Let what is queued from now on wait for what is queued on `other` by now."""

    def synchronize(self) -> None:
        """Wait until all that is queued is done."""


class Gpu(Protocol):
    """The current GPU."""

    name: str
    capability: int
    """90 for 9.0."""
    driver_cuda: tuple[int, int]
    """The newest CUDA version that the driver knows."""

    def stream(self) -> Stream: ...

    def memory(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        """On the GPU, uninitialised."""

    def pinned(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        """On the host, where copies overlap with computing; zeros."""

    def of_tensor(self, tensor: "torch.Tensor") -> Memory:
        """A contiguous CUDA tensor of PyTorch."""

    def copy(self, target: Memory, source: Memory, stream: Stream) -> None:
        """Queue a copy of `source` to the beginning of `target`, wherever either is."""

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None]:
        """What `work` queues on the stream, as one graph; the function returned queues it again."""

    def free_bytes(self) -> int: ...


def architecture(gpu: Gpu) -> str:
    """As an engine names it: sm_90."""
    return f"sm_{gpu.capability}"


@cache
def open_gpu() -> Gpu:
    """The current GPU: through PyTorch if the program has it anyway, else cuda-python, which starts in no time.

    Raises BackendUnavailable where neither is installed or there is no GPU.
    """
    wanted = ("torch", "cuda") if "torch" in sys.modules else ("cuda", "torch")
    reasons = []
    for library in wanted:
        if not find_spec(library):
            continue
        try:
            return TorchGpu() if library == "torch" else CudaPythonGpu()
        except (ImportError, GpuError) as error:
            reasons.append(str(error))
    raise BackendUnavailable(
        f"{'; '.join(reasons)}; see `ugatit-fast doctor`"
        if reasons
        else "running on a GPU takes PyTorch or cuda-python for its memory; install one: pip install cuda-python"
    )


class TorchGpu:
    """Through PyTorch, with its memory pool."""

    def __init__(self) -> None:
        import torch

        if torch.version.cuda is None:
            raise GpuError("this PyTorch is a build without CUDA")
        if not torch.cuda.is_available():
            raise GpuError("PyTorch sees no NVIDIA GPU here")
        self.torch = torch
        self.name = torch.cuda.get_device_name()
        major, minor = torch.cuda.get_device_capability()
        self.capability = 10 * major + minor
        self.driver_cuda = cuda_version(torch._C._cuda_getDriverVersion())  # type: ignore[attr-defined]

    def stream(self) -> Stream:
        return TorchStream(self.torch.cuda.Stream())  # type: ignore[no-untyped-call]

    def memory(self, shape: Shape, dtype: type[np.generic]) -> Memory:
        try:
            return self.of_tensor(self.torch.empty(shape, dtype=self.dtype_of(dtype), device="cuda"))
        except self.torch.OutOfMemoryError as error:
            raise OutOfGpuMemory(str(error)) from error

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


class CudaPythonGpu:
    """Through cuda-python: the CUDA runtime, call by call."""

    def __init__(self) -> None:
        from cuda.bindings import runtime

        self.runtime = runtime
        if not called(runtime.cudaGetDeviceCount()):
            raise GpuError("the driver sees no NVIDIA GPU here")
        properties = called(runtime.cudaGetDeviceProperties(called(runtime.cudaGetDevice())))
        self.name = properties.name.split(b"\0")[0].decode()
        self.capability = 10 * properties.major + properties.minor
        self.driver_cuda = cuda_version(called(runtime.cudaDriverGetVersion()))

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

    def __init__(self, runtime: Any) -> None:
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


class Owner:
    """Something of the driver's, given back when nobody holds it any more."""

    def __init__(self, handle: Any, free: Callable[[Any], Any]) -> None:
        self.handle, self.free = handle, free

    def __del__(self) -> None:
        self.free(self.handle)


def bytes_of(tensor: "torch.Tensor", nbytes: int) -> "torch.Tensor":
    """The first of a contiguous tensor."""
    import torch

    return tensor.reshape(-1).view(torch.uint8)[:nbytes]


def called(result: tuple[Any, ...]) -> Any:
    """What a call of the CUDA runtime gives beside its status; GpuError where that isn't success."""
    status, *values = result
    if status != 0:
        refused = OutOfGpuMemory if status.name == "cudaErrorMemoryAllocation" else GpuError
        raise refused(f"CUDA says {status.name}")
    return values[0] if len(values) == 1 else tuple(values)


def cuda_version(number: int) -> tuple[int, int]:
    """13000 -> (13, 0)."""
    return number // 1000, number % 1000 // 10


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
