"""Checkpoint -> folded graph -> engine file, proven against the reference generator before it takes its name."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ugatit_fast.backends.base import Backend
from ugatit_fast.backends.ort import OrtBackend
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.backends.runtimes import (
    BUILT,
    RUNTIMES,
    Runtime,
    article,
    choose_backend,
    has_bytes,
    open_backend,
    precision_of,
    runtime_of,
)
from ugatit_fast.checkpoint import Checkpoint, check_pictures, read_checkpoint, write_safetensors
from ugatit_fast.choices import (
    EIGHT_BITS,
    BackendChoice,
    Device,
    Direction,
    EngineKind,
    Loading,
    Precision,
    check_choice,
    styles_in_turn,
)
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import ExportError, InputError
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.layer_choice import LayerChoice, layer_choice
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.verify import Difference, compare, exact_pictures, sample_pictures
from ugatit_fast.files import staged
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.progress import Phased, Say

SLACK_DB = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How much better than the gate an emulation has to be: one after the other, until the engine itself passes."""
WIDE_WORDS: dict[Precision, str] = {"fp32": "float32", "fp16": "float16"}
DEFAULT_BATCH = (1, 4, 16)
LARGEST_BATCH = 1024
TENSORRT_DEFAULTS = TensorRTOptions()


@dataclass(frozen=True)
class Built:
    """An engine that was built, and how it compares with the reference generator."""

    path: Path
    spec: EngineSpec
    difference: Difference
    seconds: float


def build_engine(
    checkpoint: str | Path | Checkpoint,
    output: str | Path | None = None,
    *,
    backend: BackendChoice = "auto",
    precision: Precision | None = None,
    fast: bool = False,
    calibration: Path | None = None,
    batch: Sequence[int] = (),
    size: tuple[int, int] | None = None,
    direction: Direction | None = None,
    network: str | None = None,
    heatmap: bool = False,
    device: Device = "auto",
    tensorrt: TensorRTOptions = TENSORRT_DEFAULTS,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Built:
    """Build an engine from a checkpoint and check it; nothing is written where either fails.

    checkpoint: what `read_checkpoint` reads, or what it gave.
    output: the engine file; beside the checkpoint, named after it and the direction, unless given.
    backend, precision, fast, calibration, batch, size, direction, network, heatmap, device: as
        `ugatit_fast.export.options.BuildOptions` says.
    tensorrt: how to build a TensorRT engine; no other takes these.
    say: called with a line of progress now and then.
    progress: called with a phase of a TensorRT build, its steps done, and its steps in all.
    Raises CheckpointError, ExportError (the engine strays too far from the reference), InputError, BackendUnavailable.
    """
    started = time.perf_counter()
    check_choice("backend", backend, BackendChoice)
    check_choice("precision", precision, Precision)
    check_choice("device", device, Device)
    runtime = RUNTIMES[choose_backend(backend, say, device=device, precision=precision, fast=fast)]
    refuse_options_of_others(runtime, tensorrt)
    asked, precision = precision, precision_of(runtime, precision, fast=fast)
    if precision not in runtime.forms:
        raise InputError(f"{runtime.kind} engines are {' or '.join(runtime.forms)}, not {precision}")
    if calibration and precision not in EIGHT_BITS:
        raise InputError(
            f"--calibration is for int8 and fp8 engines, not for {precision}; leave it out, or add --precision int8"
        )
    if reason := runtime.too_old(precision, tensorrt.gpu):
        raise InputError(reason)
    source = (
        checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint, direction, network=network)
    )
    in_bytes = has_bytes(runtime, eight_bits=source.config.eight_bits, by_rows=source.config.by_rows)
    if fast and asked is None and not in_bytes:
        runtime = RUNTIMES[choose_backend(backend, say, device=device)]
        precision = precision_of(runtime, asked, fast=False)
    if precision in EIGHT_BITS and not source.config.eight_bits:
        raise InputError(f"a {source.architecture.title} generator has no form in eight bits; choose fp32 or fp16")
    if precision in EIGHT_BITS and not in_bytes:
        raise InputError(
            f"{article(runtime.kind)} engine in eight bits is of pixel rows, and a {source.architecture.title} "
            "generator isn't written as those; choose fp32 or fp16, or --backend openvino, which has it in eight bits"
        )
    spec = EngineSpec.of(
        source,
        kind=runtime.kind,
        any_size=runtime.any_size,
        precision=precision,
        size=size,
        batch_sizes=batch_sizes_of(runtime, batch),
        heatmap=heatmap,
    )
    check_spec(source, spec)
    path = Path(output) if output else source.product(runtime.suffix)
    if path.exists() and path.samefile(source.path):
        raise InputError(f"the engine would overwrite its checkpoint {path}; name another file with -o")
    say(f"{source.path.name}: {source.format}, {describe(source)}")
    for note in source.notes:
        say(note)
    check_pictures(source, source.generator())
    or_any = " or any" if spec.any_size else ""
    say(f"building {path.name}: {spec.kind}, {precision}, {spec.height}x{spec.width}{or_any}")
    with staged(path) as partial, TemporaryDirectory() as graphs:
        request = BuildRequest(tensorrt, device, say, progress, Path(graphs))
        if precision in EIGHT_BITS:
            choice = layer_choice(source, spec, calibration, say, progress)
            spec, found = proven_in_eight_bits(source, spec, partial, request, choice)
        else:
            spec, found = proven(source, spec, partial, request)
    return Built(path, spec, found, time.perf_counter() - started)


