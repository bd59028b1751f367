"""The house's arrows: who may know whom. Lazy, type-only and linked imports count like any other."""

import ast
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ugatit_fast"
GROUND = ("errors", "choices", "files", "machine", "progress", "version")
"""What everybody stands on."""
NEVERS = {
    "kernels": "anything of ours but the ground",
    "media": "anything of ours but the ground",
    "train": "translate export backends translator engine serve camera on_ray compat commands cli bench",
    "tensor_bundle": "anything of ours but the ground",
    "backends": "export train translate serve camera on_ray compat commands cli bench translator",
    "export": "train translate serve camera on_ray compat commands cli bench",
    "checkpoint": "export train translate serve camera on_ray compat commands cli bench backends translator engine",
    "translate": "export train serve camera on_ray compat commands cli bench",
    "serve": "on_ray commands cli bench train camera compat",
    "camera": "serve on_ray commands cli bench train compat",
    "on_ray": "commands cli bench train camera compat",
    "compat": "commands cli bench",
    "bench": "commands cli",
}
"""Rooms, and the rooms that they must not know."""
FOR_PEOPLE = ("cyclopts", "rich")
"""What only the command line may import."""

Arrows = Mapping[str, frozenset[str]]
"""Module -> what it imports, absolute and dotted."""


def modules() -> dict[str, str]:
    """Every module of the package by name, those behind the links too, with its source."""
    found = {}
    for folder in [ROOT / PACKAGE, *(path for path in (ROOT / PACKAGE).iterdir() if path.is_symlink())]:
        for file in sorted(folder.resolve().rglob("*.py")):
            inside = file.relative_to(folder.resolve()).with_suffix("")
            prefix = (PACKAGE,) if folder == ROOT / PACKAGE else (PACKAGE, folder.name)
            parts = [*prefix, *inside.parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text(encoding="utf-8")
    return found


def imported(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    """What a module imports, wherever in it; `from a import b` leads to a.b where that is a `known` module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def arrows_of(sources: Mapping[str, str]) -> Arrows:
    return {name: frozenset(imported(ast.parse(text), sources)) for name, text in sources.items()}


def among_us(arrows: Arrows) -> dict[str, set[str]]:
    """Only arrows between modules of ours."""
    return {name: {target for target in targets if target in arrows} for name, targets in arrows.items()}


def circles(arrows: Arrows) -> list[list[str]]:
    """Modules that import each other, however long the way round: strongly connected components of two or more."""
    graph = among_us(arrows)
    order: list[str] = []
    seen: set[str] = set()
    backwards: dict[str, set[str]] = {name: set() for name in graph}
    for name, targets in graph.items():
        for target in targets:
            backwards[target].add(name)

    def reached(start: str, ways: Mapping[str, set[str]], into: list[str]) -> None:
        if start not in seen:
            seen.add(start)
            for target in sorted(ways[start]):
                reached(target, ways, into)
            into.append(start)

    for name in sorted(graph):
        reached(name, graph, order)
    seen.clear()
    components = []
    for name in reversed(order):
        component: list[str] = []
        reached(name, backwards, component)
        components.append(component)
    return [sorted(component) for component in components if len(component) > 1]


def room_of(module: str) -> str:
    """The first name below the package; a file at its top is a room of its own."""
    return module.split(".")[1] if "." in module else ""


def forbidden(arrows: Arrows) -> list[str]:
    """Arrows that NEVERS names."""
    rooms = {room_of(name) for name in arrows}
    found = []
    for name, targets in among_us(arrows).items():
        room = room_of(name)
        never = NEVERS.get(room, "")
        banned = rooms - {room, *GROUND, ""} if never.startswith("anything") else set(never.split())
        found += [f"{name} -> {target}" for target in sorted(targets) if room_of(target) in banned]
    return found


def for_people(arrows: Arrows) -> list[str]:
    """Arrows to the command line's libraries from elsewhere."""
    return [
        f"{name} -> {target}"
        for name, targets in arrows.items()
        if room_of(name) not in ("commands", "cli")
        for target in sorted(targets)
        if target.split(".")[0] in FOR_PEOPLE
    ]


def prints(sources: Mapping[str, str]) -> list[str]:
    """Calls of print outside the command line, and outside scripts (`if __name__ == "__main__"`)."""
    return [
        f"{name}:{node.lineno}"
        for name, text in sources.items()
        if room_of(name) not in ("commands", "cli")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return modules()


def test_the_links_are_followed(sources: dict[str, str]) -> None:
    assert {"kernels", "export", "train", "bench", "media", "translate"} <= {room_of(name) for name in sources}


def test_no_two_modules_import_each_other(sources: dict[str, str]) -> None:
    assert circles(arrows_of(sources)) == []


def test_rooms_know_only_what_they_may(sources: dict[str, str]) -> None:
    assert forbidden(arrows_of(sources)) == []


def test_only_the_command_line_talks_to_people(sources: dict[str, str]) -> None:
    assert for_people(arrows_of(sources)) == []
    assert prints(sources) == []


LAZY = "def later():\n    from ugatit_fast.translate.pipeline import translate_files\n"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ugatit_fast.translate.sources\n"


@pytest.mark.parametrize("planted", [LAZY, TYPES, "from ugatit_fast.translate import sources\n"])
def test_a_planted_arrow_is_found(sources: dict[str, str], planted: str) -> None:
    crooked = dict(sources)
    crooked["ugatit_fast.media.images"] += planted
    arrows = arrows_of(crooked)
    assert any(arrow.startswith("ugatit_fast.media.images -> ugatit_fast.translate") for arrow in forbidden(arrows))
    (circle,) = circles(arrows)
    assert {"ugatit_fast.media.images", "ugatit_fast.translate.sources"} <= set(circle)


def test_planted_words_for_people_are_found(sources: dict[str, str]) -> None:
    crooked = dict(sources)
    crooked["ugatit_fast.engine"] += "def f():\n    import rich.console\n    print(1)\n"
    assert for_people(arrows_of(crooked)) == ["ugatit_fast.engine -> rich.console"]
    assert len(prints(crooked)) == len(prints(sources)) + 1
