"""`bench`'s pages on terminals of any width, and `bench compare`."""

import io
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.benchmarks.examples import NETWORK, RESULTS, timed
from ugatit_fast.bench.results import Results
from ugatit_fast.bench.tables import markdown
from ugatit_fast.cli import main
from ugatit_fast.commands import tables
from ugatit_fast.commands.tables import show_on


def shown(page: str, width: int, where: str = "page.md") -> str:
    out = io.StringIO()
    show_on(Console(file=out, force_terminal=True, color_system=None, width=width), page, where)
    return out.getvalue()


@pytest.mark.parametrize("width", [32, 40, 60, 80, 100, 120, 250])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(markdown(RESULTS), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "441" in text
    assert "one photo" in " ".join(text.split())
    assert ("left out, for want of width" in text) == (width < 250)


def test_what_is_wanted_most_stays() -> None:
    text = " ".join(shown(markdown(RESULTS), 80).split())
    assert "x best rival" in text
    assert "1.25" in text
    assert "page.md has all" in text
    assert "file MB" in text.partition("left out")[2]
    assert "GPU MB" not in text  # nothing is in that column


def test_elsewhere_it_is_markdown_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(markdown(RESULTS))
    assert capsys.readouterr().out == markdown(RESULTS) + "\n"


def write(path: Path, results: Results) -> Path:
    path.write_text(dumps(asdict(results)))
    return path


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (
            replace(RESULTS, rows=(timed("x", (1.0,), network=replace(NETWORK, batch=8)),)),
            "rows of light, ch 64, 256x256, batch 8, A2B and kernels, which aren't compared",
        ),
        (replace(RESULTS, rows=()), "has no rows and kernels"),
        (replace(RESULTS, rows=(), kernels=()), "has no rows"),
    ],
)
def test_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str], after: Results, says: str) -> None:
    files = write(tmp_path / "before.json", RESULTS), write(tmp_path / "after.json", after)
    assert main(["bench", "compare", *map(str, files)]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: nothing was comparable: {files[0]} has ")
    assert f"{files[1]} has {says.removeprefix('has ')}" in line
    assert "| contender" in out


def test_a_file_against_itself_is_comparable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write(tmp_path / "results.json", RESULTS))
    assert main(["bench", "compare", file, file]) == 0
    assert "nothing was comparable" not in capsys.readouterr().err
