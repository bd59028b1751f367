"""Folded graph -> typed ONNX -> network -> plan -> engine file.

Precision is in the graph: networks are strongly typed, and float32 means float32 (TF32 off). Every batch size has a
plan of its own with fixed shapes unless asked otherwise: TensorRT finds faster kernels for them, and where shapes
change, versions to at least 11.2 load a plugin's kernels again each time (github.com/NVIDIA/TensorRT/issues/4849).
"""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray
from onnx import ModelProto
from safetensors.numpy import save_file

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.backends.trt import Log, plan_name, time_plan
from ugatit_fast.choices import Kernels
from ugatit_fast.engine import EngineSpec, TensorRTFacts
from ugatit_fast.errors import BackendUnavailable, EngineError, ExportError
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.timing_cache import timing_cache, timing_cache_path
from ugatit_fast.files import METADATA_KEY
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.machine import pip_install
from ugatit_fast.progress import Phased, Say

Plan = NDArray[np.uint8]
"""Called with a phase of the build, its steps done, and its steps in all; all of them once at its end."""
MIB = 2**20
WAKE_SECONDS = 0.5
"""How long Ctrl-C may go unnoticed; not every platform interrupts a wait."""
VECTOR_CHANNELS = 8
"""Channels that TensorRT's channels-last float16 format rounds up to; our kernels expect nothing to round."""


@dataclass(frozen=True)
class Network:
    """A model that TensorRT has read, and what lives until its plan is built."""

    definition: trt.INetworkDefinition
    builder: trt.Builder
    parser: trt.OnnxParser
    """Holds the weights."""
    log: Log


def network_of(model: ModelProto) -> Network:
    """ExportError where TensorRT's parser refuses the model. By way of a file, since weights may lie beside it."""
    log = Log()
    builder = trt.Builder(log)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(definition, log)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_onnx(model, path)
        parsed = parser.parse_from_file(str(path))
    if not parsed:
        errors = [" ".join(parser.get_error(i).desc().split()) for i in range(parser.num_errors)]
        raise ExportError(
            f"TensorRT {trt.__version__} cannot parse this: {'; '.join(errors) or log.last_error}; please report it"
        )
    return Network(definition, builder, parser, log)


@dataclass(frozen=True)
class PlanBuilder:
    """What the plans of an engine have in common."""

    folded: FoldedGenerator
    spec: EngineSpec
    options: TensorRTOptions
    say: Say
    progress: Phased

    def plan(self, size: int, kernels: Kernels) -> Plan:
        """The plan for one batch size (or all up to it), with or without our kernels. Raises ExportError."""
        if kernels == "triton":
            register_plugins()
        network = network_of(self.model(size, kernels))
        config = self.configured(network.builder, size)
        return self.plan_of(network, config, f"{kernels} plan for batch {size}")

    def model(self, size: int, kernels: Kernels) -> ModelProto:
        """What TensorRT parses: of fixed batch, and with nodes that name our plugins, where asked."""
        spec = self.spec
        batch = None if self.options.dynamic_batch else size
        if kernels == "native":
            return to_onnx(self.folded, spec, form="convolutions", batch=batch)
        ch = self.folded.config.ch
        if ch % VECTOR_CHANNELS:
            raise ExportError(
                f"our kernels in TensorRT need a multiple of {VECTOR_CHANNELS} channels, this generator has {ch}; "
                "build with --kernels native"
            )
        shapes = PluginShapes.of(self.folded, min(spec.batch_sizes) if batch is None else size, spec.height, spec.width)
        return to_onnx(self.folded, spec, form="convolutions", batch=batch, plugins=shapes)

    def configured(self, builder: trt.Builder, size: int) -> trt.IBuilderConfig:
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)
        config.builder_optimization_level = self.options.optimization_level
        if self.options.workspace_mib is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self.options.workspace_mib * MIB)
        if self.options.dynamic_batch:
            image = (self.spec.height, self.spec.width, 3)
            profile = builder.create_optimization_profile()
            profile.set_shape("image", (1, *image), (size, *image), (size, *image))
            config.add_optimization_profile(profile)
        return config

    def plan_of(self, network: Network, config: trt.IBuilderConfig, what: str) -> Plan:
        """Built with what earlier builds have measured. ExportError, naming `what`, where TensorRT fails."""
        with timing_cache(config, timing_cache_path(self.options.timing_cache, open_gpu()), self.say):
            plan = build(network.builder, network.definition, config, self.progress)
        if plan is None:
            reason = network.log.last_error or "it does not say why"
            raise ExportError(f"TensorRT {trt.__version__} could not build the {what}: {reason}")
        return np.frombuffer(memoryview(plan), np.uint8)

    def fastest(self, size: int) -> tuple[Kernels, Plan]:
        """The plan that the options ask for, or the faster of both on this GPU, with what it has inside."""
        if self.options.kernels != "auto":
            return self.options.kernels, self.plan(size, self.options.kernels)
        native = self.plan(size, "native")
        native_ms = time_plan(native, self.spec, size)
        try:
            triton = self.plan(size, "triton")
            triton_ms = time_plan(triton, self.spec, size)
        except (ExportError, EngineError, BackendUnavailable) as error:
            self.say(f"batch {size}: native kernels {native_ms:.2f} ms; keeping them, since ours failed: {error}")
            return "native", native
        kept: Kernels = "triton" if triton_ms < native_ms else "native"
        self.say(f"batch {size}: native kernels {native_ms:.2f} ms, ours {triton_ms:.2f} ms; keeping {kept}")
        return kept, triton if kept == "triton" else native


