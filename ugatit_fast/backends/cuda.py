"""PyTorch on an NVIDIA GPU: cuDNN convolutions, our fused kernels, one CUDA graph per batch size."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.relay import pieces
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.kernels.counters import graph_counters
from ugatit_fast.model import GeneratorConfig

WARM_UPS = 3
"""Runs before a graph is captured: cuDNN tries its algorithms in the first, the allocator settles in the others."""


class CudaBackend:
    """A `.safetensors` engine on one GPU. Several may share a GPU: each has streams and graphs of its own."""

    def __init__(self, path: Path, spec: EngineSpec) -> None:
        """Load the weights and capture a graph for every batch size of the engine, where there is a GPU.

        Raises BackendUnavailable where it has too little memory, EngineError for a damaged file.
        """
        self.spec = spec
        self.device = torch.cuda.get_device_name()
        self.lock = threading.Lock()
        self.compute, self.copy_in, self.copy_out = (torch.cuda.Stream() for _ in range(3))  # type: ignore[no-untyped-call]
        folded = load_folded(path, spec).cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pool = torch.cuda.graph_pool_handle()
        self.graphs: dict[int, CapturedBatch] = {}
        with torch.inference_mode(), torch.cuda.stream(self.compute):
            for size in sorted(spec.batch_sizes, reverse=True):  # the largest first: the others fit into its memory
                try:
                    self.graphs[size] = CapturedBatch(folded, size, spec, pool)
                except torch.OutOfMemoryError as error:
                    raise BackendUnavailable(advice_on_memory(folded, size, spec, self.device)) from error
        self.slots = {size: (Slot(graph), Slot(graph)) for size, graph in self.graphs.items()}

    def run(self, images: Images) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`. While a piece computes, the next is copied in and the last is copied out."""
        n, h, w, _ = images.shape
        translated, heatmaps = np.empty_like(images), np.empty((n, h // 4, w // 4), np.float32)
        with self.lock, torch.inference_mode():
            flying: list[tuple[Slot, slice]] = []
            for i, (where, size) in enumerate(pieces(n, self.spec.batch_sizes)):
                slot = self.slots[size][i % 2]
                if len(flying) == 2:
                    land(*flying.pop(0), translated, heatmaps)
                self.send(slot, images[where])
                flying.append((slot, where))
            for slot, where in flying:
                land(slot, where, translated, heatmaps)
        return translated, heatmaps if self.spec.heatmap else None

    def send(self, slot: "Slot", images: Images) -> None:
        """Queue one piece: in, through the graph, and out again."""
        slot.host_in[: len(images)].copy_(torch.from_numpy(images))
        graph = slot.graph
        with torch.cuda.stream(self.copy_in):
            slot.device_in.copy_(slot.host_in, non_blocking=True)
        self.compute.wait_stream(self.copy_in)
        with torch.cuda.stream(self.compute):
            graph.image.copy_(slot.device_in)
            graph.replay()
            slot.device_out.copy_(graph.translated)
            slot.device_heatmap.copy_(graph.heatmap)
        self.copy_out.wait_stream(self.compute)
        with torch.cuda.stream(self.copy_out):
            slot.host_out.copy_(slot.device_out, non_blocking=True)
            slot.host_heatmap.copy_(slot.device_heatmap, non_blocking=True)
            slot.returned.record()

    def run_on_device(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """`run` for images that are on the GPU already: uint8 (n, h, w, 3), contiguous; nothing crosses to the host.

        The results are new tensors, ready in order on the caller's current stream.
        """
        n, h, w, _ = images.shape
        translated = torch.empty_like(images)
        heatmaps = torch.empty(n, h // 4, w // 4, device=images.device)
        with self.lock, torch.inference_mode():
            self.compute.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.compute):
                for where, size in pieces(n, self.spec.batch_sizes):
                    graph, count = self.graphs[size], where.stop - where.start
                    graph.image[:count].copy_(images[where])
                    graph.replay()
                    translated[where].copy_(graph.translated[:count])
                    heatmaps[where].copy_(graph.heatmap[:count])
            torch.cuda.current_stream().wait_stream(self.compute)
            for tensor in (images, translated, heatmaps):
                tensor.record_stream(self.compute)
        return translated, heatmaps if self.spec.heatmap else None

    def close(self) -> None:
        torch.cuda.synchronize()
        self.slots.clear()
        self.graphs.clear()
        torch.cuda.empty_cache()


class CapturedBatch:
    """The folded network at one batch size: static input, static results, one launch."""

    def __init__(self, folded: FoldedGenerator, size: int, spec: EngineSpec, pool: Any) -> None:
        """Capture on the current stream, with memory from `pool`. Raises torch.OutOfMemoryError."""
        self.image = torch.zeros(size, spec.height, spec.width, 3, dtype=torch.uint8, device="cuda")
        self.graph = torch.cuda.CUDAGraph()
        # cuDNN searches for its fastest algorithms once a shape; the setting is put back for the rest of the process.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False):
            for _ in range(WARM_UPS):
                folded(self.image)
            stream = torch.cuda.current_stream()
            with (
                graph_counters(self.image.device) as self.counters,
                torch.cuda.graph(self.graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
            ):
                self.translated, self.heatmap = folded(self.image)

    def replay(self) -> None:
        self.graph.replay()


@dataclass
class Slot:
    """Where a piece rests on its way: pinned on the host, and apart from the graph's own tensors on the GPU."""

    graph: CapturedBatch
    host_in: Tensor = field(init=False)
    host_out: Tensor = field(init=False)
    host_heatmap: Tensor = field(init=False)
    device_in: Tensor = field(init=False)
    device_out: Tensor = field(init=False)
    device_heatmap: Tensor = field(init=False)
    returned: torch.cuda.Event = field(default_factory=torch.cuda.Event)

    def __post_init__(self) -> None:
        self.device_in, self.device_out = torch.empty_like(self.graph.image), torch.empty_like(self.graph.image)
        self.device_heatmap = torch.empty_like(self.graph.heatmap)
        self.host_in, self.host_out, self.host_heatmap = (
            torch.zeros(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            for tensor in (self.device_in, self.device_out, self.device_heatmap)
        )


def land(slot: Slot, where: slice, translated: Images, heatmaps: Heatmaps) -> None:
    """Wait for a piece to come back and hand it over."""
    slot.returned.synchronize()
    count = where.stop - where.start
    translated[where] = slot.host_out[:count].numpy()
    heatmaps[where] = slot.host_heatmap[:count].numpy()


def load_folded(path: Path, spec: EngineSpec) -> FoldedGenerator:
    """The folded network of an engine file, on the CPU."""
    network = spec.network
    assert network is not None, "only a plan is bare"
    config = GeneratorConfig(ch=network.ch, n_res=network.n_res, light=network.light, img_size=spec.height)
    try:
        return FoldedGenerator(config, load_file(path), unbiased=network.unbiased)
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path} is truncated or damaged ({error}); build it again") from error
    except KeyError as error:
        raise EngineError(f"{path} has no tensor {error}, which its description needs; build it again") from error


def advice_on_memory(folded: FoldedGenerator, size: int, spec: EngineSpec, gpu: str) -> str:
    """What to say when a batch doesn't fit, with the one that does, from what a single picture takes."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    try:
        folded(torch.zeros(1, spec.height, spec.width, 3, dtype=torch.uint8, device="cuda"))
    except torch.OutOfMemoryError:
        return f"{gpu} has {free / 1e9:.1f} GB free, too little even for one picture; close other programs on it"
    per_picture = torch.cuda.max_memory_allocated() - before
    fits = max(1, int(0.9 * free / per_picture))
    return (
        f"a batch of {size} needs more memory than the {free / 1e9:.1f} GB that {gpu} has free; "
        f"{min(fits, size - 1)} would fit: build the engine again with --batch {min(fits, size - 1)}"
    )
