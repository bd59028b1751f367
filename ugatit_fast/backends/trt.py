"""TensorRT on an NVIDIA GPU: a plan for each batch size, launched as one CUDA graph, with copies that overlap.

What TensorRT for RTX (`trt_rtx.py`) does alike is here: loading plans, lanes for threads, slots for pieces.
"""

import statistics
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.border import border, ran_out_of_memory
from ugatit_fast.backends.gpu import Gpu, open_gpu
from ugatit_fast.backends.gpu_parts import GpuError, OutOfGpuMemory, Shape, Stream
from ugatit_fast.backends.lanes import Lanes
from ugatit_fast.backends.needs import TENSORRT
from ugatit_fast.backends.relay import Results, relay, relay_on_device
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.backends.trt_library import Library, Log
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError, first_line

if TYPE_CHECKING:
    import tensorrt as trt
    import torch

MAX_LANES = 4
"""Threads that compute at once; others wait. Every lane has activations of its own on the GPU."""
TIMED_RUNS, WARM_UPS = 60, 10


class Lane(Protocol):
    """What one thread at a time computes with."""

    compute: Stream

    style: "GivenStyle | None"

    def slots(self, height: int, width: int) -> "Mapping[int, tuple[Slot, Slot]]":
        """Those for pictures of a size, by the number of them that go in one piece."""


