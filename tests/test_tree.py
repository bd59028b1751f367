"""README's tree has a phrase for every room that there is, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_packaging import FOLDERS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE_HERE = {"build", "dist", "demo"}
"""Top folders that commands write; git ignores them."""
TOP = re.compile(r"```text\n(?=ugatit_fast/)(.*?)```", re.DOTALL)


def told(readme: str) -> dict[str, str]:
    """Path -> phrase, from the drawing: names, two spaces or a new line, and what they are."""
    (drawing,) = TOP.findall(readme)
    lines = re.sub(r"\n {16,}", "  ", drawing).splitlines()
    found: dict[str, str] = {}
    above = ""
    for line in lines:
        names, phrase = re.fullmatch(r"\s*(\S+(?: \S+)*) {2,}(\S.*)", line).groups()  # type: ignore[union-attr]
        if not line.startswith(" "):
            above = ""
        for name in names.split():
            assert above + name not in found, f"{name} is told twice"
            found[above + name] = phrase
        if not line.startswith(" "):
            above = names
    return found


def rooms() -> Iterator[str]:
    """Top folders; the package's folders and modules; and folders of Python in the others. Tests mirror them."""
    for top in sorted(ROOT.iterdir()):
        if not top.is_dir() or top.name in MADE_HERE or top.name.startswith((".", "__")) or top.suffix == ".egg-info":
            continue
        yield f"{top.name}/"
        for path in sorted(top.iterdir()):
            if path.is_symlink() or path.name.startswith("__") or top.name in ("tests", "typings"):
                continue
            if path.is_dir() and any(path.glob("*.py")):
                yield f"{top.name}/{path.name}/"
            elif top.name == "ugatit_fast" and path.suffix == ".py":
                yield f"{top.name}/{path.name}"


def test_the_tree_is_the_folders() -> None:
    assert sorted(told(README)) == sorted(rooms())


def test_a_room_that_moves_is_noticed() -> None:
    assert "ugatit_fast/media/" not in told(README.replace("    media/ ", "    pixels/"))


def test_a_room_told_twice_is_noticed() -> None:
    with pytest.raises(AssertionError, match="twice"):
        told(README.replace("    media/ ", "    serve/ "))


def test_the_names_that_folders_install_under_are_said() -> None:
    (sentence,) = re.findall(r"^.* install as .*$", README, re.MULTILINE)
    for name, folder in FOLDERS.items():
        assert f"{folder}/" in sentence
        assert re.search(rf"[.]{name}`", sentence)
