"""The tree that errors.py draws is the tree of the classes: nothing missing, nothing made up."""

import ast
import re

import pytest

from tests.test_arrows import modules
from ugatit_fast import errors
from ugatit_fast.errors import first_line


def drawn(docstring: str) -> dict[str, str]:
    """Class -> its base, from the lines that are indented; the root's base is Exception."""
    found, above = {}, ["Exception"]
    for line in docstring.splitlines():
        entry = re.match(r"    ((?:│   |    )*(?:[├└]── )?)(\w+)", line)
        if entry:
            depth = len(entry[1]) // 4
            above = [*above[: depth + 1], entry[2]]
            found[entry[2]] = above[depth]
    return found


def of_the_package() -> dict[str, str]:
    """Every class below UgatitFastError in the package -> the one of ours that it is derived from."""
    bases = {
        node.name: [ast.unparse(base).split(".")[-1] for base in node.bases]
        for source in modules().values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }
    ours = {"UgatitFastError": "Exception"}
    while more := {name: base for name, known in bases.items() for base in known if base in ours and name not in ours}:
        ours |= more
    return ours


def test_the_drawing_is_the_tree() -> None:
    assert drawn(str(errors.__doc__)) == of_the_package()


def test_the_drawing_is_read() -> None:
    drawing = (
        "Errors.\n\n    A\n    ├── B    one\n    │   └── C  two\n    └── D    three\n        └── E  four\n\nThe end.\n"
    )
    assert drawn(drawing) == {"A": "Exception", "B": "A", "C": "B", "D": "A", "E": "D"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one"), "one"),
        (ValueError("  one \ntwo"), "one"),
        (ValueError("\n\none\ntwo"), "one"),
        (ValueError(""), "ValueError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize("kind", [errors.CheckpointError, errors.InputError])
def test_names_with_controls_keep_a_message_on_one_line(kind: type[errors.UgatitFastError]) -> None:
    assert str(kind("a\nb\x1b[31m\u2028 é 写")) == "a\\nb\\x1b[31m\\u2028 é 写"
