"""The folded network as one CUDA graph a batch size, and the places where pieces rest on their way through it."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.cudnn import OurConvolutions
from ugatit_fast.backends.relay import Results
from ugatit_fast.engine import EngineSpec
from ugatit_fast.graph import FoldedGenerator, StyleWeights, TorchOperations
from ugatit_fast.kernels.counters import graph_counters


class CapturedOperations(TorchOperations):
    """The network as a graph holds it: no heat map that nobody wants, and the style beside the first convolution of the
    decoder, which doesn't need it yet.
    """

    def __init__(self, dtype: torch.dtype, channels: int, *, heatmap: bool) -> None:
        super().__init__(dtype, channels)
        self.wants_heatmap = heatmap
        self.beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def translated(self, folded: FoldedGenerator, image: Tensor) -> tuple[Tensor, Tensor]:
        """Picture and heat map, the latter empty where nobody wants one. Everything is queued on the current stream,
        or will be waited for there.
        """
        results = folded.graph(self, image)
        self.join()
        return results

    def join(self) -> None:
        torch.cuda.current_stream().wait_stream(self.beside)

    def heatmap(self, attended: Tensor) -> Tensor:
        return super().heatmap(attended) if self.wants_heatmap else attended.new_empty(0)

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        """On the other stream. `attended` is the residual of a stage after `ready`, so its memory isn't used again
        before.
        """
        self.beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.beside):
            return super().style(attended, weights)

    def ready(self, style: Tensor) -> Tensor:
        self.join()
        return style


WARM_UPS = 3
"""Runs before a graph is captured: cuDNN tries its algorithms in the first, the allocator settles in the others."""


class CapturedBatch:
    """The folded network at one batch size: static input, static results, one launch."""

    def __init__(self, folded: FoldedGenerator, size: int, spec: EngineSpec, pool: Any) -> None:
        """Capture on the current stream, with memory from `pool`. Raises torch.OutOfMemoryError."""
        self.image = torch.zeros(size, spec.height, spec.width, 3, dtype=torch.uint8, device=folded.stem.weight.device)
        stem = folded.stem.weight
        operations = CapturedOperations(stem.dtype, stem.shape[1], heatmap=spec.heatmap)
        self.graph = torch.cuda.CUDAGraph()
        with OurConvolutions():
            for _ in range(WARM_UPS):
                operations.translated(folded, self.image)
            stream = torch.cuda.current_stream()
            with (
                graph_counters(self.image.device) as self.counters,
                torch.cuda.graph(self.graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
            ):
                self.translated, self.heatmap = operations.translated(folded, self.image)

    def replay(self) -> None:
        self.graph.replay()


class Streams:
    """Of one backend: copies in, computing, and copies out, which overlap."""

    def __init__(self) -> None:
        self.compute, self.copy_in, self.copy_out = (torch.cuda.Stream() for _ in range(3))  # type: ignore[no-untyped-call]


@dataclass
class Slot:
    """See `relay.Slot`: pinned on the host, and apart from the graph's own tensors on the GPU."""

    graph: CapturedBatch
    streams: Streams
    host_in: Tensor = field(init=False)
    host_out: Tensor = field(init=False)
    host_heatmap: Tensor = field(init=False)
    device_in: Tensor = field(init=False)
    device_out: Tensor = field(init=False)
    device_heatmap: Tensor = field(init=False)
    returned: torch.cuda.Event = field(init=False)

    def __post_init__(self) -> None:
        self.returned = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.device_in, self.device_out = torch.empty_like(self.graph.image), torch.empty_like(self.graph.image)
        self.device_heatmap = torch.empty_like(self.graph.heatmap)
        self.host_in, self.host_out, self.host_heatmap = (
            torch.zeros(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            for tensor in (self.device_in, self.device_out, self.device_heatmap)
        )

    def send(self, images: Images) -> None:
        self.host_in[: len(images)].copy_(torch.from_numpy(images))
        with torch.cuda.stream(self.streams.copy_in):
            self.device_in.copy_(self.host_in, non_blocking=True)
        self.streams.compute.wait_stream(self.streams.copy_in)
        with torch.cuda.stream(self.streams.compute):
            self.graph.image.copy_(self.device_in)
            self.graph.replay()
            self.device_out.copy_(self.graph.translated)
            self.device_heatmap.copy_(self.graph.heatmap)
        self.streams.copy_out.wait_stream(self.streams.compute)
        with torch.cuda.stream(self.streams.copy_out):
            self.host_out.copy_(self.device_out, non_blocking=True)
            self.host_heatmap.copy_(self.device_heatmap, non_blocking=True)
            self.returned.record()

    def land(self, where: slice, results: Results) -> None:
        self.returned.synchronize()
        count = where.stop - where.start
        results["translated"][where] = self.host_out[:count].numpy()
        results["heatmap"][where] = self.host_heatmap[:count].numpy()

    def settle(self) -> None:
        for stream in (self.streams.copy_in, self.streams.compute, self.streams.copy_out):
            stream.synchronize()
