"""TensorRT on an NVIDIA GPU: a plan for each batch size, launched as one CUDA graph, with copies that overlap."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.border import border, ran_out_of_memory
from ugatit_fast.backends.gpu import Gpu, open_gpu
from ugatit_fast.backends.gpu_parts import GpuError, OutOfGpuMemory, Shape, Stream
from ugatit_fast.backends.lanes import Lanes
from ugatit_fast.backends.relay import Results, relay, relay_on_device
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError, first_line

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
        self.path, self.spec = path, spec
        self.gpu = open_gpu()
        self.device = f"{self.gpu.name} with TensorRT {trt.__version__}"
        self.log = Log()
        with border(path, spec):
            self.runtime = trt.Runtime(self.log)
            self.engines = {name: self.load(path, plan) for name, plan in read_plans(path, spec)}
            self.lanes = Lanes(self.new_lane, MAX_LANES)

    def load(self, path: Path, plan: NDArray[np.uint8]) -> trt.ICudaEngine:
        engine: trt.ICudaEngine | None = self.runtime.deserialize_cuda_engine(plan.data)
        if engine is None:
            raise EngineError(f"TensorRT cannot load {path} ({self.log.last_error}); it is damaged: build it again")
        return engine

    def new_lane(self) -> "Lane":
        """Raises OutOfGpuMemory, which says how much there is."""
        engines = {size: self.engines[plan_name(self.spec, size)] for size in self.spec.batch_sizes}
        try:
            return Lane(self.gpu, self.spec, engines, self.log)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            free = self.gpu.free_bytes() / 1e9
            raise OutOfGpuMemory(f"{self.gpu.name} has {free:.1f} GB free: {first_line(error)}") from error

    def run(self, images: Images) -> tuple[Images, Heatmaps | None]:
        """As `Backend.run`."""
        with border(self.path, self.spec), self.lanes.lane() as lane:
            translated, heatmaps = relay(images, lane.slots)
        return translated, heatmaps if self.spec.heatmap else None

    def run_on_device(self, images: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor | None]":
        """As `DeviceBackend.run_on_device`."""
        import torch

        with border(self.path, self.spec), self.lanes.lane() as lane:
            stream = torch.cuda.ExternalStream(lane.compute.handle)  # type: ignore[no-untyped-call]
            translated, heatmaps = relay_on_device(images, lane.slots, stream, lane.queue_on_device)
        return translated, heatmaps if self.spec.heatmap else None

    def close(self) -> None:
        for lane in self.lanes.close():
            lane.compute.synchronize()
        self.engines.clear()


class Lane:
    """What one thread at a time computes with: a stream, and for each batch size a context and two slots."""

    def __init__(self, gpu: Gpu, spec: EngineSpec, engines: Mapping[int, trt.ICudaEngine], log: "Log") -> None:
        """Raises OutOfGpuMemory, GpuError."""
        self.gpu, self.compute = gpu, gpu.stream()
        self.slots: dict[int, tuple[Slot, Slot]] = {}
        for size in sorted(engines, reverse=True):
            context = engines[size].create_execution_context()
            if context is None:
                raise OutOfGpuMemory(f"TensorRT has no memory for the activations ({log.last_error})")
            context.set_input_shape("image", (size, spec.height, spec.width, 3))
            self.slots[size] = (
                Slot(gpu, spec, size, context, self.compute, log),
                Slot(gpu, spec, size, context, self.compute, log),
            )

    def queue_on_device(
        self, size: int, images: "torch.Tensor", translated: "torch.Tensor", heatmaps: "torch.Tensor"
    ) -> None:
        """Queue one piece, see `relay_on_device`."""
        slot = self.slots[size][0]
        self.gpu.copy(slot.image, self.gpu.of_tensor(images), self.compute)
        slot.launch()
        for name, result in (("translated", translated), ("heatmap", heatmaps)):
            if name in slot.results:
                target = self.gpu.of_tensor(result)
                self.gpu.copy(target, slot.results[name].first(target.nbytes), self.compute)


class Slot:
    """See `relay.Slot`: pinned on the host and on the GPU, with the graph that computes a piece there."""

    def __init__(
        self, gpu: Gpu, spec: EngineSpec, size: int, context: trt.IExecutionContext, compute: Stream, log: "Log"
    ) -> None:
        """Raises OutOfGpuMemory, GpuError."""
        self.gpu, self.context, self.compute, self.log = gpu, context, compute, log
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


def describe_plan(path: Path) -> EngineSpec:
    """What TensorRT says about a bare plan; its checkpoint, and what it was built for, nobody knows."""
    log = Log()
    with border(path):
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
    """Median milliseconds of a batch that is on the GPU already. Raises EngineError, BackendUnavailable."""
    log, times = Log(), []
    with border(f"the plan for batches of {size}", spec):
        engine = trt.Runtime(log).deserialize_cuda_engine(plan.data)
        if engine is None:
            raise EngineError(f"TensorRT cannot load what it built ({log.last_error}); please report this")
        lane = Lane(open_gpu(), spec, {size: engine}, log)
        slot = lane.slots[size][0]
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
