"""Weights on a command line -> the engine that a verb runs."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ugatit_fast.choices import Direction, Loading
from ugatit_fast.commands.arguments import options, phase_bars, say
from ugatit_fast.export.options import ReadyOptions

Ready = Annotated[ReadyOptions, options()]
READY = ReadyOptions()


def engine_for(
    weights: str, how: ReadyOptions, loading: Loading, *, size: tuple[int, int] | None = None, heatmap: bool = False
) -> Path:
    """The engine file, built with bars and lines of progress where there is none; see `export.ready.ready_engine`."""
    if loading.trust_plan:  # a bare plan says nothing about itself, not even that it is an engine
        return Path(weights)
    from ugatit_fast.export.ready import ready_engine

    with phase_bars() as progress:
        return ready_engine(weights, how, device=loading.device, size=size, heatmap=heatmap, say=say, progress=progress)


def engine_back(
    weights: str,
    engine: Path,
    how: ReadyOptions,
    loading: Loading,
    *,
    heatmap: bool,
    size: tuple[int, int] | None = None,
) -> Path:
    """As `engine_for`, for the other direction than that of `engine`, where the weights have both."""
    if loading.trust_plan:
        return Path(weights)
    from ugatit_fast.backends.runtimes import is_engine
    from ugatit_fast.engine import read_spec

    if is_engine(Path(weights)):
        return Path(weights)
    other: Direction = "A2B" if read_spec(engine).direction == "B2A" else "B2A"
    return engine_for(weights, replace(how, direction=other), loading, size=size, heatmap=heatmap)
