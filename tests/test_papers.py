"""The papers around the code say what is so."""

import re
import tomllib
from pathlib import Path

import yaml

from ugatit_fast import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.]+)( ; (?P<marker>.+))?")


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation), "what the format demands"
    assert (citation["title"], citation["version"]) == (PROJECT["name"], __version__)
    assert citation["license"] == PROJECT["license"]
    paper = citation["preferred-citation"]
    assert "1907.10830" in paper["url"]
    assert [author["family-names"] for author in paper["authors"]] == ["Kim", "Kim", "Kang", "Lee"]


def test_issue_templates_are_forms() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    if not folder.exists():  # the source distribution leaves them out
        return
    forms = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in folder.glob("*.yml") if file.stem != "config"]
    assert len(forms) == 3
    for form in forms:
        assert {"name", "description", "body"} <= set(form)
        assert all({"type", "id", "attributes"} <= set(part) for part in form["body"])


def test_a_constraint_that_differs_between_systems_says_for_which() -> None:
    """pip refuses two pins of one name for one system."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(pins)
    by_name: dict[str, list[str | None]] = {}
    for pin in pins:
        assert pin is not None
        by_name.setdefault(pin["name"], []).append(pin["marker"])
    twice = {name: markers for name, markers in by_name.items() if len(markers) > 1}
    assert set(twice) == {"onnxruntime"}
    assert None not in twice["onnxruntime"]
    assert any("darwin" in str(marker) and "x86_64" in str(marker) for marker in twice["onnxruntime"])
