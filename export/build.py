"""Checkpoint -> folded graph -> engine file, proven against the reference generator before it takes its name."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.choices import BackendChoice, Direction, EngineKind, Precision, check_choice
from ugatit_fast.engine import SUFFIXES, EngineSpec
from ugatit_fast.errors import ExportError, InputError
from ugatit_fast.export.onnx_graph import save_onnx, to_onnx
from ugatit_fast.export.verify import Difference, compare, sample_pictures
from ugatit_fast.files import staged
from ugatit_fast.fold import fold
from ugatit_fast.translator import open_backend

DEFAULT_PRECISION: dict[EngineKind, Precision] = {"onnxruntime": "fp32"}


@dataclass(frozen=True)
class Built:
    """An engine that was built, and how it compares with the reference generator."""

    path: Path
    spec: EngineSpec
    difference: Difference
    seconds: float


def build_engine(
    checkpoint: str | Path,
    output: str | Path | None = None,
    *,
    backend: BackendChoice = "auto",
    precision: Precision | None = None,
    size: tuple[int, int] | None = None,
    direction: Direction | None = None,
    heatmap: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Built:
    """Build an engine from a checkpoint and check it; nothing is written where either fails.

    output: the engine file; beside the checkpoint, named after it and the direction, unless given.
    backend: "auto" takes the fastest that this machine can run.
    precision: None is the backend's own: fp32 for onnxruntime.
    size: (height, width) in pixels; the training size unless given. Full generators serve that one only.
    direction: which generator of a file with both; A2B unless given.
    heatmap: also compute the attention heat map.
    say: called with a line of progress now and then.
    Raises CheckpointError, ExportError (the engine strays too far from the reference), InputError, BackendUnavailable.
    """
    started = time.perf_counter()
    check_choice("backend", backend, BackendChoice)
    check_choice("precision", precision, Precision)
    kind: EngineKind = "onnxruntime" if backend == "auto" else backend
    precision = precision or DEFAULT_PRECISION[kind]
    source = read_checkpoint(checkpoint, direction)
    spec = EngineSpec.of(source, kind=kind, precision=precision, size=size, heatmap=heatmap)
    check_spec(source, spec)
    path = Path(output) if output else default_output(source, spec)
    if path.exists() and path.samefile(source.path):
        raise InputError(f"the engine would overwrite its checkpoint {path}; name another file with -o")
    say(f"{source.path.name}: {source.format}, {describe(source)}")
    say(f"building {path.name}: {kind}, {precision}, {spec.height}x{spec.width}{' or any' if spec.any_size else ''}")
    with staged(path) as partial:
        write_engine(source, spec, partial)
        say("comparing with the reference generator")
        found = check(source, spec, partial)
    return Built(path, spec, found, time.perf_counter() - started)


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


def default_output(source: Checkpoint, spec: EngineSpec) -> Path:
    return source.path.with_name(f"{source.path.stem}-{spec.direction}{SUFFIXES[spec.kind]}")


def describe(source: Checkpoint) -> str:
    config = source.config
    kind = "light" if config.light else f"full {config.img_size}x{config.img_size}"
    return f"{source.direction}, {kind}, ch {config.ch}, {config.n_res} blocks"


def write_engine(source: Checkpoint, spec: EngineSpec, path: Path) -> None:
    folded = fold(source.generator())
    if spec.precision == "fp16":
        folded = folded.half_precision()
    save_onnx(to_onnx(folded, spec), path)


def check(source: Checkpoint, spec: EngineSpec, path: Path) -> Difference:
    """Run what was built against the reference; ExportError where it strays too far."""
    backend = open_backend(path, spec, "auto", None)
    try:
        found = compare(backend, source.generator(), sample_pictures(spec))
    finally:
        backend.close()
    if not found.passes(spec.precision):
        raise ExportError(
            f"the engine strays too far from the reference generator (max |d| {found.max_abs:.2g}, "
            f"PSNR {found.psnr_db:.1f} dB) and was not written; "
            + (
                "build it with --precision fp32"
                if spec.precision == "fp16"
                else "please report this with the checkpoint"
            )
        )
    return found
