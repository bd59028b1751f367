"""TensorRT on an NVIDIA GPU: a plan for each batch size, launched as one CUDA graph, with copies that overlap."""

import queue
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.gpu import Gpu, GpuError, OutOfGpuMemory, Shape, Stream, open_gpu
from ugatit_fast.backends.relay import pieces
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError

if TYPE_CHECKING:
    import torch

MAX_LANES = 4
"""Threads that compute at once; others wait. Every lane has activations of its own on the GPU."""
TIMED_RUNS, WARM_UPS = 60, 10


class TrtBackend:
    """A `.engine` file on one GPU. Several may share a GPU."""

    def __init__(self, path: Path, spec: EngineSpec) -> None:
        """Load the plans and capture a graph for every batch size of the engine, which fits (`trt_fit.check_fits`).

        Raises BackendUnavailable where the GPU has too little memory, EngineError where the file is damaged.
        """
        self.spec = spec
        self.gpu = open_gpu()
        self.device = f"{self.gpu.name} with TensorRT {trt.__version__}"
        self.log = Log()
        self.runtime = trt.Runtime(self.log)
        self.engines = {name: self.load(path, plan) for name, plan in read_plans(path, spec)}
        self.free: queue.LifoQueue[Lane] = queue.LifoQueue()
        self.counting = threading.Lock()
        self.lanes, self.most_lanes = 1, MAX_LANES
        try:
            self.free.put(self.new_lane())
        except OutOfGpuMemory as error:
            raise BackendUnavailable(
                f"{path} needs more memory than the {self.gpu.free_bytes() / 1e9:.1f} GB that {self.gpu.name} has free "
                f"({self.log.last_error or error}); close other programs on it, or build the engine again with a "
                f"--batch below {max(spec.batch_sizes)}"
            ) from error

    def load(self, path: Path, plan: NDArray[np.uint8]) -> trt.ICudaEngine:
        engine: trt.ICudaEngine | None = self.runtime.deserialize_cuda_engine(plan.data)
        if engine is None:
            raise EngineError(f"TensorRT cannot load {path} ({self.log.last_error}); it is damaged: build it again")
        return engine

    def new_lane(self) -> "Lane":
        return Lane(self.gpu, self.spec, {size: self.engines[plan_name(self.spec, size)] for size in self.sizes})

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.spec.batch_sizes

    @contextmanager
    def lane(self) -> Iterator["Lane"]:
        """A lane that nobody else uses: a free one, a new one, or when there are enough, the next that gets free."""
        try:
            lane = self.free.get_nowait()
        except queue.Empty:
            lane = self.another_lane() or self.free.get()
        try:
            yield lane
        finally:
            self.free.put(lane)

    def another_lane(self) -> "Lane | None":
        """None where there are enough, or the GPU has no memory for more."""
        with self.counting:
            if self.lanes >= self.most_lanes:
                return None
            try:
                lane = self.new_lane()
            except OutOfGpuMemory as error:
                self.most_lanes = self.lanes
                warnings.warn(
                    f"{self.lanes} threads compute at once, others wait: there is no memory for more ({error})",
                    stacklevel=2,
                )
                return None
            self.lanes += 1
            return lane

    def run(self, images: Images) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`. While a piece computes, the next is copied in and the last is copied out."""
        n, h, w, _ = images.shape
        translated, heatmaps = np.empty_like(images), np.empty((n, h // 4, w // 4), np.float32)
        results = {"translated": translated, "heatmap": heatmaps}
        with self.lane() as lane:
            flying: list[tuple[Slot, slice]] = []
            for i, (where, size) in enumerate(pieces(n, self.spec.batch_sizes)):
                slot = lane.slots[size][i % 2]
                if len(flying) == 2:
                    landing, there = flying.pop(0)
                    landing.land(there, results)
                slot.send(images[where])
                flying.append((slot, where))
            for slot, where in flying:
                slot.land(where, results)
        return translated, heatmaps if self.spec.heatmap else None

    def run_on_device(self, images: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor | None]":
        """`run` for images that are on the GPU already: uint8 (n, h, w, 3), contiguous; nothing crosses to the host.

        The results are new tensors, ready in order on the caller's current stream.
        """
        import torch

        n, h, w, _ = images.shape
        translated = torch.empty_like(images)
        heatmaps = torch.empty(n, h // 4, w // 4, device=images.device)
        of_tensor, caller = self.gpu.of_tensor, torch.cuda.current_stream()
        with self.lane() as lane:
            ours = torch.cuda.ExternalStream(lane.compute.handle)  # type: ignore[no-untyped-call]
            ours.wait_stream(caller)
            for where, size in pieces(n, self.spec.batch_sizes):
                slot = lane.slots[size][0]
                self.gpu.copy(slot.image, of_tensor(images[where]), lane.compute)
                slot.launch()
                for result, name in ((translated, "translated"), (heatmaps, "heatmap")):
                    if name in slot.results:
                        target = of_tensor(result[where])
                        self.gpu.copy(target, slot.results[name].first(target.nbytes), lane.compute)
            caller.wait_stream(ours)
            for tensor in (images, translated, heatmaps):
                tensor.record_stream(ours)
        return translated, heatmaps if self.spec.heatmap else None

    def close(self) -> None:
        for _ in range(self.lanes):
            self.free.get().compute.synchronize()
        self.lanes = self.most_lanes = 0
        self.engines.clear()


class Lane:
    """What one thread at a time computes with: a stream, and for each batch size a context and two slots."""

    def __init__(self, gpu: Gpu, spec: EngineSpec, engines: Mapping[int, trt.ICudaEngine]) -> None:
        """Raises OutOfGpuMemory."""
        self.compute = gpu.stream()
        self.slots: dict[int, tuple[Slot, Slot]] = {}
        for size in sorted(engines, reverse=True):
            context = engines[size].create_execution_context()
            if context is None:
                raise OutOfGpuMemory("TensorRT has no memory for the activations")
            context.set_input_shape("image", (size, spec.height, spec.width, 3))
            self.slots[size] = (
                Slot(gpu, spec, size, context, self.compute),
                Slot(gpu, spec, size, context, self.compute),
            )


class Slot:
    """Where a piece rests on its way, pinned on the host and on the GPU, and the graph that computes it there."""

    def __init__(self, gpu: Gpu, spec: EngineSpec, size: int, context: trt.IExecutionContext, compute: Stream) -> None:
        self.gpu, self.context, self.compute = gpu, context, compute
        self.copies = gpu.stream()
        image = (size, spec.height, spec.width, 3)
        shapes: dict[str, tuple[Shape, type[np.generic]]] = {"translated": (image, np.uint8)}
        if spec.heatmap:
            shapes["heatmap"] = ((size, spec.height // 4, spec.width // 4), np.float32)
        self.image, self.host_image = gpu.memory(image, np.uint8), gpu.pinned(image, np.uint8)
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
        for name, memory in {"image": self.image, **self.results}.items():
            self.context.set_tensor_address(name, memory.address)
        if not self.context.execute_async_v3(self.compute.handle):
            raise GpuError("TensorRT refused to run")

    def send(self, images: Images) -> None:
        """Queue one piece: in, through the network, and out again."""
        self.host_image.on_host[: len(images)] = images
        self.gpu.copy(self.image, self.host_image, self.copies)
        self.compute.wait_for(self.copies)
        self.launch()
        self.copies.wait_for(self.compute)
        for name, memory in self.results.items():
            self.gpu.copy(self.host_results[name], memory, self.copies)

    def land(self, where: slice, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Wait for a piece to come back, and hand it over to `where` in the arrays."""
        self.copies.synchronize()
        for name, memory in self.host_results.items():
            arrays[name][where] = memory.on_host[: where.stop - where.start]


def describe_plan(path: Path) -> EngineSpec:
    """What TensorRT says about a bare plan; its checkpoint, and what it was built for, nobody knows."""
    log = Log()
    engine = trt.Runtime(log).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise EngineError(f"{path} is no engine of ugatit-fast and no plan that TensorRT loads: {log.last_error}")
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    shape = tuple(engine.get_tensor_shape("image")) if {"image", "translated"} <= names else ()
    if len(shape) != 4 or min(shape) < 1:
        raise EngineError(f"{path} is not a plan of ugatit-fast: its tensors are {', '.join(sorted(names))} {shape}")
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


def read_plans(path: Path, spec: EngineSpec) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The plans of an engine file by name, one after the other; or a bare plan."""
    if spec.is_bare:
        yield plan_name(spec, spec.batch_sizes[0]), np.fromfile(path, np.uint8)
        return
    try:
        with safe_open(path, "np") as file:
            for name in sorted({plan_name(spec, size) for size in spec.batch_sizes}):
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path} is truncated or damaged ({error}); copy it again or build it again") from error


def time_plan(plan: NDArray[np.uint8], spec: EngineSpec, size: int) -> float:
    """Median milliseconds of a batch that is on the GPU already. Raises EngineError, OutOfGpuMemory, GpuError."""
    log = Log()
    engine = trt.Runtime(log).deserialize_cuda_engine(plan.data)
    if engine is None:
        raise EngineError(f"TensorRT cannot load what it built ({log.last_error}); please report this")
    lane = Lane(open_gpu(), spec, {size: engine})
    slot, times = lane.slots[size][0], []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        slot.launch()
        lane.compute.synchronize()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[WARM_UPS:])


class Log(trt.ILogger):
    """Keeps TensorRT quiet, and its last error for our messages."""

    def __init__(self) -> None:
        super().__init__()
        self.last_error = ""

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
            self.last_error = " ".join(msg.split())
