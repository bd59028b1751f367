"""Folded graph -> typed ONNX -> network -> plan -> engine file.

Precision is in the graph: networks are strongly typed, and float32 means float32 (TF32 off). Every batch size has a
plan of its own with fixed shapes unless asked otherwise: TensorRT finds faster kernels for them, and where shapes
change, versions to at least 11.2 load a plugin's kernels again each time (github.com/NVIDIA/TensorRT/issues/4849).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tensorrt as trt
from onnx import ModelProto

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.backends.needs import TENSORRT
from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.backends.trt import plan_name, time_plan
from ugatit_fast.backends.trt_library import Library
from ugatit_fast.choices import Kernels
from ugatit_fast.engine import EngineSpec, TensorRTFacts
from ugatit_fast.errors import BackendUnavailable, EngineError, ExportError
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.plans import Network, Plan, array_of, build, network_of, save_plans
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.timing_cache import timing_cache, timing_cache_path
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.machine import pip_install
from ugatit_fast.progress import Phased, Say

MIB = 2**20
VECTOR_CHANNELS = 8
"""Channels that TensorRT's channels-last float16 format rounds up to; our kernels expect nothing to round."""


@dataclass(frozen=True)
class PlanBuilder:
    """What the plans of an engine have in common."""

    folded: FoldedNetwork
    spec: EngineSpec
    options: TensorRTOptions
    say: Say
    progress: Phased
    eight: EightBits | None = None
    """What has eight bits, in either kernels' plans."""

    def plan(self, size: int, kernels: Kernels) -> Plan:
        """The plan for one batch size (or all up to it), with or without our kernels. Raises ExportError."""
        if kernels == "triton":
            register_plugins()
        network = network_of(self.model(size, kernels), Library(TENSORRT))
        config = self.configured(network, size)
        with timing_cache(config, timing_cache_path(self.options.timing_cache, open_gpu()), self.say):
            plan = build(network, config, self.progress)
        return array_of(plan, network, f"{kernels} plan for batch {size}")

    def model(self, size: int, kernels: Kernels) -> ModelProto:
        """What TensorRT parses: of fixed batch, and with nodes that name our plugins, where asked."""
        spec = self.spec
        batch = None if self.options.dynamic_batch else size
        if kernels == "native":
            form = RUNTIMES[spec.kind].forms[spec.precision]
            return to_onnx(self.folded, spec, form=form, batch=batch, eight=self.eight)
        ch = self.folded.widths[0]
        resolutions = set(enumerate(self.folded.widths)) | set(enumerate(self.folded.decoder_widths))
        every = {channels for _, channels in resolutions}
        if len(every) < len(resolutions):
            raise ExportError(
                "our kernels in TensorRT need other channels at every resolution; build with --kernels native"
            )
        if any(channels % VECTOR_CHANNELS for channels in every):
            raise ExportError(
                f"our kernels in TensorRT need a multiple of {VECTOR_CHANNELS} channels, this generator has {ch}; "
                "build with --kernels native"
            )
        shapes = PluginShapes.of(self.folded, min(spec.batch_sizes) if batch is None else size, spec.height, spec.width)
        return to_onnx(self.folded, spec, form="convolutions", batch=batch, plugins=shapes, eight=self.eight)

    def configured(self, network: Network, size: int) -> trt.IBuilderConfig:
        image = (self.spec.height, self.spec.width, 3)
        any_batch = ((1, *image), (size, *image), (size, *image)) if self.options.dynamic_batch else None
        config = network.config(any_batch)
        config.builder_optimization_level = self.options.optimization_level
        if self.options.workspace_mib is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self.options.workspace_mib * MIB)
        return config

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
    folded: FoldedNetwork,
    spec: EngineSpec,
    options: TensorRTOptions,
    path: Path,
    say: Say,
    progress: Phased,
    *,
    eight: EightBits | None = None,
) -> EngineSpec:
    """Build for this machine's GPU and write the engine file, and beside it the bare plans where the options say so.

    eight: what has eight bits, where `folded` is its network in float16. Returns the spec with what was found out.
    Raises ExportError; KeyboardInterrupt once TensorRT has stopped.
    """
    builder = PlanBuilder(folded, spec, options, say, progress, eight)
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
    save_plans(plans, folded, spec, path, options.keep_plan)
    return spec


def register_plugins() -> None:
    try:
        import ugatit_fast.export.tensorrt_plugin  # noqa: F401 - importing it registers them
    except ImportError as error:
        raise ExportError(
            f"our kernels need Triton ({error}); {pip_install('kernels')}, or build with --kernels native"
        ) from error