def write_tensorrt_engine(
    folded: FoldedGenerator,
    spec: EngineSpec,
    options: TensorRTOptions,
    path: Path,
    say: Say,
    progress: Phased,
) -> EngineSpec:
    """Build for this machine's GPU and write the engine file, and beside it the bare plans where the options say so.

    Returns the spec with what was found out. Raises ExportError; KeyboardInterrupt once TensorRT has stopped.
    """
    builder = PlanBuilder(folded, spec, options, say, progress)
    sizes = (max(spec.batch_sizes),) if options.dynamic_batch else spec.batch_sizes
    built = {size: builder.fastest(size) for size in sizes}
    facts = TensorRTFacts(
        gpu_architecture=architecture(open_gpu()),
        tensorrt_version=trt.__version__,
        kernels=tuple(kernels for kernels, _ in built.values()),
        dynamic_batch=options.dynamic_batch,
    )
    spec = replace(spec, tensorrt=facts)
    plans = {plan_name(spec, size): plan for size, (_, plan) in built.items()}
    save_file(plans, path, {METADATA_KEY: spec.to_json()})
    if options.keep_plan:
        for name, plan in plans.items():
            plan.tofile(path.with_name(f"{path.stem}.{name.removeprefix('plan.')}.plan"))
    return spec


def register_plugins() -> None:
    try:
        import ugatit_fast.export.tensorrt_plugin  # noqa: F401 - importing it registers them
    except ImportError as error:
        raise ExportError(
            f"our kernels need Triton ({error}); {pip_install('kernels')}, or build with --kernels native"
        ) from error


def build(
    builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig, progress: Phased
) -> trt.IHostMemory | None:
    """The plan, or None where TensorRT fails. Stops at the next step when interrupted: TensorRT works in a thread,
    so that Ctrl-C finds this one awake.
    """
    monitor = Monitor(progress)
    config.progress_monitor = monitor
    with ThreadPoolExecutor(1, "tensorrt") as pool:
        try:
            building = pool.submit(lambda: builder.build_serialized_network(network, config))
            while not wait([building], WAKE_SECONDS).done:
                pass
        except BaseException:  # an interrupt inside submit leaves a thread that the pool doesn't know of
            monitor.cancelled = True
            raise
    plan: trt.IHostMemory | None = building.result()
    return plan


class Monitor(trt.IProgressMonitor):
    """Hands TensorRT's progress on, and tells it when to stop."""

    def __init__(self, progress: Phased) -> None:
        super().__init__()
        self.progress = progress
        self.cancelled = False
        self.steps: dict[str, int] = {}

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self.steps[phase_name] = num_steps
        self.progress(phase_name, 0, num_steps)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Whether to go on."""
        self.progress(phase_name, step, self.steps[phase_name])
        return not self.cancelled

    def phase_finish(self, phase_name: str) -> None:
        steps = self.steps.pop(phase_name)
        self.progress(phase_name, steps, steps)
