"""ONNX -> network -> plan, by TensorRT or by TensorRT for RTX. Strongly typed: precision is in the graph."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from safetensors.numpy import save_file

from ugatit_fast.backends.gpu_parts import Shape
from ugatit_fast.backends.runtimes import PLAN_SUFFIX
from ugatit_fast.backends.trt_library import Library, Log
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import ExportError
from ugatit_fast.export.onnx_graph import save_onnx
from ugatit_fast.files import METADATA_KEY, safetensors_errors
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.progress import Phased

if TYPE_CHECKING:
    import tensorrt as trt

Plan = NDArray[np.uint8]
Shapes = tuple[Shape, Shape, Shape]
"""The least, the usual and the largest (n, h, w, 3) that a plan takes."""
WAKE_SECONDS = 0.5
"""How long Ctrl-C may go unnoticed; not every platform interrupts a wait."""


@dataclass(frozen=True)
class Network:
    """A model that the library has read, and what lives until its plan is built."""

    library: Library
    definition: "trt.INetworkDefinition"
    builder: "trt.Builder"
    parser: "trt.OnnxParser"
    """Holds the weights."""
    log: Log

    def config(self, shapes: Shapes | None = None) -> "trt.IBuilderConfig":
        """Settings for its plan, with float32 that means float32. shapes: of the pictures, where they aren't fixed."""
        config = self.builder.create_builder_config()
        config.clear_flag(self.library.trt.BuilderFlag.TF32)
        if shapes:
            least, usual, largest = shapes
            profile = self.builder.create_optimization_profile()
            profile.set_shape("image", least, usual, largest)
            config.add_optimization_profile(profile)
        return config


def network_of(model: ModelProto, library: Library) -> Network:
    """ExportError where the library's parser refuses the model. By way of a file, since weights may lie beside it."""
    trt, log = library.trt, library.log()
    builder = trt.Builder(log)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(definition, log)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_onnx(model, path)
        parsed = parser.parse_from_file(str(path))
    if not parsed:
        errors = [described(parser.get_error(i)) for i in range(parser.num_errors)]
        raise ExportError(f"{library} cannot parse this: {'; '.join(errors) or log.last_error}; please report it")
    return Network(library, definition, builder, parser, log)


def described(error: "trt.ParserError") -> str:
    """In one line, and with the node: what it says alone may be no more than "false"."""
    return f"{error.node_operator()} {error.node_name()}: {' '.join(error.desc().split())}"


def build(network: Network, config: "trt.IBuilderConfig", progress: Phased) -> "trt.IHostMemory | None":
    """The plan, or None where the library fails. Stops at the next step when interrupted: it works in a thread, so that
    Ctrl-C finds this one awake.
    """
    monitor = monitor_of(network.library, progress)
    config.progress_monitor = monitor
    with ThreadPoolExecutor(1, "tensorrt") as pool:
        try:
            building = pool.submit(lambda: network.builder.build_serialized_network(network.definition, config))
            while not wait([building], WAKE_SECONDS).done:
                pass
        except BaseException:  # an interrupt inside submit leaves a thread that the pool doesn't know of
            monitor.cancelled = True
            raise
    plan: trt.IHostMemory | None = building.result()
    return plan


def array_of(plan: "trt.IHostMemory | None", network: Network, what: str) -> Plan:
    """What `build` gave, in NumPy; ExportError, naming `what`, with the library's words where it failed."""
    if plan is None:
        reason = network.log.last_error or "it does not say why"
        raise ExportError(f"{network.library} could not build the {what}: {reason}")
    return np.frombuffer(memoryview(plan), np.uint8)


def save_plans(plans: Mapping[str, Plan], folded: FoldedNetwork, spec: EngineSpec, path: Path, bare: bool) -> None:
    """Write an engine file of plans, with what sees styles in pictures, where the network draws in them. bare: also
    each plan by itself beside it. Raises OSError.
    """
    encoder = {name: tensor.contiguous().numpy() for name, tensor in folded.style_encoder_tensors().items()}
    with safetensors_errors():
        save_file({**plans, **encoder}, path, {METADATA_KEY: spec.to_json()})
    for name, plan in plans.items() if bare else ():
        plan.tofile(path.with_name(f"{path.stem}.{name.removeprefix('plan.')}{PLAN_SUFFIX}"))


def monitor_of(library: Library, progress: Phased) -> Any:
    """Hands the library's progress on, and tells it when to stop: as soon as `cancelled` is set."""
    trt = library.trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # of which library, only now is known
        def __init__(self) -> None:
            super().__init__()
            self.cancelled = False
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Whether to go on."""
            progress(phase_name, step, self.steps[phase_name])
            return not self.cancelled

        def phase_finish(self, phase_name: str) -> None:
            steps = self.steps.pop(phase_name)
            progress(phase_name, steps, steps)

    return Monitor()
