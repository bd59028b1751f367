"""What the commands share: options with their parsing, lines and bars of progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from ugatit_fast.choices import Box, Crop, Smoothing


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`256x256` (height x width), or `256` for a square, as (height, width)."""
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"expected height x width in pixels, such as 256x256, got {text!r}")
    return sides[0], sides[-1]


def parse_batch(text: str | None) -> tuple[int, ...]:
    """`1,4,16` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"expected batch sizes such as 1,4,16, got {text!r}") from None


def parse_crop(text: str | None) -> Crop | None:
    """`center`, `face`, or `box=X,Y,W,H`: left, top, width and height in pixels of the photo."""
    if text is None:
        return None
    if text in ("center", "face"):
        return cast(Crop, text)
    kind, _, rest = text.partition("=")
    try:
        box = Box(*(int(part) for part in rest.split(",")))
    except (TypeError, ValueError):  # other than four; not numbers
        box = Box(0, 0, 0, 0)
    if kind != "box" or min(box.left, box.top) < 0 or min(box.width, box.height) < 1:
        raise ValueError(f"expected center, face or box=X,Y,W,H in pixels, such as box=120,40,512,512, got {text!r}")
    return box


def refuse_options(_: object, text: str) -> None:
    """What begins with a hyphen is a mistyped option, `-` alone stdin."""
    if text.startswith("-") and text != "-":
        raise ValueError(f"unknown option {text}; see --help, and write a file of that name as ./{text}")


Size = Annotated[str | None, Parameter(validator=lambda _, text: parse_size(text))]


def smooths(smoothing: Smoothing | None) -> bool | None:
    """`--smoothing` as `read_checkpoint` takes it."""
    return None if smoothing is None else smoothing == "yes"


Flag = Annotated[bool, Parameter(negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
PipeOutput = Annotated[Path, Parameter(name=["--output", "-o"], allow_leading_hyphen=True)]
PipeInput = Annotated[str, Parameter(validator=refuse_options, allow_leading_hyphen=True)]
Cropping = Annotated[str | None, Parameter(validator=lambda _, text: parse_crop(text))]
HeatmapFlag = Annotated[bool, Parameter(name=["--heatmap", "--cam"], negative="")]
MaybeOutput = Annotated[Path | None, Parameter(name=["--output", "-o"])]
Batch = Annotated[str | None, Parameter(validator=lambda _, text: parse_batch(text))]


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr where that is a terminal. Gives the function that moves it: photos done, photos in all."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("translating", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def phase_bars() -> Iterator[Callable[[str, int, int], None]]:
    """As `progress_bar`, for phases that come and go: name, steps done, steps in all."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def advance(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total)
            progress.update(tasks[phase], completed=done)
            if done == total:
                progress.remove_task(tasks.pop(phase))

        yield advance