def proven(source: Checkpoint, spec: EngineSpec, path: Path, request: "BuildRequest") -> tuple[EngineSpec, Difference]:
    """Write an engine, and hold it against the reference: its description, and the difference; else ExportError."""
    written = write_engine(source, spec, path, request)
    request.say("comparing with the reference generator")
    return written.spec, check(source, written, path, request)


def proven_in_eight_bits(
    source: Checkpoint, spec: EngineSpec, path: Path, request: "BuildRequest", choice: LayerChoice
) -> tuple[EngineSpec, Difference]:
    """The same with eight bits in as many layers as pass the gate; an engine may come out worse than its emulation. An
    engine in what its runtime takes by itself where that is none.
    """
    for slack in SLACK_DB:
        eight = choice.right(slack)
        if not eight.has_bytes:
            break
        facts = eight.facts()
        count = f"{len(eight.spans)} of {len(eight.multiply_adds)}"
        request.say(f"{spec.precision}: {count} layers read one byte a value; {facts.rest}")
        try:
            return proven(source, replace(spec, eight_bits=facts), path, replace(request, eight=eight))
        except ExportError as error:
            request.say(f"{error.args[0].partition(' and was not written')[0]}; again, with fewer layers in eight bits")
    none_passes = "no layer of this network can have eight bits within the gate"
    if not choice.eight.has_bytes:
        none_passes = "TensorRT's convolutions of eight bits take multiples of 16 channels, which no layer here has"
    instead = RUNTIMES[spec.kind].default_precision
    if instead in EIGHT_BITS:
        raise ExportError(f"{none_passes}; build an engine with --precision fp32")
    request.say(f"{none_passes}: built as {WIDE_WORDS[instead]}")
    return proven(source, replace(spec, precision=instead), path, request)


def refuse_options_of_others(runtime: Runtime, tensorrt: TensorRTOptions) -> None:
    """InputError where options for TensorRT's plans are given to an engine that has none."""
    given = [name for name, value in vars(tensorrt).items() if value != getattr(TENSORRT_DEFAULTS, name)]
    others = [name for name in given if name not in runtime.options]
    if others:
        takers = " or ".join(other.kind for other in BUILT if set(others) <= set(other.options))
        raise InputError(f"{', '.join(others)} are for {takers} engines, not for {runtime.kind}; leave them out")


def batch_sizes_of(runtime: Runtime, batch: Sequence[int]) -> tuple[int, ...]:
    """The batch sizes to build for, ascending. InputError where they make no sense."""
    if runtime.any_batch:
        if batch:
            raise InputError(f"{article(runtime.kind)} engine serves every batch size; leave --batch out")
        return ()
    if not all(1 <= size <= LARGEST_BATCH for size in batch):
        raise InputError(f"batch sizes must be from 1 to {LARGEST_BATCH}, got {', '.join(map(str, batch))}")
    return tuple(sorted(set(batch or DEFAULT_BATCH)))


def check_spec(source: Checkpoint, spec: EngineSpec) -> None:
    config, side = source.config, source.config.training_side
    if not config.any_size and (spec.height, spec.width) != (side, side):
        raise ExportError(
            f"{source.path} is a full generator trained at {side}x{side}, the only size it can "
            f"serve; {spec.height}x{spec.width} needs a light generator (or photos resized with translate --fit)"
        )
    reason = spec.check_size(spec.height, spec.width)
    if reason:
        raise InputError(f"cannot build an engine for {spec.height}x{spec.width}: {reason}")


