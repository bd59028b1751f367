"""What the commands share: options with their parsing, lines and bars of progress."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter, Token, default_name_transform

from ugatit_fast.choices import Crop, Reading, parse_crop, parse_size
from ugatit_fast.machine import pip_install
from ugatit_fast.progress import Counted, Phased, Say

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Parsed = TypeVar("Parsed")


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def say_next(command: str, lacking: Sequence[str] = ()) -> None:
    """What to type next, with what it takes to be installed first."""
    say(f"next: {pip_install(*lacking)} && {command}" if lacking else f"next: {command}")


# Options that come as a dataclass ---------------------------------------------------------------------------------


def options(*, without: Iterable[str] = (), **named: str) -> Parameter:
    """For a parameter that is a dataclass: a flag for each field, with the field's default and docstring as its help.

    without: fields that are no flags. named: field -> the flag's name, where that isn't the field's.
    """
    return Parameter(
        name="*",
        negative="",
        parse=re.compile(rf"^(?!({'|'.join(without)})$)"),
        name_transform=lambda name: default_name_transform(named.get(name, name)),
    )


def all_but(asked: type["DataclassInstance"], *names: str) -> list[str]:
    """The fields of a dataclass that are none of `names`, for `options(without=...)`."""
    return [field.name for field in fields(asked) if field.name not in names]


def as_text(parse: Callable[[str], Parsed], show: Callable[[Parsed], str] | bool = False) -> Parameter:
    """For a field whose value `parse` makes of one word; it raises ValueError for wrong usage.

    show: how a default becomes a word in the help, where it is to be shown.
    """

    def convert(kind: object, tokens: Sequence[Token]) -> object:
        return parse(tokens[0].value)

    return Parameter(
        converter=convert, n_tokens=1, accepts_keys=False, metavar="STR", show_choices=False, show_default=show
    )


# Words that are parsed --------------------------------------------------------------------------------------------


def parse_batch(text: str) -> tuple[int, ...]:
    """`1,4,16` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"expected batch sizes such as 1,4,16, got {text!r}") from None


def parse_names(text: str) -> tuple[str, ...]:
    """`eager,ort` as names."""
    return tuple(text.split(",")) if text else ()


def file_name(_: object, tokens: Sequence[Token]) -> str:
    """A word that is no option: what begins with a hyphen is a mistyped one, `-` alone stdin."""
    name = tokens[0].value
    if name.startswith("-") and name != "-":
        raise ValueError(f"unknown option {name}; see --help, and write a file of that name as ./{name}")
    return name


Size = Annotated[tuple[int, int] | None, as_text(parse_size)]
Part = Annotated[Crop | None, as_text(parse_crop)]

# Options that several commands have -------------------------------------------------------------------------------

Flag = Annotated[bool, Parameter(negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
MaybeOutput = Annotated[Path | None, Parameter(name=["--output", "-o"])]
EngineFile = Annotated[Path, Parameter(help="The engine file, from build-engine.")]
Named = str | Path
"""A word that may be a file's name, which a shell completes; it comes as it was typed."""
Weights = Annotated[
    Named,
    Parameter(
        help="An engine; or weights, of which one is built once and kept: a checkpoint, a folder or an archive with "
        "one, a name from `ugatit-fast weights`, hf://ORG/REPO[@REVISION][/FILE] or https://..."
    ),
]
CheckpointSource = Annotated[
    Named,
    Parameter(
        help="A published .pt file, a state dict, our own .safetensors, a TensorFlow checkpoint (prefix, .index file "
        "or folder); a folder or an archive with one; a name from `ugatit-fast weights`, "
        "hf://ORG/REPO[@REVISION][/FILE] or https://..."
    ),
]
Offline = Annotated[
    bool,
    Parameter(negative="", help="Take weights that are elsewhere from the cache; don't use the network."),
]
Checksums = Annotated[
    bool, Parameter(negative="", help="Also compare the checksums of the weights, where the format has any.")
]

READING = Reading()

# Progress ---------------------------------------------------------------------------------------------------------


LINE_SECONDS = 10.0
"""From one line of progress to the next, where nobody could see a bar move."""

TRAINING_LINE_SECONDS = 60.0
"""The same for training, which takes hours."""


class Lines:
    """Progress as a line now and then: what a log can hold, and enough to know that work goes on."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.last = time.monotonic()

    def say(self, line: str) -> None:
        """A line of other words, after which none is needed for a while."""
        self.last = time.monotonic()
        say(line)

    def tell(self, phase: str, done: int, total: int) -> None:
        """Say how far a phase is, unless something was said just before."""
        now = time.monotonic()
        if now - self.last >= self.every_s:
            self.last = now
            say(f"{phase}: {done} of {total}" if total >= done else f"{phase}: {done}")


@contextmanager
def progress_bar(shown: bool = True) -> Iterator[Counted]:
    """A bar on stderr where that is a terminal, else a line now and then.

    Gives the function that moves it: photos done, photos in all. shown: False for neither.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if shown and not console.is_terminal:
        said = Lines(LINE_SECONDS)
        yield lambda done, total: said.tell("translating", done, total)
        return
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("loading the engine", total=None)
        yield lambda done, total: progress.update(task, description="translating", completed=done, total=total)


@contextmanager
def training_bar(shown: bool = True) -> Iterator[tuple[Say, Counted]]:
    """A bar on stderr, below the lines of a run, where that is a terminal, else a line a minute at least.

    Gives what says the lines, and the function that moves the bar: steps done, steps in all. shown: False for no bar.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal or not shown:
        lines = Lines(TRAINING_LINE_SECONDS)
        yield lines.say, lambda done, total: lines.tell("steps", done, total)
        return
    columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:

        def advance(done: int, total: int) -> None:
            if progress.task_ids:
                progress.update(progress.task_ids[0], completed=done)
            else:  # steps of an earlier run say nothing about the speed of this one
                progress.add_task("training", completed=done, total=total)

        yield say, advance


@contextmanager
def phase_bars() -> Iterator[Phased]:
    """As `progress_bar`, for phases that come and go: name, steps done, steps in all."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(LINE_SECONDS).tell
        return
    tasks: dict[str, TaskID] = {}
    with Progress(console=console, transient=True) as progress:

        def advance(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total)
            progress.update(tasks[phase], completed=done)
            if done == total:
                progress.remove_task(tasks.pop(phase))

        yield advance
