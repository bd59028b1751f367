import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.examples import RESULTS
from ugatit_fast.bench.results import read_results, write_results
from ugatit_fast.errors import InputError

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"
COMMITTED = sorted([*FOLDER.glob("*.json"), *FOLDER.glob("cpu-runtimes/*.json")])


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(RESULTS, path)
    assert read_results(path) == RESULTS


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.relative_to(FOLDER)))
def test_committed_results_have_the_schema(path: Path) -> None:
    results = read_results(path)
    assert results.rows or results.kernels
    assert results.machine.commit is not None


def change(document: dict[str, Any], what: Callable[[dict[str, Any]], object]) -> str:
    what(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        (lambda d: d["rows"][0].update(extra=1), r"results.rows\[0\] has not exactly the keys of Row: extra"),
        (lambda d: d["machine"].pop("cores"), "results.machine has not exactly the keys of Machine: cores"),
        (lambda d: d["machine"].update(cores="two"), "results.machine.cores must be int, got 'two'"),
        (lambda d: d["machine"].update(cores=True), "results.machine.cores must be int, got True"),
        (lambda d: d["rows"][0].update(status="fine"), r"results.rows\[0\].status must be one of ok"),
        (lambda d: d["rows"][0].update(rounds_ms=[1, "2"]), r"rounds_ms\[1\] must be float, got '2'"),
        (lambda d: d["rows"][0].update(network=None), r"results.rows\[0\].network must be an object"),
        (lambda d: d.update(rows={}), "results.rows must be"),
        (lambda d: d.update(schema=1), "has results schema 1; this version reads 2"),
    ],
)
def test_anything_else_is_refused_by_name(
    tmp_path: Path, what: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    path = tmp_path / "results.json"
    write_results(RESULTS, path)
    path.write_text(change(json.loads(path.read_text()), what))
    with pytest.raises(InputError, match=complaint):
        read_results(path)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"schema": 2}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"results\.json"):
        read_results(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the results .*none\.json"):
        read_results(tmp_path / "none.json")
