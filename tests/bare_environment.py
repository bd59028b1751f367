"""A program: commands and names in an environment where only some libraries can be imported. JSON in, JSON out.

As if nothing but the core and some extras were installed: whatever else of an extra is found is hidden.
"""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ugatit_fast.backends.extras import EXTRAS, LIBRARIES


class Hidden(MetaPathFinder):
    """Finds nothing where something would be found."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def outcome(arguments: list[str]) -> dict[str, Any]:
    """Exit code and output of a command."""
    from ugatit_fast.cli import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: object = main(arguments)
        except Exception as error:  # noqa: BLE001 - what would be a traceback
            code = f"{type(error).__name__}: {error}"
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def said(name: str) -> str:
    """What getting a public name raises."""
    import ugatit_fast

    try:
        getattr(ugatit_fast, name)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return ""


def can_build() -> list[str]:
    from ugatit_fast.commands.train import can_build_engines

    return can_build_engines()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    there = {library for extra in asked["extras"] for library in EXTRAS[extra]}
    sys.meta_path.insert(0, Hidden(LIBRARIES - there))
    answer = {
        "commands": [outcome(arguments) for arguments in asked["commands"]],
        "names": {name: said(name) for name in asked["names"]},
        "lacking_to_build": can_build(),
    }
    print(json.dumps(answer))
