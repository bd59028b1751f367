"""What a GPU consists of here, whoever drives it: memory, streams, and its refusals."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


class GpuError(Exception):
    """The driver or TensorRT refused: what it said. Never leaves the backends, see `border`."""


class OutOfGpuMemory(GpuError):
    """There isn't enough memory left on the GPU."""


@dataclass(frozen=True)
class Memory:
    """Bytes on the GPU, or pinned on the host; they live as long as this does."""

    address: int
    nbytes: int
    owner: Any
    array: NDArray[np.generic] | None = None

    @property
    def on_host(self) -> NDArray[np.generic]:
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
