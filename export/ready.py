"""Weights as people name them -> an engine that is ready: built once, kept in the user's cache, found again.

    an engine file                          that file
    the name of the pair in the package     the engine in the package
    anything that `weights.locate` finds    the engine in the cache, built where it isn't there

An engine's name in the cache holds a digest of all that shapes it: the checkpoint's SHA-256, direction, kind,
precision, size, heat map, our version and the runtimes', and the GPU. Beside the engines, `seen/` remembers which
engine a file came to, by its place, size and time: from the second time on neither PyTorch nor the checkpoint is read.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from ugatit_fast.assets import SHIPPED_PAIR, shipped_engine
from ugatit_fast.backends.extras import libraries_needed
from ugatit_fast.backends.needs import nvidia_cards
from ugatit_fast.backends.runtimes import BUILT, RUNTIMES, choose_backend, has_bytes, is_engine, precision_of
from ugatit_fast.choices import Device, Direction, Hints, Precision, places_of
from ugatit_fast.export.options import ReadyOptions
from ugatit_fast.files import locked, make_folder, written_whole
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Phased, Say
from ugatit_fast.version import __version__
from ugatit_fast.weights.locate import Located, fetched, stamp, unpacked, unpacking_folder

if TYPE_CHECKING:
    from ugatit_fast.checkpoint import Checkpoint

READY = ReadyOptions()
TO_BUILD = ("cpu", "torch")
"""The extras that building takes, and running what was built does not."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The engine that is asked for, beside the weights."""

    device: Device
    direction: Direction | None
    precision: Precision | None
    fast: bool
    size: tuple[int, int] | None
    heatmap: bool
    hints: Hints
    network: str | None
    smooths: bool | None


def ready_engine(
    weights: str | Path,
    options: ReadyOptions = READY,
    *,
    device: str = "auto",
    size: tuple[int, int] | None = None,
    heatmap: bool = False,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Path:
    """The engine file for `weights`, built where there is none.

    weights: an engine, or whatever `read_checkpoint` reads. options, size (height, width), heatmap: how an engine is
        built where one is; an engine file is taken as it is.
    A heat map is only built in where the generator has one.
    device: where it is going to run; "cpu" leaves engines for GPUs out.
    say, progress: called with a line, and with a phase, its steps done and its steps in all, while files are fetched
        and an engine is built.
    Raises what `read_checkpoint` and `build_engine` do; BackendUnavailable where an engine has to be built without
    PyTorch.
    """
    path = Path(weights)
    if is_engine(path):
        return path
    if str(weights) == SHIPPED_PAIR and not path.exists() and options.precision is None and not options.fast:
        return shipped_engine(options.direction or "A2B")
    found = fetched(weights, options.direction, offline=options.offline, say=say, progress=progress)
    wanted = Wanted(
        device=places_of(device).kind,
        direction=options.direction,
        precision=options.precision,
        fast=options.fast,
        size=size,
        heatmap=heatmap,
        hints=options.alone,
        network=options.network,
        smooths=options.smooths,
    )
    if not found.path.is_file():  # a folder or a prefix, whose files the reader finds
        return engine_of(found, wanted, say, progress)
    seen = engines() / "seen" / digest_of(stamp(found.path), wanted)
    known = engines() / seen.read_text(encoding="utf-8") if seen.is_file() else None
    if known is not None and known.is_file():
        return known
    engine = engine_of(found, wanted, say, progress)
    make_folder(seen.parent)
    with written_whole(seen) as partial:
        partial.write_text(engine.name, encoding="utf-8")
    return engine


def engines() -> Path:
    """The folder of engines that were built where one was needed."""
    return cache_folder() / "engines"


def digest_of(*facts: object) -> str:
    """Of facts that are printed alike when they are alike, and of everything here that could make another engine of
    them.
    """
    libraries = dict.fromkeys(library.name for runtime in BUILT for library in runtime.libraries)
    here = (__version__, *(f"{name} {version_of(name)}" for name in libraries), *nvidia_cards())
    return hashlib.sha256("\n".join(map(str, (*here, *facts))).encode()).hexdigest()


def engine_of(found: Located, wanted: Wanted, say: Say, progress: Phased) -> Path:
    """The engine in the cache for weights that are here, built unless it is there."""
    with libraries_needed(TO_BUILD):
        from ugatit_fast.checkpoint import read_checkpoint

    opened = unpacked(found, progress)
    source = read_checkpoint(
        opened.path, wanted.direction, network=wanted.network, hints=wanted.hints, smoothing=wanted.smooths
    )
    kind = choose_backend("auto", lambda _: None, device=wanted.device, precision=wanted.precision, fast=wanted.fast)
    fast = wanted.fast and has_bytes(RUNTIMES[kind], eight_bits=source.config.eight_bits, by_rows=source.config.by_rows)
    if fast != wanted.fast:
        kind = choose_backend("auto", lambda _: None, device=wanted.device, precision=wanted.precision)
    runtime = RUNTIMES[kind]
    precision = precision_of(runtime, wanted.precision, fast=fast)
    size = None if runtime.any_size and source.config.any_size else wanted.size
    wanted = replace(wanted, heatmap=wanted.heatmap and source.config.heatmap)
    understood = (wanted.hints, wanted.network, wanted.smooths)
    digest = digest_of(source.sha256, source.direction, *understood, runtime.kind, precision, size, wanted.heatmap)
    engine = engines() / f"{source.path.stem}-{source.direction}-{digest[:16]}{runtime.suffix}"
    make_folder(engine.parent)
    with locked(engine.with_suffix(".lock"), wait=True):
        if not engine.is_file():
            say(f"building an engine of {found.path}, once; it is kept in {engine.parent}")
            build(source, engine, replace(wanted, size=size, precision=precision), say, progress)
    if opened.path != found.path and found.path.is_file():
        shutil.rmtree(unpacking_folder(found.path), ignore_errors=True)  # the engine has all that was wanted of it
    return engine


def build(source: "Checkpoint", engine: Path, wanted: Wanted, say: Say, progress: Phased) -> None:
    with libraries_needed(TO_BUILD):
        from ugatit_fast.export.build import build_engine

    build_engine(
        source,
        engine,
        device=wanted.device,
        precision=wanted.precision,
        size=wanted.size,
        heatmap=wanted.heatmap,
        say=say,
        progress=progress,
    )


def version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
