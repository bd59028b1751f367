"""The little of CUDA that running a TensorRT engine takes, from PyTorch or from cuda-python, whichever is there.

Memory, copies, streams and captured graphs, all on the current device; CUDA has one for every thread. Where the driver
refuses, cuda-python's half raises GpuError and PyTorch's what PyTorch raises; both end at the border
(`ugatit_fast.backends.border`).
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ugatit_fast.backends.gpu_cuda_python import CudaPythonGpu
from ugatit_fast.backends.gpu_parts import GpuError, Memory, Shape, Stream
from ugatit_fast.backends.gpu_torch import TorchGpu
from ugatit_fast.errors import BackendUnavailable

if TYPE_CHECKING:
    import torch


class Gpu(Protocol):
    """One GPU. All but its facts are to be asked for inside `current`."""

    name: str
    capability: int
    """90 for 9.0."""
    driver_cuda: tuple[int, int]
    """The newest CUDA version that the driver knows."""

    def current(self) -> AbstractContextManager[object]:
        """Inside, it is this thread's GPU."""

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
        """What `work` queues on the stream, as one graph; the function returned queues it again.

        Raises GpuError where it can't be captured.
        """

    def free_bytes(self) -> int: ...


def architecture(gpu: Gpu) -> str:
    """As an engine names it: sm_90."""
    return f"sm_{gpu.capability}"


@cache
def open_gpu(number: int | None = None) -> Gpu:
    """The GPU of a number, or the one that CUDA takes by itself.

    Through PyTorch if the program has it anyway, else cuda-python, which starts in no time.
    Raises BackendUnavailable where neither is installed or there is no GPU.
    """
    wanted = ("torch", "cuda") if "torch" in sys.modules else ("cuda", "torch")
    reasons = []
    for library in wanted:
        if not find_spec(library):
            continue
        try:
            return TorchGpu(number) if library == "torch" else CudaPythonGpu(number)
        except (ImportError, GpuError) as error:
            reasons.append(str(error))
    raise BackendUnavailable(
        f"{'; '.join(reasons)}; see `ugatit-fast doctor`"
        if reasons
        else "running on a GPU takes PyTorch or cuda-python for its memory; install one: pip install cuda-python"
    )
