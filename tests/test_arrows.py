"""The house's arrows: who may know whom. Lazy, type-only, linked and named imports count like any other."""

import ast
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ugatit_fast"
FLOORS = (
    "version errors",
    "choices files machine progress",
    "assets",
    "model kernels media tensor_bundle",
    "folded_weights",
    "graph",
    "fold",
    "weights architectures",
    "checkpoint",
    "engine",
    "backends",
    "translator",
    "translate export train",
    "serve camera compat",
    "on_ray bench",
    "study",
    "commands",
    "cli",
)
"""Every room of the package, from the ground up. A room knows those below its floor, and none beside it or above."""
NEVERS = {
    "kernels": "assets",
    "media": "assets",
    "train": "engine backends translator",
    "serve": "train export weights",
    "camera": "train export weights",
    "on_ray": "train export weights",
    "study": "export weights",
}
"""Rooms below that a room must not know all the same: the trainer knows no engines, what serves builds none."""
COMMAND_LINE = ("commands", "cli")
FOR_PEOPLE = ("cyclopts", "rich")
"""What only the command line may import."""
MOST_ROOMS = 26

Sources = Mapping[str, str]
"""Module, absolute and dotted -> its text."""
Arrows = Mapping[str, frozenset[str]]
"""Module -> what it imports."""