def describe(source: Checkpoint) -> str:
    return f"{source.architecture.title} {source.direction}, {source.config.words}"


@dataclass(frozen=True)
class BuildRequest:
    """What writing and checking an engine takes besides the network and the description."""

    tensorrt: TensorRTOptions
    device: Device
    say: Say
    progress: Phased
    graphs: Path
    """A folder that goes when the engine has been checked."""
    eight: EightBits | None = None
    """Of an engine in eight bits: the network to write, and what of it has them."""


class Written(NamedTuple):
    """An engine file that was written."""

    spec: EngineSpec
    """Its description, with what was found out while building."""
    graphs: tuple[Path, ...] = ()
    """The ONNX files that its plans were built from, where it may be for other machines than this."""


def write_engine(source: Checkpoint, spec: EngineSpec, path: Path, request: BuildRequest) -> Written:
    folded = request.eight.folded if request.eight else source.folded()
    if spec.precision == "fp16" or (request.eight and request.eight.around_zero):
        folded = folded.half_precision()
    return WRITERS[spec.kind](folded, spec, path, request)


def write_graph(folded: FoldedNetwork, spec: EngineSpec, path: Path, request: BuildRequest) -> Written:
    save_onnx(to_onnx(folded, spec, form=RUNTIMES[spec.kind].forms[spec.precision], eight=request.eight), path)
    return Written(spec)


def write_tensors(folded: FoldedNetwork, spec: EngineSpec, path: Path, request: BuildRequest) -> Written:
    write_safetensors(path, {name: tensor.contiguous() for name, tensor in folded.tensors().items()}, spec.to_json())
    return Written(spec)


def write_plans(folded: FoldedNetwork, spec: EngineSpec, path: Path, request: BuildRequest) -> Written:
    from ugatit_fast.export.tensorrt_engine import write_tensorrt_engine

    return Written(
        write_tensorrt_engine(folded, spec, request.tensorrt, path, request.say, request.progress, eight=request.eight)
    )


def write_rtx_plans(folded: FoldedNetwork, spec: EngineSpec, path: Path, request: BuildRequest) -> Written:
    from ugatit_fast.export.rtx_engine import write_rtx_engine

    return Written(
        *write_rtx_engine(folded, spec, request.tensorrt, path, request.graphs, request.progress, eight=request.eight)
    )


WRITERS: dict[EngineKind, Callable[[FoldedNetwork, EngineSpec, Path, BuildRequest], Written]] = {
    "onnxruntime": write_graph,
    "openvino": write_graph,
    "cuda": write_tensors,
    "tensorrt": write_plans,
    "tensorrt-rtx": write_rtx_plans,
}
"""What writes the engine files of a kind."""


def check(source: Checkpoint, written: Written, path: Path, request: BuildRequest) -> Difference:
    """Run what was built against the reference; ExportError where it strays too far."""
    spec, found = written.spec, []
    pictures = sample_pictures(spec)
    exact = exact_pictures(source.generator(), pictures, styles_in_turn(spec.style_length))
    for backend in runners(path, written, request):
        try:
            found.append(compare(backend, pictures, exact))
        finally:
            backend.close()
    worst = min(found, key=lambda difference: (difference.passes(spec.precision), difference.psnr_db))
    if not worst.passes(spec.precision):
        advice = "build it with --precision fp32" if spec.precision == "fp16" else "please report this"
        raise ExportError(
            f"the engine strays too far from the reference generator (max |d| {worst.max_abs:.2g}, "
            f"PSNR {worst.psnr_db:.1f} dB) and was not written; {advice}"
        )
    return worst


def runners(path: Path, written: Written, request: BuildRequest) -> Iterator[Backend]:
    """The engine's own backend; where it can't run here, what stands for it: the plain meaning of the operations on
    folded tensors, or the graphs that plans were built from in ONNX Runtime.
    """
    spec = written.spec
    runtime = runtime_of(path, spec)
    if runtime.contents == "tensors" and runtime.missing("run"):
        request.say(
            "no GPU here: checking the engine's operations in plain PyTorch; run `ugatit-fast verify` on the GPU"
        )
        yield PlainBackend(path, spec)
    elif written.graphs and (reason := runtime.refusal(spec)):
        request.say(
            f"the engine can't run here ({reason}): checking the graphs that it was built from in ONNX Runtime; run "
            "`ugatit-fast verify` where it can"
        )
        yield from (OrtBackend(graph, spec, device="cpu") for graph in written.graphs)
    else:
        yield open_backend(path, spec, Loading(device=request.device), request.say)
