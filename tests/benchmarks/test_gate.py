from dataclasses import replace

from tests.benchmarks.examples import RESULTS, ROWS
from ugatit_fast.bench.gate import failures
from ugatit_fast.bench.results import Results, Status

OURS, RIVAL, MISSING_RIVAL = ROWS


def with_ours(status: Status, reason: str | None = None) -> Results:
    row = replace(OURS, status=status, reason=reason, latency=None, psnr_db=None)
    return replace(RESULTS, rows=(row, RIVAL, MISSING_RIVAL))


def test_rivals_may_fail() -> None:
    assert failures(RESULTS) == []


def test_ours_may_not() -> None:
    (line,) = failures(with_ours("wrong pictures", "PSNR 20 dB"))
    assert line.startswith("ugatit-fast, onnxruntime (light, ch 64, 256x256, batch 1, A2B): wrong pictures: PSNR 20 dB")


def test_an_engine_that_is_not_for_this_machine_is_no_failure_beside_one_that_is() -> None:
    absent = replace(OURS, contender="ugatit-fast, tensorrt", status="missing", latency=None)
    none_such = replace(absent, contender="ugatit-fast, onnxruntime, int8", status="skipped")
    assert failures(replace(RESULTS, rows=(absent, none_such, OURS))) == []
    (line,) = failures(with_ours("missing", "no GPU"))
    assert "no engine of ours could run" in line


def test_the_floor_is_for_ours_only() -> None:
    assert failures(RESULTS, floor_psnr=70) == []
    (line,) = failures(RESULTS, floor_psnr=80)
    assert "PSNR 72.0 dB, expected at least 80" in line
    assert failures(replace(RESULTS, rows=(replace(RIVAL, psnr_db=10.0), OURS)), floor_psnr=70) == []
