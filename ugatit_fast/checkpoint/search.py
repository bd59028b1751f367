"""A tree of anything, with tensors somewhere in it -> the one generator that is meant.

Files hold six networks by name, or one network's tensors, or either inside a framework's record of a run, at any depth;
names may have any chain of prefixes (`module.` of DataParallel, `_orig_mod.` of torch.compile, `genA2B.` of Lightning).
All that is one question: where does a generator's first tensor stand? Everything before its name is where, and whatever
stands there belongs to that generator.

    tree -> states: the dictionaries of tensors in it -> candidates: a name and a state dict each -> one of them
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from ugatit_fast.architectures import ARCHITECTURES, Architecture
from ugatit_fast.architectures.foreign import kin, some
from ugatit_fast.checkpoint.contents import DIRECTIONS
from ugatit_fast.checkpoint.torch_pickle import Foreign
from ugatit_fast.choices import ArchitectureName, Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Config

NETWORKS: dict[Direction, str] = {"A2B": "genA2B", "B2A": "genB2A"}
"""The generators' names in the published files."""
WAYS: dict[Direction, str] = {
    "A2B": r"a_?(2|to)_?b|(?<![a-z])(net_?)?g_a(?![a-z0-9])",
    "B2A": r"b_?(2|to)_?a|(?<![a-z])(net_?)?g_b(?![a-z0-9])",
}
"""What in a name says a direction: genA2B, or CycleGAN's netG_A."""
MOST_CONTAINERS = 20_000
"""Looked into: far more than any run's record has. A few bytes of pickle can stand for billions."""
MODULE_PARTS = ("_parameters", "_buffers", "_modules")
"""Where a pickled network keeps what its state dict would hold."""


@runtime_checkable
class Leaf(Protocol):
    """A tensor that is still in the file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> Tensor:
        """Get it. Raises CheckpointError."""


State = Mapping[str, Leaf]


@dataclass(frozen=True)
class Found:
    """A dictionary of tensors, and the keys that lead to it."""

    path: tuple[str, ...]
    tensors: State


@dataclass(frozen=True)
class Candidate:
    """A generator in a file."""

    name: str
    """What leads to it, such as `genA2B` or `state_dict.genA2B`; empty where nothing does."""
    tensors: State
    """By the names that a generator gives them, with whatever else stands beside them."""
    architecture: Architecture[Config]

    @property
    def way(self) -> Direction | None:
        """Which way it translates, as far as its name says."""
        return way_in(self.name)

    @property
    def published(self) -> bool:
        """Whether it is called as in the published files."""
        return self.name in NETWORKS.values()


@dataclass(frozen=True)
class Choice:
    """One generator of a file."""

    candidate: Candidate
    others: tuple[Candidate, ...]
    """The other generators in the file."""
    beside: tuple[str, ...]
    """What else there is, by name: networks, optimisers."""


# From a tree to candidates ----------------------------------------------------------------------------------------


def states_in(tree: object) -> list[Found]:
    """Every dictionary that has tensors in it, and every pickled network as the state dict that it would give."""
    found: list[Found] = []
    waiting: deque[tuple[tuple[str, ...], object, frozenset[int]]] = deque([((), tree, frozenset())])
    for _ in range(MOST_CONTAINERS):
        if not waiting:
            break
        path, node, above = waiting.popleft()
        if id(node) in above or not isinstance(node, (dict, list, tuple)):  # a pickle may hold itself
            continue
        if is_module(node):
            found.append(Found(path, dict(module_state(node, ""))))
            continue
        entries = dict(node) if isinstance(node, dict) else dict(enumerate(node))
        tensors = {str(key): value for key, value in entries.items() if isinstance(value, Leaf)}
        if tensors:
            found.append(Found(path, tensors))
        inside = above | {id(node)}
        waiting += [((*path, str(key)), value, inside) for key, value in entries.items() if not isinstance(value, Leaf)]
    return found


def is_module(node: object) -> bool:
    return isinstance(node, Foreign) and any(isinstance(node.get(part), dict) for part in MODULE_PARTS)


def module_state(module: object, prefix: str, depth: int = 0) -> Iterator[tuple[str, Leaf]]:
    """What a pickled network's `state_dict()` would give."""
    if not isinstance(module, Foreign) or depth > 100:  # deeper than any network: it holds itself
        return
    for part in MODULE_PARTS:
        entries = module.get(part)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            if isinstance(value, Leaf):
                yield f"{prefix}{name}", value
            else:
                yield from module_state(value, f"{prefix}{name}.", depth + 1)


def candidates_in(states: Sequence[Found], among: Sequence[Architecture[Config]]) -> list[Candidate]:
    """The generators there are; where there is none in any one dictionary, one that is spread over several."""
    candidates = [candidate for state in states for candidate in candidates_of(state, among)]
    if candidates:
        return candidates
    return candidates_of(
        Found((), {".".join((*s.path, name)): leaf for s in states for name, leaf in s.tensors.items()}), among
    )


def candidates_of(state: Found, among: Sequence[Architecture[Config]]) -> list[Candidate]:
    """The generators in one dictionary: one for each prefix that an anchor has there, and an architecture claims."""
    owners = owners_in(state.tensors, among)
    owned: dict[str, dict[str, Leaf]] = {prefix: {} for prefix in owners}
    for name, leaf in state.tensors.items():
        prefixes = [prefix for prefix in owners if name.startswith(prefix)]
        if prefixes:
            owner = max(prefixes, key=len)
            own = name.removeprefix(owner)
            if own.startswith(owners[owner].parts):
                owned[owner][own] = leaf
    return [
        Candidate(".".join(filter(None, (*state.path, prefix.rstrip(".")))), tensors, owners[prefix])
        for prefix, tensors in owned.items()
    ]


