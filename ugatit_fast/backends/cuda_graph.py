"""The folded network as one CUDA graph a batch size, and the places where pieces rest on their way through it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.convolutions import Choices, ChosenOperations
from ugatit_fast.backends.cudnn import OurConvolutions
from ugatit_fast.backends.relay import Results
from ugatit_fast.engine import EngineSpec
from ugatit_fast.folded_weights import AttentionWeights, StyleWeights
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.kernels.counters import graph_counters


class CapturedOperations(ChosenOperations):
    """The network as a graph holds it: every layer by its choice, no heat map that nobody wants, and the style beside
    the first convolution of the decoder, which doesn't need it yet.
    """

    def __init__(self, dtype: torch.dtype, channels: int, choices: Choices | None, *, heatmap: bool) -> None:
        super().__init__(dtype, channels, choices)
        self.wants_heatmap = heatmap
        self.beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.apart = False
        """Whether something was queued on the other stream that nobody has waited for."""

    def translated(self, folded: FoldedNetwork, image: Tensor) -> tuple[Tensor, Tensor]:
        """Picture and heat map, the latter empty where nobody wants one. Everything is queued on the current stream,
        or will be waited for there.
        """
        picture, heatmap = folded.graph(self, image)
        self.join()
        return picture, image.new_empty(0, dtype=torch.float32) if heatmap is None else heatmap

    def join(self) -> None:
        if self.apart:  # a graph that is captured must not wait for a stream that has no part in it
            torch.cuda.current_stream().wait_stream(self.beside)
            self.apart = False

    def heatmap(self, attended: Tensor, weights: AttentionWeights) -> Tensor:
        return super().heatmap(attended, weights) if self.wants_heatmap else attended.new_empty(0)

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        """On the other stream. `attended` is the residual of a stage after `ready`, so its memory isn't used again
        before.
        """
        self.apart = True
        self.beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.beside):
            return super().style(attended, weights)

    def ready(self, style: Tensor) -> Tensor:
        self.join()
        return style


WARM_UPS = 3
"""Runs before a graph is captured: cuDNN tries its algorithms in the first, the allocator settles in the others."""


def recorded(work: Callable[[], None], device: torch.device, pool: Any) -> Callable[[], None]:
    """What `work` queues on the current stream, as one CUDA graph with memory from `pool`; call it to queue that again.

    Raises torch.OutOfMemoryError.
    """
    graph = torch.cuda.CUDAGraph()
    with OurConvolutions():
        for _ in range(WARM_UPS):
            work()
        stream = torch.cuda.current_stream()
        with (
            graph_counters(device) as counters,
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
        ):
            work()

    def replay(counters: Tensor = counters) -> None:  # which must live as long as the graph
        graph.replay()

    return replay


@dataclass
class Host:
    """Pinned memory for one piece. The heat map is empty where nobody wants one."""

    image: Tensor
    translated: Tensor
    heatmap: Tensor

    @classmethod
    def of(cls, size: int, spec: EngineSpec) -> Self:
        image = (size, spec.height, spec.width, 3)
        heatmap = (size, spec.height // 4, spec.width // 4) if spec.heatmap else (0,)
        return cls(
            torch.zeros(image, dtype=torch.uint8, pin_memory=True),
            torch.zeros(image, dtype=torch.uint8, pin_memory=True),
            torch.zeros(heatmap, dtype=torch.float32, pin_memory=True),
        )

    def put(self, images: Images) -> None:
        self.image[: len(images)].copy_(torch.from_numpy(images))

    def hand_over(self, where: slice, results: Results) -> None:
        count = where.stop - where.start
        results["translated"][where] = self.translated[:count].numpy()
        if self.heatmap.numel():
            results["heatmap"][where] = self.heatmap[:count].numpy()


class CapturedBatch:
    """The folded network at one batch size: static input, static results, one launch.

    With a host, copies from and to its memory are part of the launch: nothing is left for the processor to queue.
    """

    def __init__(
        self,
        folded: FoldedNetwork,
        size: int,
        spec: EngineSpec,
        choices: Choices | None,
        pool: Any,
        style: Tensor | None,
        host: Host | None = None,
    ) -> None:
        """Capture on the current stream, with memory from `pool`. Raises torch.OutOfMemoryError.

        style: where the graph finds it, of a network that draws in styles.
        """
        stem = folded.stem.weight
        self.folded, self.host = folded, host
        self.operations = CapturedOperations(stem.dtype, stem.shape[1], choices, heatmap=spec.heatmap)
        self.operations.given = style
        self.image = torch.zeros(size, spec.height, spec.width, 3, dtype=torch.uint8, device=stem.device)
        self.replay = recorded(self.work, stem.device, pool)

    def work(self) -> None:
        """What a launch does."""
        if self.host:
            self.image.copy_(self.host.image, non_blocking=True)
        self.translated, self.heatmap = self.operations.translated(self.folded, self.image)
        if self.host:
            self.host.translated.copy_(self.translated, non_blocking=True)
            self.host.heatmap.copy_(self.heatmap, non_blocking=True)


class Streams:
    """Of one lane: copies in, computing, and copies out, which overlap."""

    def __init__(self) -> None:
        self.compute, self.copy_in, self.copy_out = (torch.cuda.Stream() for _ in range(3))  # type: ignore[no-untyped-call]

    def settle(self) -> None:
        """Wait until nothing is under way."""
        for stream in (self.copy_in, self.compute, self.copy_out):
            stream.synchronize()


class WholeSlot:
    """See `relay.Slot`: for a batch that is one piece, with its copies inside the graph."""

    def __init__(
        self,
        folded: FoldedNetwork,
        size: int,
        spec: EngineSpec,
        choices: Choices | None,
        pool: Any,
        streams: Streams,
        style: Tensor | None,
    ) -> None:
        """As `CapturedBatch`."""
        self.streams, self.host = streams, Host.of(size, spec)
        self.graph = CapturedBatch(folded, size, spec, choices, pool, style, self.host)
        self.returned = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def send(self, images: Images) -> None:
        self.host.put(images)
        with torch.cuda.stream(self.streams.compute):
            self.graph.replay()
            self.returned.record()

    def land(self, where: slice, results: Results) -> None:
        self.returned.synchronize()
        self.host.hand_over(where, results)

    def settle(self) -> None:
        self.streams.settle()


class Slot:
    """See `relay.Slot`: for one of several pieces, whose copies overlap with the others' computing."""

    def __init__(self, graph: CapturedBatch, size: int, spec: EngineSpec, streams: Streams) -> None:
        self.graph, self.streams, self.host = graph, streams, Host.of(size, spec)
        self.image, self.translated, self.heatmap = (
            torch.empty_like(tensor, device=graph.image.device)
            for tensor in (self.host.image, self.host.translated, self.host.heatmap)
        )
        self.returned = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def send(self, images: Images) -> None:
        self.host.put(images)
        with torch.cuda.stream(self.streams.copy_in):
            self.image.copy_(self.host.image, non_blocking=True)
        self.streams.compute.wait_stream(self.streams.copy_in)
        with torch.cuda.stream(self.streams.compute):
            self.graph.image.copy_(self.image)
            self.graph.replay()
            self.translated.copy_(self.graph.translated)
            self.heatmap.copy_(self.graph.heatmap)
        self.streams.copy_out.wait_stream(self.streams.compute)
        with torch.cuda.stream(self.streams.copy_out):
            self.host.translated.copy_(self.translated, non_blocking=True)
            self.host.heatmap.copy_(self.heatmap, non_blocking=True)
            self.returned.record()

    def land(self, where: slice, results: Results) -> None:
        self.returned.synchronize()
        self.host.hand_over(where, results)

    def settle(self) -> None:
        self.streams.settle()
