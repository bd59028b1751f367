"""Commands are thin, and say each thing once."""

import ast
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclopts import App

from ugatit_fast import cli

ROOT = Path(__file__).resolve().parents[2]
MOST_PARAMETERS, MOST_LINES = 8, 60


def commands_of(app: App, name: str = "") -> Iterator[tuple[str, App, Callable[..., object]]]:
    """Every command below an app, by its whole name, with the function that runs it."""
    if app.default_command is not None:
        yield name, app, app.default_command
    for verb in app:
        if not verb.startswith("-"):
            yield from commands_of(app[verb], f"{name} {verb}".strip())


COMMANDS = [pytest.param(app, function, id=name) for name, app, function in commands_of(cli.app)]


def texts_in(source: str) -> Iterator[str]:
    """Every text in a module, in one line each; a NumPy-style docstring gives the texts of its sections' entries."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines = node.value.splitlines()
            if "    Parameters" not in lines:
                yield " ".join(node.value.split())
                continue
            entry: list[str] = []
            for line in lines:
                if line.startswith(" " * 8):
                    entry.append(line)
                else:
                    yield " ".join(" ".join(entry).split())
                    entry = []
            yield " ".join(" ".join(entry).split())


@pytest.fixture(scope="module")
def said() -> Counter[str]:
    """How often each text stands in the package, the folders behind the links included."""
    folders = [ROOT / name for name in ("ugatit_fast", "kernels", "export", "train", "benchmarks")]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return Counter(text for file in files for text in texts_in(file.read_text(encoding="utf-8")))


def sentences(app: App) -> dict[str, str]:
    """Option or argument -> its help, in one line."""
    arguments = app.assemble_argument_collection(parse_docstring=True)
    shown = [argument for argument in arguments if argument.parse and not argument.children]
    return {argument.name: " ".join(str(argument.parameter.help or "").split()) for argument in shown}


def test_every_verb_is_looked_at() -> None:
    names = {str(command.id) for command in COMMANDS}
    assert set(cli.VERBS) - {"data"} < names
    assert {"data check", "data example", "train export-official", "bench compare"} < names


@pytest.mark.parametrize(("app", "function"), COMMANDS)
def test_commands_are_thin(app: App, function: Callable[..., object]) -> None:
    assert len(inspect.signature(function).parameters) <= MOST_PARAMETERS
    assert len(inspect.getsource(function).splitlines()) <= MOST_LINES


@pytest.mark.parametrize(("app", "function"), COMMANDS)
def test_every_option_has_a_sentence_that_is_said_once(
    app: App, function: Callable[..., object], said: Counter[str]
) -> None:
    found = sentences(app)
    assert [name for name, sentence in found.items() if not sentence] == []
    assert {name: said[sentence] for name, sentence in found.items() if said[sentence] != 1} == {}
    assert not [name for name, sentence in found.items() if sentence.startswith("As for")]


def test_a_verb_says_what_it_does_in_its_own_file_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    listed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    words = Path(cli.__file__).read_text(encoding="utf-8")
    for verb in cli.VERBS:
        line = cli.app[verb].help.partition("\n")[0].strip()
        assert line.endswith(".")
        assert line in listed
        assert line not in words


def test_a_sentence_said_twice_is_found() -> None:
    twice = Counter([*texts_in('class A:\n    x: int = 1\n    """Of\n    it."""\n'), *texts_in(COMMAND)])
    assert twice["Of it."] == 2


COMMAND = '''def verb(x, y):
    """Do it.

    Parameters
    ----------
    x
        Of
        it.
    y
        Other.
    """
'''
