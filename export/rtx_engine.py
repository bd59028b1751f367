"""Folded graph -> ONNX -> plans for TensorRT for RTX -> engine file. Takes no GPU.

One plan serves every GPU from Ampere on, and Turing's is apart. Both have dynamic shapes: every batch size, and any
size where the generator allows it; what suits a shape best is decided where it runs.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto

from ugatit_fast.backends.needs import TENSORRT_RTX, architectures, too_old_for
from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.backends.trt_library import Library
from ugatit_fast.backends.trt_rtx import TURING, plan_name
from ugatit_fast.choices import Precision
from ugatit_fast.engine import EngineSpec, RtxFacts
from ugatit_fast.errors import InputError
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.plans import Network, Plan, array_of, build, network_of, save_plans
from ugatit_fast.export.turing import without_matrix_products
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.progress import Phased

if TYPE_CHECKING:
    import tensorrt_rtx as trt

LARGEST_SIDE = 2048
"""Pixels, of pictures that a plan for any size takes. A wider range costs nothing but the promise to hold it."""


def write_rtx_engine(
    folded: FoldedNetwork,
    spec: EngineSpec,
    options: TensorRTOptions,
    path: Path,
    graphs: Path,
    progress: Phased,
    *,
    eight: EightBits | None = None,
) -> tuple[EngineSpec, tuple[Path, ...]]:
    """Write the engine file and its graphs, into the folder `graphs`; and the bare plans where the options say so.

    eight: what has eight bits, where `folded` is its network in float16. Returns the description, with what was found
    out, and the graphs. Raises InputError (an architecture that this TensorRT for RTX doesn't know), ExportError;
    KeyboardInterrupt once the builder has stopped.
    """
    library = Library(TENSORRT_RTX)
    wanted = chosen(options.gpu, library, spec.precision)
    facts = RtxFacts(
        gpu_architectures=wanted,
        tensorrt_rtx_version=library.trt.__version__,
        largest_side=max(LARGEST_SIDE if spec.any_size else 0, spec.height, spec.width),
    )
    spec = replace(spec, tensorrt_rtx=facts)
    plans: dict[str, Plan] = {}
    files: list[Path] = []
    for name in dict.fromkeys(map(plan_name, wanted)):
        ours = tuple(one for one in wanted if plan_name(one) == name)
        model = (graph_for_turing if TURING in ours else graph_for_ampere)(folded, spec, eight)
        plans[name] = plan_for(model, spec, facts, ours, library, progress)
        files.append(graphs / f"{name}.onnx")
        save_onnx(model, files[-1])
    save_plans(plans, folded, spec, path, options.keep_plan)
    return spec, tuple(files)


def chosen(asked: Sequence[str], library: Library, precision: Precision) -> tuple[str, ...]:
    """The architectures to build for, the oldest first: all that the library knows and that have the precision, where
    none are asked for.
    """
    known = architectures(library.trt)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(
            f"{library} builds for {', '.join(known)}, not for {', '.join(unknown)}; leave --gpu out for all of them, "
            "or build a tensorrt or a cuda engine for other GPUs"
        )
    too_old = too_old_for(precision, known)
    return tuple(name for name in known if name in (asked or set(known) - set(too_old)))


def graph_for_ampere(folded: FoldedNetwork, spec: EngineSpec, eight: EightBits | None) -> ModelProto:
    """And for what is newer."""
    return to_onnx(folded, spec, form=RUNTIMES[spec.kind].forms[spec.precision], eight=eight)


def graph_for_turing(folded: FoldedNetwork, spec: EngineSpec, eight: EightBits | None) -> ModelProto:
    """Without float32 matrix products: with channels first, the attention's is a convolution; see `turing`."""
    if spec.precision == "fp32":
        return without_matrix_products(to_onnx(folded, spec, form="convolutions"))
    return without_matrix_products(graph_for_ampere(folded, spec, eight))


def plan_for(
    model: ModelProto,
    spec: EngineSpec,
    facts: RtxFacts,
    gpu_architectures: Sequence[str],
    library: Library,
    progress: Phased,
) -> Plan:
    """Raises ExportError with the library's words."""
    network = network_of(model, library)
    config: trt.IBuilderConfig = configured(network, spec, facts)
    config.num_compute_capabilities = len(gpu_architectures)
    for i, name in enumerate(gpu_architectures):
        config.set_compute_capability(library.trt.ComputeCapability.__members__[name.replace("sm_", "SM")], i)
    return array_of(build(network, config, progress), network, f"plan for {', '.join(gpu_architectures)}")


def configured(network: Network, spec: EngineSpec, facts: RtxFacts) -> "trt.IBuilderConfig":
    """Shapes from one small picture to the largest batch, best for the smallest batch of the engine's own size."""
    usual = (spec.height, spec.width)
    smallest = spec.sides.smallest
    least = (smallest, smallest) if spec.any_size else usual
    most = (facts.largest_side, facts.largest_side) if spec.any_size else usual
    few, many = min(spec.batch_sizes), max(spec.batch_sizes)
    config = network.config(((1, *least, 3), (few, *usual, 3), (many, *most, 3)))
    config.set_flag(network.library.trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # so that CUDA graphs can hold it
    return config