def owners_in(tensors: State, among: Sequence[Architecture[Config]]) -> dict[str, Architecture[Config]]:
    """Prefix of names -> the first architecture that claims what has it, in the order of the file."""
    anchored = [(anchor, architecture) for architecture in among for anchor in architecture.anchors]
    owners: dict[str, Architecture[Config]] = {}
    for name in tensors:
        for anchor, architecture in anchored:
            prefix = name.removesuffix(anchor)
            if f".{name}".endswith(f".{anchor}") and prefix not in owners:
                inside = {key.removeprefix(prefix): t.shape for key, t in tensors.items() if key.startswith(prefix)}
                if architecture.claims(inside):
                    owners[prefix] = architecture
    return owners


# From candidates to one -------------------------------------------------------------------------------------------


def find_generator(
    path: Path,
    tree: object,
    direction: Direction | None,
    network: str | None,
    architecture: ArchitectureName | None = None,
) -> Choice:
    """The generator that is meant.

    direction: which way it should translate. network: its name in the file, or the part of it that no other has.
    architecture: the only one to look for.
    Raises CheckpointError with the candidates where there are several, and where there is none with what there is.
    """
    states = states_in(tree)
    among = [one for one in ARCHITECTURES if architecture in (None, one.name)]
    candidates = candidates_in(states, among)
    if not candidates:
        raise CheckpointError(f"{path} {what_it_holds(tree, states, among)}")
    chosen = called(path, candidates, network) if network else meant(path, candidates, direction)
    others = tuple(candidate for candidate in candidates if candidate is not chosen)
    return Choice(chosen, others, beside(chosen, states))


def called(path: Path, candidates: Sequence[Candidate], network: str) -> Candidate:
    """The candidate of that name; the name may leave out what no other candidate differs in."""
    for matches in (
        [c for c in candidates if c.name == network],
        [c for c in candidates if f".{network}." in f".{c.name}."],
        [c for c in candidates if network in c.name],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise CheckpointError(f"{path} has {len(matches)} generators called {network}: {names(matches)}; name one")
    if [c.name for c in candidates] == [""]:
        raise CheckpointError(f"{path} holds one generator, which has no name there; leave --network out")
    raise CheckpointError(f"{path} has no generator {network}, only {names(candidates)}")


def meant(path: Path, candidates: Sequence[Candidate], direction: Direction | None) -> Candidate:
    """The one that the direction leaves, A2B unless it is given; that with a published name before all others."""
    wanted: Direction = direction or "A2B"
    pool = [c for c in candidates if c.way == wanted] or [c for c in candidates if c.way is None]
    if not pool and direction is None:
        pool = list(candidates)
    if not pool:
        raise CheckpointError(
            f"{path} has no {NETWORKS[wanted]}, only {names(candidates)}; ask for the other --direction"
        )
    pool = [c for c in pool if c.published] or [c for c in pool if c.name.endswith(f".{NETWORKS[wanted]}")] or pool
    if len(pool) > 1:
        raise CheckpointError(f"{path} holds {len(pool)} generators, {names(pool)}; choose one: --network NAME")
    return pool[0]


def names(candidates: Sequence[Candidate]) -> str:
    return ", ".join(candidate.name or "one without a name" for candidate in candidates)


def way_in(text: str) -> Direction | None:
    """The direction that a name says; None where it says none, or both."""
    found = [way for way, pattern in WAYS.items() if re.search(pattern, text, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def ways_of(candidates: Sequence[Candidate]) -> tuple[Direction, ...]:
    """Those that there is a generator for, as far as names say."""
    return tuple(way for way in DIRECTIONS if any(candidate.way == way for candidate in candidates))


def beside(chosen: Candidate, states: Sequence[Found]) -> tuple[str, ...]:
    """What a file holds besides the chosen generator, by the shortest names that tell it apart from it."""
    parts = chosen.name.split(".") if chosen.name else []
    own = {id(leaf) for leaf in chosen.tensors.values()}
    labels: dict[str, None] = {}
    for state in states:
        for name, leaf in state.tensors.items():
            if id(leaf) in own:
                continue
            place = [*state.path, *name.split(".")]
            shared = next((i for i, (a, b) in enumerate(zip(parts, place, strict=False)) if a != b), len(parts))
            labels[place[min(shared, len(place) - 1)]] = None
    return tuple(labels)


# Where there is none ----------------------------------------------------------------------------------------------


def what_it_holds(tree: object, states: Sequence[Found], among: Sequence[Architecture[Config]]) -> str:
    """Of a file without a generator, for an error message."""
    tensors = [".".join((*state.path, name)) for state in states for name in state.tensors]
    if tensors:
        return f"holds no generator of {', '.join(one.title for one in among)}: {kin(tensors)}"
    objects = sorted({type(node).named for node in everything_in(tree) if isinstance(node, Foreign)})
    if objects:
        return (
            f"holds Python objects ({some(objects)}) that could run code when loaded, and no tensors; "
            "expected tensors: load it where you trust it and save its state_dict()"
        )
    keys = list(tree) if isinstance(tree, dict) else []
    held = f" ({some(map(str, keys))})" if keys else f", but {tree!r:.60}" if not isinstance(tree, (dict, list)) else ""
    return f"holds no tensors{held}; expected a generator or six networks"


def everything_in(tree: object) -> Iterator[object]:
    seen: set[int] = set()
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, (dict, list, tuple)):
            waiting += node.values() if isinstance(node, dict) else node
