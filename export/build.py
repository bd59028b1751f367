"""Checkpoint -> folded graph -> engine file, proven against the reference generator before it takes its name."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ugatit_fast.backends.base import Backend
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.backends.runtimes import choose_backend, open_backend
from ugatit_fast.checkpoint import Checkpoint, check_pictures, read_checkpoint, write_safetensors
from ugatit_fast.choices import BackendChoice, Direction, EngineKind, Form, Precision, check_choice
from ugatit_fast.engine import SUFFIXES, EngineSpec
from ugatit_fast.errors import ExportError, InputError
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.verify import Difference, compare, sample_pictures
from ugatit_fast.files import staged
from ugatit_fast.fold import fold

DEFAULT_PRECISION: dict[EngineKind, Precision] = {"onnxruntime": "fp32", "cuda": "fp16", "tensorrt": "fp16"}
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
    batch: Sequence[int] = (),
    size: tuple[int, int] | None = None,
    direction: Direction | None = None,
    heatmap: bool = False,
    tensorrt: TensorRTOptions = TENSORRT_DEFAULTS,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Built:
    """Build an engine from a checkpoint and check it; nothing is written where either fails.

    checkpoint: what `read_checkpoint` reads, or what it gave.
    output: the engine file; beside the checkpoint, named after it and the direction, unless given.
    backend: "auto" takes the fastest that this machine can run.
    precision: None is the backend's own: fp32 for onnxruntime, fp16 for GPU engines.
    batch: the batch sizes that a GPU engine serves in one call, 1, 4 and 16 unless given; others are put together from
    them. An onnxruntime engine serves any.
    size: (height, width) in pixels; the training size unless given. Full generators serve that one only.
    direction: which generator of a file with both; A2B unless given.
    heatmap: also compute the attention heat map.
    tensorrt: how to build a TensorRT engine; no other takes these.
    say: called with a line of progress now and then.
    progress: called with a phase of a TensorRT build, its steps done, and its steps in all.
    Raises CheckpointError, ExportError (the engine strays too far from the reference), InputError, BackendUnavailable.
    """
    started = time.perf_counter()
    check_choice("backend", backend, BackendChoice)
    check_choice("precision", precision, Precision)
    kind = choose_backend(backend, say)
    if kind != "tensorrt" and tensorrt != TENSORRT_DEFAULTS:
        given = [name for name, value in vars(tensorrt).items() if value != getattr(TENSORRT_DEFAULTS, name)]
        raise InputError(f"{', '.join(given)} are for tensorrt engines, not for {kind}; leave them out")
    precision = precision or DEFAULT_PRECISION[kind]
    source = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint, direction)
    served = batch_sizes_of(kind, batch)
    spec = EngineSpec.of(source, kind=kind, precision=precision, size=size, batch_sizes=served, heatmap=heatmap)
    spec = replace(spec, dynamic_batch=tensorrt.dynamic_batch)
    check_spec(source, spec)
    path = Path(output) if output else source.product(SUFFIXES[spec.kind])
    if path.exists() and path.samefile(source.path):
        raise InputError(f"the engine would overwrite its checkpoint {path}; name another file with -o")
    say(f"{source.path.name}: {source.format}, {describe(source)}")
    for note in source.notes:
        say(note)
    check_pictures(source, source.generator())
    say(f"building {path.name}: {kind}, {precision}, {spec.height}x{spec.width}{' or any' if spec.any_size else ''}")
    with staged(path) as partial:
        spec = write_engine(source, spec, partial, tensorrt, say, progress)
        say("comparing with the reference generator")
        found = check(source, spec, partial, say)
    return Built(path, spec, found, time.perf_counter() - started)


def batch_sizes_of(kind: EngineKind, batch: Sequence[int]) -> tuple[int, ...]:
    """The batch sizes to build for, ascending. InputError where they make no sense."""
    if kind == "onnxruntime":
        if batch:
            raise InputError("an onnxruntime engine serves every batch size; leave --batch out")
        return ()
    if not all(1 <= size <= LARGEST_BATCH for size in batch):
        raise InputError(f"batch sizes must be from 1 to {LARGEST_BATCH}, got {', '.join(map(str, batch))}")
    return tuple(sorted(set(batch or DEFAULT_BATCH)))


def check_spec(source: Checkpoint, spec: EngineSpec) -> None:
    config = source.config
    if not config.light and (spec.height, spec.width) != (config.img_size, config.img_size):
        raise ExportError(
            f"{source.path} is a full generator trained at {config.img_size}x{config.img_size}, the only size it can "
            f"serve; {spec.height}x{spec.width} needs a light generator (or photos resized with translate --fit)"
        )
    reason = spec.check_size(spec.height, spec.width)
    if reason:
        raise InputError(f"cannot build an engine for {spec.height}x{spec.width}: {reason}")


def describe(source: Checkpoint) -> str:
    config = source.config
    kind = "light" if config.light else f"full {config.img_size}x{config.img_size}"
    return f"{source.direction}, {kind}, ch {config.ch}, {config.n_res} blocks"


def write_engine(
    source: Checkpoint,
    spec: EngineSpec,
    path: Path,
    tensorrt: TensorRTOptions,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> EngineSpec:
    """Write the engine file. Returns its description, with what was found out while building."""
    folded = fold(source.generator())
    if spec.precision == "fp16":
        folded = folded.half_precision()
    if spec.kind == "tensorrt":
        from ugatit_fast.export.tensorrt_engine import write_tensorrt_engine

        return write_tensorrt_engine(folded, spec, tensorrt, path, say, progress)
    if spec.kind == "cuda":
        tensors = {name: tensor.contiguous() for name, tensor in folded.tensors().items()}
        write_safetensors(path, tensors, spec.to_json())
    else:
        form: Form = "rows" if spec.precision == "fp32" else "convolutions"
        save_onnx(to_onnx(folded, spec, form=form), path)
    return spec


def check(source: Checkpoint, spec: EngineSpec, path: Path, say: Callable[[str], None]) -> Difference:
    """Run what was built against the reference; ExportError where it strays too far."""
    pictures = sample_pictures(spec)
    backend = runner(path, spec, say)
    try:
        found = compare(backend, source.generator(), pictures)
    finally:
        backend.close()
    if not found.passes(spec.precision):
        advice = "build it with --precision fp32" if spec.precision == "fp16" else "please report this"
        raise ExportError(
            f"the engine strays too far from the reference generator (max |d| {found.max_abs:.2g}, "
            f"PSNR {found.psnr_db:.1f} dB) and was not written; {advice}"
        )
    return found


def runner(path: Path, spec: EngineSpec, say: Callable[[str], None]) -> Backend:
    """The engine's own backend, or for a cuda engine on a machine without a GPU its operations' plain meaning."""
    if spec.kind == "cuda":
        from ugatit_fast.backends.cuda import why_unavailable

        if why_unavailable():
            say("no GPU here: checking the engine's operations in plain PyTorch; run `ugatit-fast verify` on the GPU")
            return PlainBackend(path, spec)
    return open_backend(path, spec, "auto", None)