def modules() -> dict[str, str]:
    """Every module of the package, with those behind the links under the names that they install as."""
    found = {}
    for folder in [ROOT / PACKAGE, *(path for path in (ROOT / PACKAGE).iterdir() if path.is_symlink())]:
        home = folder.resolve()
        prefix = (PACKAGE,) if folder == ROOT / PACKAGE else (PACKAGE, folder.name)
        for file in sorted(home.rglob("*.py")):
            if home not in file.resolve().parents:
                continue  # some Python versions follow the links of the first folder
            parts = [*prefix, *file.relative_to(home).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text(encoding="utf-8")
    return found


parse = cache(ast.parse)
"""Text -> tree; planted texts differ in one module only."""


def imported(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    """What a module imports, wherever in it; `from a import b` leads to a.b where that is a `known` module, else to a.

    Relative imports are ruff's to refuse.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                whole = [f"{module}.{alias.name}" for alias in names]
                yield from (name if name in known else module for name in whole)
            case ast.Call(
                func=ast.Name("import_module") | ast.Attribute(attr="import_module"), args=[ast.Constant(str(name))]
            ):
                yield name


def named(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    """Modules that a text names, as in the rows of a table, "a.b" or "a.b:name"; not the package, whose name is a word.

    Whoever names a module there knows it. But it is imported by the row's name when it is asked for, and may itself
    use what the table's file declares: such arrows count among rooms and make no circle.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if "." in name and name in known:
                yield name


def arrows_of(sources: Sources, *ways: Callable[[ast.AST, Container[str]], Iterator[str]]) -> Arrows:
    return {
        name: frozenset(target for way in ways for target in way(parse(text), sources) if target != name)
        for name, text in sources.items()
    }


def circle(arrows: Arrows) -> list[str]:
    """Modules that import each other, however long the way round: one circle, or none."""
    ours = {name: sorted(target for target in targets if target in arrows) for name, targets in arrows.items()}
    try:
        TopologicalSorter(ours).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room_of(module: str) -> str:
    """The first name below the package; a file at its top is a room of its own, and the package itself is one."""
    return module.split(".")[1] if "." in module else module


def rooms() -> list[str]:
    """The folders and files of the package as a reader meets them, the links among them."""
    entries = (path for path in (ROOT / PACKAGE).iterdir() if path.is_dir() or path.suffix == ".py")
    return sorted(path.stem for path in entries if not path.name.startswith("__"))


def below(room: str) -> set[str]:
    """What a room may know."""
    (floor,) = (number for number, names in enumerate(FLOORS) if room in names.split())
    under = {name for names in FLOORS[:floor] for name in names.split()}
    return under - set(NEVERS.get(room, "").split())


def forbidden(arrows: Arrows) -> list[str]:
    """Arrows between rooms that go up or aside, those that NEVERS names, and those to the package's front door."""
    return [
        f"{name} -> {target}"
        for name, targets in arrows.items()
        if name != PACKAGE
        for target in sorted(targets)
        if target.split(".")[0] in (PACKAGE, "benchmarks", "tests", "examples")
        and room_of(target) not in below(room_of(name)) | {room_of(name)}
    ]


def for_people(sources: Sources) -> list[str]:
    """Imports of the command line's libraries, and calls of print, from elsewhere."""
    found = []
    for name, text in sources.items():
        if room_of(name) in COMMAND_LINE:
            continue
        tree = parse(text)
        libraries = {target.split(".")[0] for target in imported(tree, sources)} & set(FOR_PEOPLE)
        found += [f"{name} -> {library}" for library in sorted(libraries)]
        found += [f"{name}:{node.lineno} prints" for node in ast.walk(tree) if is_print(node)]
    return found


def is_print(node: ast.AST) -> bool:
    """Whether it is `print(...)`; asking for the console by another name is asking for sys.stdout.write."""
    match node:
        case ast.Call(func=ast.Name("print")):
            return True
        case ast.Call(func=ast.Attribute(attr="write", value=ast.Attribute(attr="stdout" | "stderr"))):
            return True
    return False


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return modules()


def test_every_room_has_its_floor_and_a_reader_can_count_them(sources: Sources) -> None:
    """What counts: modules and folders. The front door, py.typed and the links to the folders above don't."""
    on_floors = sorted(name for names in FLOORS for name in names.split())
    assert on_floors == rooms()
    assert set(on_floors) == {room_of(name) for name in sources} - {PACKAGE}
    links = [name for name in rooms() if (ROOT / PACKAGE / name).is_symlink()]
    assert len(on_floors) - len(links) <= MOST_ROOMS


def test_no_two_modules_import_each_other(sources: Sources) -> None:
    assert circle(arrows_of(sources, imported)) == []


def test_rooms_know_only_what_they_may(sources: Sources) -> None:
    assert forbidden(arrows_of(sources, imported, named)) == []


def test_only_the_command_line_talks_to_people(sources: Sources) -> None:
    assert for_people(sources) == []


def test_everything_that_is_imported_is_counted(sources: Sources) -> None:
    """An arrow that this file fails to see would make the others pass: known ones of each kind are there."""
    arrows = arrows_of(sources, imported, named)
    assert "ugatit_fast.kernels.padding" in arrows["ugatit_fast.kernels.adalin"]  # through a link
    assert "ugatit_fast.export.build" in arrows["ugatit_fast"]  # a text
    assert "ugatit_fast.bench.torch_rivals" in arrows["ugatit_fast.bench.contenders"]  # a text


EACH_WAY = {
    "plainly": "from ugatit_fast.translate import sources\n",
    "lazily": "def later():\n    from ugatit_fast.translate.sources import find_images\n",
    "for types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ugatit_fast.translate.sources\n",
    "by name": "from importlib import import_module\nimport_module('ugatit_fast.translate.sources')\n",
}


@pytest.mark.parametrize("way", EACH_WAY)
def test_a_planted_arrow_is_found(sources: Sources, way: str) -> None:
    crooked = dict(sources)
    crooked["ugatit_fast.media.images"] += EACH_WAY[way]
    assert forbidden(arrows_of(crooked, imported)) == ["ugatit_fast.media.images -> ugatit_fast.translate.sources"]
    assert {"ugatit_fast.media.images", "ugatit_fast.translate.sources"} <= set(circle(arrows_of(crooked, imported)))


def test_an_arrow_in_a_table_is_found(sources: Sources) -> None:
    crooked = {**sources, "ugatit_fast.media.images": "HOMES = {'find': 'ugatit_fast.translate.sources:find_images'}"}
    assert forbidden(arrows_of(crooked, named)) == ["ugatit_fast.media.images -> ugatit_fast.translate.sources"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("kernels.schedule", "media.images"),
        ("kernels.schedule", "model"),
        ("media.images", "translate.sources"),
        ("train.loop", "translate.sources"),
        ("train.loop", "export.build"),
        ("train.loop", "backends.base"),
        ("serve.service", "on_ray.cluster"),
        ("translate.pipeline", "commands.translate"),
        ("backends.base", "train.loop"),
        ("bench.suite", "commands.bench"),
    ],
)
def test_the_house_has_no_way_there(sources: Sources, source: str, target: str) -> None:
    source, target = f"{PACKAGE}.{source}", f"{PACKAGE}.{target}"
    assert {source, target} <= set(sources)
    crooked = {**sources, source: f"{sources[source]}\nimport {target}\n"}
    assert forbidden(arrows_of(crooked, imported, named)) == [f"{source} -> {target}"]


def test_a_way_through_the_front_door_is_found(sources: Sources) -> None:
    """`from ugatit_fast import build_engine` leads to the exporter without saying so."""
    crooked = {**sources, "ugatit_fast.train.loop": "from ugatit_fast import build_engine\nimport benchmarks.gpu\n"}
    assert forbidden(arrows_of(crooked, imported, named)) == [
        "ugatit_fast.train.loop -> benchmarks.gpu",
        "ugatit_fast.train.loop -> ugatit_fast",
    ]


def test_a_long_way_round_is_a_circle(sources: Sources) -> None:
    crooked = {**sources, "ugatit_fast.errors": "def later():\n    import ugatit_fast.cli\n"}
    assert len(circle(arrows_of(crooked, imported))) > 2


def test_planted_words_for_people_are_found(sources: Sources) -> None:
    crooked = {
        **sources,
        "ugatit_fast.engine": "def f():\n    import rich.console\n    print(1)\n    sys.stdout.write()\n",
    }
    assert for_people(crooked) == [
        "ugatit_fast.engine -> rich",
        "ugatit_fast.engine:3 prints",
        "ugatit_fast.engine:4 prints",
    ]
