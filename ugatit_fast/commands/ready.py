"""Weights on a command line -> the engine that a verb runs."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ugatit_fast.choices import Direction, Loading
from ugatit_fast.commands.arguments import Named, phase_bars, say
from ugatit_fast.export.options import ReadyOptions


@dataclass(frozen=True, kw_only=True)
class EngineFlags(Loading, ReadyOptions):
    """How an engine is come by and how it is loaded, as people type it."""

    style: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = Loading.style  # -1,0.5,... is one

    def __post_init__(self) -> None:
        Loading.__post_init__(self)
        ReadyOptions.__post_init__(self)

    @property
    def loading(self) -> Loading:
        """The second half."""
        return Loading(**{field.name: getattr(self, field.name) for field in fields(Loading)})


def engine_for(
    weights: Named, flags: EngineFlags, *, size: tuple[int, int] | None = None, heatmap: bool = False
) -> Path:
    """The engine file, built with bars and lines of progress where there is none; see `export.ready.ready_engine`."""
    if flags.trust_plan:  # a bare plan says nothing about itself, not even that it is an engine
        return Path(weights)
    from ugatit_fast.export.ready import ready_engine

    with phase_bars() as progress:
        return ready_engine(weights, flags, device=flags.device, size=size, heatmap=heatmap, say=say, progress=progress)


def engine_back(
    weights: Named, engine: Path, flags: EngineFlags, *, size: tuple[int, int] | None = None, heatmap: bool = False
) -> Path:
    """As `engine_for`, for the other direction than that of `engine`, where the weights have both."""
    from ugatit_fast.backends.runtimes import is_engine
    from ugatit_fast.engine import read_spec

    if flags.trust_plan or is_engine(Path(weights)):
        return Path(weights)
    other: Direction = "A2B" if read_spec(engine).direction == "B2A" else "B2A"
    return engine_for(weights, replace(flags, direction=other), size=size, heatmap=heatmap)
