from dataclasses import replace

import pytest

from tests.benchmarks.examples import RESULTS, ROWS, timed
from ugatit_fast.bench.compare import Change, caveats, compare, report
from ugatit_fast.bench.results import Results, Row


def results(*rows: Row) -> Results:
    return replace(RESULTS, rows=rows)


def only(changes: list[Change]) -> Change:
    (change,) = changes
    return change


@pytest.mark.parametrize(
    ("after_ms", "verdict"),
    [(100.0, "same"), (102.0, "same"), (104.0, "slower"), (107.0, "regression"), (80.0, "faster")],
)
def test_verdicts_of_steady_rows(after_ms: float, verdict: str) -> None:
    """Two steady rows have a band of sqrt(2) * 2 %."""
    change = only(compare(results(timed("x", (100.0,) * 9)), results(timed("x", (after_ms,) * 9)), threshold=0.05))
    assert change.verdict == verdict
    assert change.is_regression == (verdict == "regression")
    assert change.change == pytest.approx(after_ms / 100 - 1)


def test_noise_excuses_what_it_explains() -> None:
    noisy = (100.0, 140.0, 70.0, 125.0, 90.0)
    change = only(compare(results(timed("x", noisy)), results(timed("x", tuple(1.1 * ms for ms in noisy)))))
    assert change.verdict == "same"
    assert change.band is not None
    assert change.band > 0.1


def test_threshold_is_the_users() -> None:
    before, after = results(timed("x", (100.0,) * 9)), results(timed("x", (120.0,) * 9))
    assert only(compare(before, after, threshold=0.3)).verdict == "slower"


def test_a_row_that_lost_its_figures_is_a_regression() -> None:
    broken = Row("x", "ours", "cpu", "fp32", ROWS[0].network, "failed", "boom")
    assert only(compare(results(timed("x", (1.0,))), results(broken))).is_regression
    assert only(compare(results(broken), results(timed("x", (1.0,))))).verdict == "new"


def test_rows_are_matched_by_network_too() -> None:
    other = replace(timed("x", (1.0,)), network=replace(ROWS[0].network, batch=8))
    changes = compare(results(timed("x", (1.0,))), results(other))
    assert [change.verdict for change in changes] == ["gone", "new"]
    assert not any(change.is_regression for change in changes)


def test_nothing_changes_between_a_file_and_itself() -> None:
    changes = compare(RESULTS, RESULTS)
    assert [change.verdict for change in changes] == ["same", "same", "new"]  # OpenVINO has no figures in either
    assert caveats(RESULTS, RESULTS) == []
    assert report(changes).count("\n") == 1 + len(changes)


def test_other_versions_are_named() -> None:
    other = replace(RESULTS, machine=replace(RESULTS.machine, versions={"torch": "2.14"}, name="y"))
    assert caveats(RESULTS, other) == ["machine: 2 cores of X -> y", "torch: 2.13 -> 2.14"]
