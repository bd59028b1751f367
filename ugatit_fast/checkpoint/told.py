"""What a file's names say about the generator in it, what they leave open, and what is assumed then: all of it told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ugatit_fast.architectures import Architecture, Understood
from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint, size_of
from ugatit_fast.checkpoint.search import Choice, names, way_in, ways_of
from ugatit_fast.choices import DECIDING, HINTS, Direction, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Config

STEP_IN_NAME = re.compile(r"(?:_params|^gen)_(\d+)\.pt")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which generator of a file is wanted."""

    direction: Direction | None = None
    """Which way it should translate."""
    network: str | None = None
    """What it is called in the file."""
    hints: Hints = HINTS


def understood(path: Path, choice: Choice, asked: Asked) -> Understood[Config]:
    """Read the tensors of the generator that was found, and what they say."""
    architecture: Architecture[Config] = choice.candidate.architecture
    wanted = architecture.towards(asked.direction or "A2B", choice.candidate.tensors)
    tensors: Mapping[str, Tensor] = {name: leaf.read() for name, leaf in wanted.items()}
    found = architecture.understand(path, tensors, asked.hints)
    refuse_idle(path, architecture, found.chosen, asked.hints)
    return found


def refuse_idle(path: Path, architecture: Architecture[Config], chosen: str, hints: Hints) -> None:
    """CheckpointError for a hint that decides nothing about this network: it was meant for another.

    chosen: as `Understood.chosen`.
    """
    given = [name for name in DECIDING if getattr(hints, name) is not None]
    if idle := next((name for name in given if f"{name}=" not in chosen), None):
        raise CheckpointError(
            f"{path} is a generator of {architecture.title}, about which {idle} {getattr(hints, idle)} decides "
            "nothing; leave it out, or check the file"
        )


def checkpoint_of(path: Path, kind: str, choice: Choice, asked: Asked, found: Understood[Config]) -> Checkpoint:
    """What is known of the generator that was found."""
    candidate = choice.candidate
    direction, about_direction = direction_of(path, choice, asked, found.direction)
    notes = [*about_direction, *about_others(choice, asked), *found.notes]
    return Checkpoint(
        path=path,
        format=kind,
        direction=direction,
        directions=DIRECTIONS if both_ways(choice) else ways_of([candidate, *choice.others]) or (direction,),
        config=found.config,
        tensors=found.tensors,
        chosen=found.chosen,
        network=candidate.name if choice.others and not candidate.published else "",
        dropped=choice.beside,
        notes=tuple(notes),
        size_bytes=size_of(path),
    )


def direction_of(path: Path, choice: Choice, asked: Asked, beside: Direction | None) -> tuple[Direction, list[str]]:
    """By the network's name, else as asked for, else by the file's name, else by what lies beside it, else A2B."""
    if both_ways(choice):
        return asked.direction or "A2B", []
    said = choice.candidate.way
    if said:
        only = (
            asked.direction is None
            and asked.network is None
            and ways_of([choice.candidate, *choice.others]) == ("B2A",)
        )
        return said, [f"it is the only generator in the file: {said}"] if only else []
    by_file = way_in(path.stem)
    if asked.direction:
        differs = by_file is not None and by_file != asked.direction
        return asked.direction, [
            f"called {asked.direction} as asked for, though the file's name says {by_file}"
        ] * differs
    if by_file:
        return by_file, [
            f"called {by_file} by the file's name; if it translates the other way, say so with --direction"
        ]
    if beside:
        return beside, [f"called {beside} by the options of its run, which lie beside it"]
    return "A2B", ["nothing says which way it translates; called A2B: if it is the other way, --direction B2A"]


def both_ways(choice: Choice) -> bool:
    """Whether the generator that was found is of either direction, as is asked for."""
    return choice.candidate.architecture.both_ways


def about_others(choice: Choice, asked: Asked) -> list[str]:
    """Generators that could have been meant too."""
    same = [other for other in choice.others if other.way in (None, choice.candidate.way)]
    if not same or asked.network:
        return []
    return [f"the file also holds {names(same)}; to take another than {choice.candidate.name}: --network NAME"]


def step_in(name: str) -> int | None:
    """The training step in the name of a published file."""
    found = STEP_IN_NAME.search(name)
    return int(found[1]) if found else None
