"""TensorRT for RTX on a GPU that it knows: a plan that fits any of them, compiled for this one as shapes come along.

A shape (a batch size and a size of picture) is compiled before its first piece runs, and what was compiled is kept
beside the engine: the next start finds it.
"""

import re
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.backends.gpu_parts import GpuError, Memory, Shape
from ugatit_fast.backends.needs import TENSORRT_RTX
from ugatit_fast.backends.trt import GivenStyle, Lane, PlanBackend, Slot, loaded_plan, memory_told, pair_of, started
from ugatit_fast.backends.trt_library import Library
from ugatit_fast.engine import EngineSpec, RtxFacts
from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole

if TYPE_CHECKING:
    import tensorrt_rtx as trt

KEPT_SHAPES = 8
"""Of one lane; a shape's activations stay on the GPU as long as it is kept."""
TURING = "sm_75"


class RtxBackend(PlanBackend):
    """An `.rtx` file on one GPU: each batch size and size of picture is compiled when it is first used."""

    def __init__(self, path: Path, spec: EngineSpec, gpu: int | None = None) -> None:
        """As `PlanBackend`; with the smallest batch of the engine's own size compiled."""
        super().__init__(path, spec, Library(TENSORRT_RTX), {plan_name(architecture(open_gpu(gpu)))}, gpu)

    @property
    def engine(self) -> "trt.ICudaEngine":
        (engine,) = self.engines.values()
        return engine

    @cached_property
    def kernels(self) -> "KernelCache":
        return KernelCache(kernel_cache_path(self.path, self.gpu.name), self.engine)

    def make_lane(self) -> Lane:
        lane = ShapeLane(self)
        lane.pair((min(self.spec.batch_sizes), self.spec.height, self.spec.width, 3))
        return lane


class ShapeLane:
    """A stream, and for each shape of late a context, its memory and two slots."""

    def __init__(self, backend: RtxBackend) -> None:
        self.backend, self.compute = backend, backend.gpu.stream()
        self.style = GivenStyle.of(backend.gpu, backend.spec)
        self.made: OrderedDict[Shape, tuple[Memory, tuple[Slot, Slot]]] = OrderedDict()

    def slots(self, height: int, width: int) -> Mapping[int, tuple[Slot, Slot]]:
        return Pieces(self, height, width)

    def pair(self, image: Shape) -> tuple[Slot, Slot]:
        """The slots for pieces (n, h, w, 3), compiled where they are new. Raises OutOfGpuMemory, GpuError."""
        if image not in self.made:
            self.forget_all_but(KEPT_SHAPES - 1)
            self.made[image] = self.compiled(image)
            self.backend.kernels.keep()
        self.made.move_to_end(image)
        return self.made[image][1]

    def forget_all_but(self, kept: int) -> None:
        """Let go of the shapes that were used longest ago."""
        if len(self.made) > kept:
            self.compute.synchronize()  # what was queued for tensors on the GPU may still be under way
        while len(self.made) > kept:
            self.made.popitem(last=False)

    def compiled(self, image: Shape) -> tuple[Memory, tuple[Slot, Slot]]:
        backend = self.backend
        context: trt.IExecutionContext = started(
            backend.engine.create_execution_context(backend.kernels.config()), backend.log
        )
        if not context.set_input_shape("image", image):
            raise GpuError(f"TensorRT for RTX doesn't take {'x'.join(map(str, image))} ({backend.log.last_error})")
        nbytes = context.update_device_memory_size_for_shapes()
        activations = backend.gpu.memory((nbytes,), np.uint8)
        context.set_device_memory(activations.address, nbytes)
        pair = pair_of(backend.gpu, image, backend.spec.heatmap, context, self.compute, backend.log, self.style)
        return activations, pair


class Pieces(Mapping[int, tuple[Slot, Slot]]):
    """The slots for pictures of one size, made when they are asked for."""

    def __init__(self, lane: ShapeLane, height: int, width: int) -> None:
        self.lane, self.height, self.width = lane, height, width

    def __getitem__(self, size: int) -> tuple[Slot, Slot]:
        with memory_told(self.lane.backend.gpu):
            return self.lane.pair((size, self.height, self.width, 3))

    def __iter__(self) -> Iterator[int]:
        return iter(self.lane.backend.spec.batch_sizes)

    def __len__(self) -> int:
        return len(self.lane.backend.spec.batch_sizes)


class KernelCache:
    """What TensorRT for RTX has compiled on this GPU, kept in a file beside the engine."""

    def __init__(self, path: Path, engine: "trt.ICudaEngine") -> None:
        self.path, self.engine = path, engine
        self.cache: trt.IRuntimeCache = engine.create_runtime_config().create_runtime_cache()
        self.kept = path.read_bytes() if path.is_file() else b""
        if self.kept:
            self.cache.deserialize(self.kept)  # refuses another driver's or version's: it is replaced then

    def config(self) -> "trt.IRuntimeConfig":
        """For a new context: it compiles for its shape before it runs, and takes memory from us."""
        trt, config = Library(TENSORRT_RTX).trt, self.engine.create_runtime_config()
        config.set_runtime_cache(self.cache)
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        return config

    def keep(self) -> None:
        """Write it where there is something new; where that can't be, the next start compiles again."""
        compiled = bytes(memoryview(self.cache.serialize()))
        if compiled == self.kept:
            return
        self.kept = compiled
        try:
            with written_whole(self.path) as partial:
                partial.write_bytes(compiled)
        except InputError as error:
            warnings.warn(f"what was compiled isn't kept, and is compiled again next time: {error}", stacklevel=2)


def kernel_cache_path(engine: Path, gpu_name: str) -> Path:
    """Beside the engine, one for each kind of GPU."""
    return engine.with_name(f"{engine.name}.{re.sub(r'[^A-Za-z0-9]+', '-', gpu_name)}.cache")


def plan_name(gpu_architecture: str) -> str:
    """Of the plan in an engine file for that architecture. Turing's is apart: what it lacks would slow the others."""
    return "plan.turing" if gpu_architecture == TURING else "plan.ampere"


def describe_rtx_plan(path: Path) -> EngineSpec:
    """What TensorRT for RTX says about a bare plan; its checkpoint nobody knows."""
    library = Library(TENSORRT_RTX)
    engine, names = loaded_plan(path, library)
    least, usual, most = (tuple(shape) for shape in engine.get_tensor_profile_shape("image", 0))
    return EngineSpec(
        kind="tensorrt-rtx",
        precision="fp16",
        height=usual[1],
        width=usual[2],
        any_size=least[1:3] != most[1:3],
        batch_sizes=tuple(sorted({least[0], most[0]})),
        heatmap="heatmap" in names,
        checkpoint_sha256="",
        ugatit_fast_version="",
        network=None,
        tensorrt_rtx=RtxFacts(
            gpu_architectures=(architecture(open_gpu()),),
            tensorrt_rtx_version=library.trt.__version__,
            largest_side=min(most[1:3]),
        ),
    )