class PlanBackend(ABC):
    """An engine of plans on one GPU. Several may share a GPU."""

    def __init__(
        self, path: Path, spec: EngineSpec, library: Library, plans: Iterable[str], gpu: int | None = None
    ) -> None:
        """Load those plans of the engine, which fits (see `trt_fit`), and make ready for the first thread.

        gpu: by its number; None is the one that CUDA takes by itself.

        Raises BackendUnavailable where the GPU has too little memory, EngineError where the file is damaged.
        """
        self.path, self.spec, self.library = path, spec, library
        self.gpu, self.number = open_gpu(gpu), gpu
        self.device = f"{self.gpu.name} with {library}"
        self.log = library.log()
        with border(path, spec), self.gpu.current():
            self.runtime: trt.Runtime = library.trt.Runtime(self.log)
            self.engines = {name: self.load(path, plan) for name, plan in read_plans(path, spec, plans)}
            self.lanes = Lanes(self.new_lane, MAX_LANES)

    def load(self, path: Path, plan: NDArray[np.uint8]) -> "trt.ICudaEngine":
        engine: trt.ICudaEngine | None = self.runtime.deserialize_cuda_engine(plan.data)
        if engine is None:
            raise EngineError(
                f"{self.library.title} cannot load {path} ({self.log.last_error}); it is damaged: build it again"
            )
        return engine

    @abstractmethod
    def make_lane(self) -> Lane:
        """Raises what says that memory ran out, where it did."""

    def new_lane(self) -> Lane:
        """Raises OutOfGpuMemory, which says how much there is."""
        with memory_told(self.gpu):
            return self.make_lane()

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`."""
        with border(self.path, self.spec), self.gpu.current(), self.lanes.lane() as lane:
            give(lane, style_for(self.spec, style))
            translated, heatmaps = relay(images, lane.slots(*images.shape[1:3]))
        return translated, heatmaps if self.spec.heatmap else None

    def run_on_device(
        self, images: "torch.Tensor", style: Style | None = None
    ) -> "tuple[torch.Tensor, torch.Tensor | None]":
        """As `DeviceBackend.run_on_device`."""
        import torch

        with border(self.path, self.spec), self.gpu.current(), self.lanes.lane() as lane:
            give(lane, style_for(self.spec, style))
            stream = torch.cuda.ExternalStream(lane.compute.handle)  # type: ignore[no-untyped-call]
            slots = lane.slots(*images.shape[1:3])

            def queue_piece(size: int, *piece: "torch.Tensor") -> None:
                slots[size][0].queue_on_device(*piece)

            translated, heatmaps = relay_on_device(images, slots, stream, queue_piece)
        return translated, heatmaps if self.spec.heatmap else None

    def close(self) -> None:
        with self.gpu.current():
            for lane in self.lanes.close():
                lane.compute.synchronize()
            self.engines.clear()


class TrtBackend(PlanBackend):
    """A `.engine` file on one GPU, with a graph captured for every batch size of the engine."""

    def __init__(self, path: Path, spec: EngineSpec, gpu: int | None = None) -> None:
        """As `PlanBackend`."""
        super().__init__(path, spec, Library(TENSORRT), {plan_name(spec, size) for size in spec.batch_sizes}, gpu)

    def make_lane(self) -> Lane:
        engines = {size: self.engines[plan_name(self.spec, size)] for size in self.spec.batch_sizes}
        return FixedLane(self.gpu, self.spec, engines, self.log)


class FixedLane:
    """A stream, and for each batch size a context and two slots."""

    def __init__(self, gpu: Gpu, spec: EngineSpec, engines: "Mapping[int, trt.ICudaEngine]", log: Log) -> None:
        """Raises OutOfGpuMemory, GpuError."""
        self.compute = gpu.stream()
        self.style = GivenStyle.of(gpu, spec)
        self.pairs: dict[int, tuple[Slot, Slot]] = {}
        for size in sorted(engines, reverse=True):
            image = (size, spec.height, spec.width, 3)
            context = started(engines[size].create_execution_context(), log)
            context.set_input_shape("image", image)
            self.pairs[size] = pair_of(gpu, image, spec.heatmap, context, self.compute, log, self.style)

    def slots(self, height: int, width: int) -> "Mapping[int, tuple[Slot, Slot]]":
        """They are all of the engine's one size."""
        return self.pairs


@contextmanager
def memory_told(gpu: Gpu) -> Iterator[None]:
    """What says inside that memory ran out leaves as OutOfGpuMemory, which says how much there is."""
    try:
        yield
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        free = gpu.free_bytes() / 1e9
        raise OutOfGpuMemory(f"{gpu.name} has {free:.1f} GB free: {first_line(error)}") from error


def started(context: "trt.IExecutionContext | None", log: Log) -> "trt.IExecutionContext":
    """OutOfGpuMemory where the library gave none."""
    if context is None:
        raise OutOfGpuMemory(f"TensorRT has no memory for the activations ({log.last_error})")
    return context


class GivenStyle:
    """The style on the GPU, where all slots of a lane read it; zeros at first."""

    def __init__(self, gpu: Gpu, length: int) -> None:
        """Raises OutOfGpuMemory, GpuError."""
        self.gpu = gpu
        self.memory, self.host = gpu.memory((length,), np.float32), gpu.pinned((length,), np.float32)

    @classmethod
    def of(cls, gpu: Gpu, spec: EngineSpec) -> "GivenStyle | None":
        """None where the engine takes none."""
        return cls(gpu, spec.style_length) if spec.style_length else None

    def give(self, style: Style, stream: Stream) -> None:
        """For what is queued on the stream from now on."""
        stream.synchronize()  # a copy of the last one may be under way
        self.host.on_host[:] = style
        self.gpu.copy(self.memory, self.host, stream)


def give(lane: Lane, style: Style | None) -> None:
    """The style of what the lane computes from now on."""
    if lane.style is not None and style is not None:
        lane.style.give(style, lane.compute)


class Slot:
    """See `relay.Slot`: pinned on the host and on the GPU, with the graph that computes a piece there."""

    def __init__(
        self,
        gpu: Gpu,
        image: Shape,
        heatmap: bool,
        context: "trt.IExecutionContext",
        compute: Stream,
        log: Log,
        style: GivenStyle | None,
    ) -> None:
        """image: the shape of a piece, (n, h, w, 3), which is set in the context. Raises OutOfGpuMemory, GpuError."""
        self.gpu, self.context, self.compute, self.log = gpu, context, compute, log
        self.copies = gpu.stream()
        size, height, width, _ = image
        shapes: dict[str, tuple[Shape, type[np.generic]]] = {"translated": (image, np.uint8)}
        if heatmap:
            shapes["heatmap"] = ((size, height // 4, width // 4), np.float32)
        self.image, self.host_image = gpu.memory(image, np.uint8), gpu.pinned(image, np.uint8)
        self.inputs = {"image": self.image} | ({"style": style.memory} if style else {})
        self.results = {name: gpu.memory(*shape) for name, shape in shapes.items()}
        self.host_results = {name: gpu.pinned(*shape) for name, shape in shapes.items()}
        self.enqueue()  # TensorRT sets itself up in its first run, which a graph can't hold
        compute.synchronize()
        self.launch = self.captured()

    def captured(self) -> Callable[[], None]:
        try:
            return self.gpu.capture(self.compute, self.enqueue)
        except GpuError as error:
            warnings.warn(f"launching kernel by kernel, since no CUDA graph could be captured: {error}", stacklevel=2)
            return self.enqueue

    def enqueue(self) -> None:
        for name, memory in {**self.inputs, **self.results}.items():
            self.context.set_tensor_address(name, memory.address)
        if not self.context.execute_async_v3(self.compute.handle):
            raise GpuError(f"TensorRT refused to run: {self.log.last_error}")

    def send(self, images: Images) -> None:
        self.host_image.on_host[: len(images)] = images
        self.gpu.copy(self.image, self.host_image, self.copies)
        self.compute.wait_for(self.copies)
        self.launch()
        self.copies.wait_for(self.compute)
        for name, memory in self.results.items():
            self.gpu.copy(self.host_results[name], memory, self.copies)

    def land(self, where: slice, results: Results) -> None:
        self.copies.synchronize()
        for name, memory in self.host_results.items():
            results[name][where] = memory.on_host[: where.stop - where.start]

    def settle(self) -> None:
        self.copies.synchronize()
        self.compute.synchronize()

    def queue_on_device(self, images: "torch.Tensor", translated: "torch.Tensor", heatmaps: "torch.Tensor") -> None:
        """Queue one piece, see `relay_on_device`."""
        self.gpu.copy(self.image, self.gpu.of_tensor(images), self.compute)
        self.launch()
        for name, result in (("translated", translated), ("heatmap", heatmaps)):
            if name in self.results:
                target = self.gpu.of_tensor(result)
                self.gpu.copy(target, self.results[name].first(target.nbytes), self.compute)


def pair_of(
    gpu: Gpu,
    image: Shape,
    heatmap: bool,
    context: "trt.IExecutionContext",
    compute: Stream,
    log: Log,
    style: GivenStyle | None,
) -> tuple[Slot, Slot]:
    """Two slots that share a context; arguments as for `Slot`."""
    first, second = (Slot(gpu, image, heatmap, context, compute, log, style) for _ in range(2))
    return first, second


def loaded_plan(path: Path, library: Library) -> "tuple[trt.ICudaEngine, set[str]]":
    """A bare plan, and the names of its tensors. EngineError where it isn't one of ours."""
    log = library.log()
    with border(path):
        engine = library.trt.Runtime(log).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise EngineError(
            f"{path} is no engine of ugatit-fast and no plan that {library.title} loads: {log.last_error}"
        )
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    if "style" in names:
        raise EngineError(f"{path} takes a style, which a bare plan says nothing of; run the engine that it came from")
    shape = tuple(engine.get_tensor_shape("image")) if {"image", "translated"} <= names else ()
    if len(shape) != 4:
        raise EngineError(f"{path} is not a plan of ugatit-fast: its tensors are {', '.join(sorted(names))} {shape}")
    return engine, names


def describe_plan(path: Path) -> EngineSpec:
    """What TensorRT says about a bare plan; its checkpoint, and what it was built for, nobody knows."""
    engine, names = loaded_plan(path, Library(TENSORRT))
    shape = tuple(engine.get_tensor_shape("image"))
    if min(shape) < 1:
        raise EngineError(f"{path} serves many shapes, {shape}, which a bare plan can't; run the engine it came from")
    return EngineSpec(
        kind="tensorrt",
        precision="fp16",
        height=shape[1],
        width=shape[2],
        any_size=False,
        batch_sizes=(shape[0],),
        heatmap="heatmap" in names,
        checkpoint_sha256="",
        ugatit_fast_version="",
        network=None,
    )


def plan_name(spec: EngineSpec, size: int) -> str:
    """Of the plan in an engine file that serves this batch size."""
    return "plan.any" if spec.tensorrt and spec.tensorrt.dynamic_batch else f"plan.{size}"


def read_plans(path: Path, spec: EngineSpec, names: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Those plans of an engine file, one after the other; or a bare plan, under the only name."""
    if spec.is_bare:
        (name,) = names
        yield name, np.fromfile(path, np.uint8)
        return
    try:
        with safe_open(path, "np") as file:
            for name in sorted(names):
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path} is truncated or damaged ({error}); copy it again or build it again") from error


def time_plan(plan: NDArray[np.uint8], spec: EngineSpec, size: int) -> float:
    """Median milliseconds of a batch that is on the GPU already. Raises EngineError, BackendUnavailable."""
    log, times = (library := Library(TENSORRT)).log(), []
    with border(f"the plan for batches of {size}", spec):
        engine = library.trt.Runtime(log).deserialize_cuda_engine(plan.data)
        if engine is None:
            raise EngineError(f"TensorRT cannot load what it built ({log.last_error}); please report this")
        lane = FixedLane(open_gpu(), spec, {size: engine}, log)
        slot = lane.pairs[size][0]
        for _ in range(TIMED_RUNS):
            started = time.perf_counter()
            slot.launch()
            lane.compute.synchronize()
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[WARM_UPS:])
