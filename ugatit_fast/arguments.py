"""What the commands share: options with their parsing, lines and bars of progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ugatit_fast.choices import Smoothing


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


Size = Annotated[str | None, Parameter(validator=lambda _, text: parse_size(text))]


def smooths(smoothing: Smoothing | None) -> bool | None:
    """`--smoothing` as `read_checkpoint` takes it."""
    return None if smoothing is None else smoothing == "yes"


Flag = Annotated[bool, Parameter(negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
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
