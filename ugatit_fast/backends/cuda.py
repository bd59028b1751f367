"""PyTorch on an NVIDIA GPU: cuDNN's convolutions or ours, our fused kernels, one CUDA graph per batch size."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ugatit_fast.architectures import architecture_called
from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.border import border
from ugatit_fast.backends.convolutions import Choices
from ugatit_fast.backends.cuda_graph import CapturedBatch, Slot, Streams, WholeSlot
from ugatit_fast.backends.lanes import Lanes
from ugatit_fast.backends.relay import pieces, relay, relay_on_device
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.backends.tuning import choose
from ugatit_fast.choices import Tune
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.progress import Say

MAX_LANES = 2
"""Threads that compute at once; others wait. A normalisation of a picture takes at most half of a GPU's places, so two
never wait for places that the other holds. Every lane has activations of its own on the GPU.
"""
CAPTURING = ThreadPoolExecutor(1, thread_name_prefix="cuda-capture")
"""Where all graphs are captured. PyTorch keeps what cuDNN's search found by thread: graphs of another thread would be
searched for again, and may come out with algorithms that round otherwise.
"""

Made = TypeVar("Made")


class NoRoom(torch.OutOfMemoryError):
    """For the activations of a batch of `size`."""

    def __init__(self, size: int, error: torch.OutOfMemoryError) -> None:
        super().__init__(str(error))
        self.size = size


class CudaBackend:
    """A `.safetensors` engine on one GPU. Several may share a GPU: each has streams and graphs of its own."""

    def __init__(
        self, path: Path, spec: EngineSpec, tune: Tune = "auto", say: Say = lambda _: None, *, gpu: int | None = None
    ) -> None:
        """Load the weights and capture a graph for every batch size of the engine, where there is a GPU.

        tune: whose convolutions, see `tuning`; say: called with a line about it.
        gpu: by its number; None is the one that CUDA takes by itself.
        Raises BackendUnavailable where it has too little memory, EngineError for a damaged file.
        """
        self.path, self.spec, self.number = path, spec, gpu
        with border(path, spec), self.current():
            self.device = torch.cuda.get_device_name()
            folded = load_folded(path, spec).aligned().cuda()
            self.folded = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            choices = self.captured(lambda: choose(self.folded, spec, tune, say))
            try:
                self.lanes = Lanes(lambda: self.captured(lambda: Lane(self.folded, spec, choices)), MAX_LANES)
            except NoRoom as error:
                raise BackendUnavailable(advice_on_memory(self.folded, error.size, spec, self.device)) from error

    def current(self) -> AbstractContextManager[object]:
        """Inside, it is this thread's GPU; CUDA has a current one for every thread."""
        return nullcontext() if self.number is None else torch.cuda.device(self.number)

    def captured(self, make: Callable[[], Made]) -> Made:
        """What `make` makes on the thread that captures."""

        def on_this_gpu() -> Made:
            with self.current():
                return make()

        return CAPTURING.submit(on_this_gpu).result()

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`."""
        with border(self.path, self.spec), self.current(), self.lanes.lane() as lane, torch.inference_mode():
            lane.give(style_for(self.spec, style))
            translated, heatmaps = relay(images, lane.slots_for(len(images)))
        return translated, heatmaps if self.spec.heatmap else None

    def run_on_device(self, images: Tensor, style: Style | None = None) -> tuple[Tensor, Tensor | None]:
        """As `DeviceBackend.run_on_device`."""
        with border(self.path, self.spec), self.current(), self.lanes.lane() as lane, torch.inference_mode():
            lane.give(style_for(self.spec, style))
            translated, heatmaps = relay_on_device(images, lane.graphs, lane.streams.compute, lane.compute)
        return translated, heatmaps if self.spec.heatmap else None

    def close(self) -> None:
        with self.current():
            torch.cuda.synchronize()
            for lane in self.lanes.close():
                lane.clear()
            torch.cuda.empty_cache()


class Lane:
    """What one thread at a time computes with: streams, and for each batch size graphs and slots."""

    def __init__(self, folded: FoldedNetwork, spec: EngineSpec, choices: Choices | None) -> None:
        """Raises NoRoom, torch.OutOfMemoryError."""
        self.wants_heatmap, self.streams = spec.heatmap, Streams()
        self.style = new_style(folded)
        pool = torch.cuda.graph_pool_handle()
        self.graphs: dict[int, CapturedBatch] = {}
        self.whole: dict[int, tuple[WholeSlot, WholeSlot]] = {}
        with torch.inference_mode(), torch.cuda.stream(self.streams.compute):
            for size in sorted(spec.batch_sizes, reverse=True):  # the largest first: the others fit into its memory
                try:
                    self.graphs[size] = CapturedBatch(folded, size, spec, choices, pool, self.style)
                    self.whole[size] = (WholeSlot(folded, size, spec, choices, pool, self.streams, self.style),) * 2
                except torch.OutOfMemoryError as error:
                    raise NoRoom(size, error) from error
        self.slots = {
            size: (Slot(graph, size, spec, self.streams), Slot(graph, size, spec, self.streams))
            for size, graph in self.graphs.items()
        }

    def give(self, style: Style | None) -> None:
        """The style of what is queued from now on, where the network draws in styles."""
        if self.style is not None and style is not None:
            with torch.cuda.stream(self.streams.compute):
                self.style.copy_(torch.from_numpy(style))

    def slots_for(self, count: int) -> Mapping[int, tuple[Slot, Slot]] | Mapping[int, tuple[WholeSlot, WholeSlot]]:
        """Those for so many pictures: copies overlap where there is something to overlap them with."""
        return self.slots if len(list(pieces(count, self.slots))) > 1 else self.whole

    def compute(self, size: int, images: Tensor, translated: Tensor, heatmaps: Tensor) -> None:
        """Queue one piece on the current stream."""
        graph, count = self.graphs[size], len(images)
        graph.image[:count].copy_(images)
        graph.replay()
        translated.copy_(graph.translated[:count])
        if self.wants_heatmap:
            heatmaps.copy_(graph.heatmap[:count])

    def clear(self) -> None:
        for held in (self.slots, self.whole, self.graphs):
            held.clear()


def new_style(folded: FoldedNetwork) -> Tensor | None:
    """Where the graphs of a network that draws in styles find the style: float32 (length,), zeros at first."""
    length = folded.config.style_length
    return torch.zeros(length, device=folded.stem.weight.device) if length else None


def load_folded(path: Path, spec: EngineSpec) -> FoldedNetwork:
    """The folded network of an engine file, on the CPU."""
    network = spec.network
    assert network is not None, "only a plan is bare"
    try:
        architecture = architecture_called(network.architecture)
    except KeyError as error:
        raise EngineError(
            f"{path} is of a generator ({network.architecture}) that this ugatit-fast doesn't know: upgrade it "
            "(pip install -U ugatit-fast)"
        ) from error
    try:
        config = architecture.configured(network.settings, spec.height)
    except (TypeError, ValueError) as error:
        raise EngineError(f"{path} has a damaged description ({error!r}); build it again") from error
    try:
        return architecture.folded(config, load_file(path))
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path} is truncated or damaged ({error}); build it again") from error
    except KeyError as error:
        raise EngineError(f"{path} has no tensor {error}, which its description needs; build it again") from error


def advice_on_memory(folded: FoldedNetwork, size: int, spec: EngineSpec, gpu: str) -> str:
    """What to say when a batch doesn't fit, with the one that does, from what a single picture takes."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    try:
        folded(torch.zeros(1, spec.height, spec.width, 3, dtype=torch.uint8, device="cuda"), new_style(folded))
    except torch.OutOfMemoryError:
        return f"{gpu} has {free / 1e9:.1f} GB free, too little even for one picture; close other programs on it"
    per_picture = torch.cuda.max_memory_allocated() - before
    fits = max(1, int(0.9 * free / per_picture))
    return (
        f"a batch of {size} needs more memory than the {free / 1e9:.1f} GB that {gpu} has free; "
        f"{min(fits, size - 1)} would fit: build the engine again with --batch {min(fits, size - 1)}"
    )
