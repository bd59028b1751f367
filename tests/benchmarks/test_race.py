import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import fakes
from ugatit_fast.architectures.unet import UnetConfig
from ugatit_fast.bench.contenders import Case, Contender, ours
from ugatit_fast.bench.race import against_best_rival, no_such_engine, race
from ugatit_fast.bench.results import Network, Row, Settings, read_results
from ugatit_fast.choices import BuiltKind
from ugatit_fast.model import GeneratorConfig

NETWORK = Network(ch=8, n_res=2, light=True, direction="A2B", height=16, width=16, batch=2, threads=1, weights="random")
SETTINGS = Settings(rounds=3, turn_seconds=0.02, throughput_rounds=1, callers=2, limit_seconds=8.0, photos=0)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    expected = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / fakes.EXPECTED, expected)
    return Case(tmp_path / "none.pt", NETWORK, tmp_path)


def reference(case: Case) -> np.ndarray:
    return np.load(case.folder / fakes.EXPECTED).astype(np.float32) / 127.5 - 1


def rows_after(case: Case, contenders: list[Contender], settings: Settings = SETTINGS) -> dict[str, Row]:
    rows = race(contenders, case, reference(case), settings, lambda line: None, lambda rows: None)
    return {row.contender: row for row in rows}


@pytest.mark.slow
def test_whatever_a_rival_does_is_a_row_and_the_others_go_on(case: Case) -> None:
    expected = {
        "raises_when_loaded": ("failed", "ValueError: no such layer"),
        "unavailable": ("missing", "no driver"),
        "hangs_when_loaded": ("timed out", "load took longer than 8 s"),
        "hangs_later": ("timed out", "took longer than 8 s"),
        "dies": ("crashed", "died of exit code 3 during turn: bad things happened"),
        "killed": ("out of memory", "killed during turn"),
        "out_of_memory": ("out of memory", "Tried to allocate 20.00 GiB"),
        "wrong_pictures": ("wrong pictures", "PSNR"),
        "wrong_shape": ("wrong pictures", "expected uint8 (2, 16, 16, 3), got uint8 (2, 15, 16, 3)"),
        "right": ("ok", ""),
    }
    rows = rows_after(case, [fakes.fake(name) for name in expected])

    for name, (status, reason) in expected.items():
        assert rows[name].status == status, rows[name]
        assert reason in (rows[name].reason or ""), rows[name]
        assert (rows[name].latency is not None) == (status == "ok")
    assert rows["unavailable"].install == "pip install unavailable"
    assert rows["dies"].install is None


def test_a_finished_row_has_every_figure(case: Case) -> None:
    row = rows_after(case, [fakes.fake("right", "ours")])["right"]

    assert row.latency is not None
    assert 2 <= row.latency.median_ms < 100
    assert row.latency.p5_ms <= row.latency.median_ms <= row.latency.p95_ms
    assert len(row.rounds_ms) == SETTINGS.rounds
    assert row.images_per_second == pytest.approx(2e3 / row.latency.median_ms)
    assert row.throughput is not None
    assert row.throughput.callers == 2
    assert row.throughput.images_per_second > 0
    assert row.psnr_db == 100.0
    assert row.max_abs is not None
    assert row.max_abs < 1e-6
    assert row.host_peak_bytes is None or row.host_peak_bytes > 10e6
    assert row.device_bytes is None
    assert row.load_seconds is not None


def test_a_missing_library_costs_no_process(case: Case) -> None:
    started = time.perf_counter()
    row = rows_after(case, [fakes.fake("right", needs=("no_such_library",))])["right"]
    assert (row.status, row.reason) == ("missing", "no_such_library not installed")
    assert row.install == "pip install right"
    assert time.perf_counter() - started < 0.5


def test_rivals_are_skipped_when_the_time_to_open_is_over_and_ours_are_not(case: Case) -> None:
    contenders = [replace(fakes.fake("right"), name="late"), replace(fakes.fake("right", "ours"), name="ours")]
    rows = race(contenders, case, reference(case), SETTINGS, lambda line: None, lambda rows: None, deadline=0.0)
    assert {row.contender: row.status for row in rows} == {"late": "skipped", "ours": "ok"}


def test_ours_in_eight_bits_is_skipped_where_the_generator_has_no_such_form(case: Case) -> None:
    filtered = replace(case, network=replace(NETWORK, architecture="whitebox", settings='{"channel": 8}'))
    in_bytes = replace(fakes.fake("right", "ours"), precision="int8")
    (row,) = rows_after(filtered, [in_bytes]).values()
    assert (row.status, row.reason) == ("skipped", "a generator of whitebox has no such form in eight bits")


@pytest.mark.parametrize(("kind", "refused"), [("onnxruntime", True), ("openvino", False)])
def test_eight_bits_of_rows_are_for_generators_written_as_rows(kind: BuiltKind, refused: bool) -> None:
    assert no_such_engine(ours(kind, "int8"), UnetConfig()) is refused
    assert not no_such_engine(ours(kind, "int8"), GeneratorConfig())


def test_contenders_are_timed_in_interleaved_rounds(case: Case) -> None:
    seen: list[list[int]] = []

    def look(rows: list[Row]) -> None:
        seen.append([len(row.rounds_ms) for row in rows])

    two = [replace(fakes.fake("right"), name=name) for name in ("a", "b")]
    race(two, case, reference(case), SETTINGS, lambda line: None, look)
    assert [counts for counts in seen if 0 not in counts][:3] == [[1, 1], [2, 2], [3, 3]]


def test_ratio_is_to_the_fastest_rival_within_rounds() -> None:
    def row(name: str, kind: str, rounds: tuple[float, ...]) -> Row:
        from ugatit_fast.bench.clock import spread

        return Row(name, kind, "cpu", "fp32", NETWORK, "ok", latency=spread(rounds), rounds_ms=rounds)  # type: ignore[arg-type]

    slow = row("slow", "rival", (40.0, 40.0, 400.0))
    fast = row("fast", "rival", (20.0, 20.0, 200.0))  # the third round was disturbed, for all
    ours = row("ours", "ours", (10.0, 10.0, 100.0))
    ratios = {one.contender: one.times_best_rival for one in against_best_rival([slow, ours, fast])}
    assert ratios == {"slow": 0.5, "fast": 1.0, "ours": 2.0}


SCRIPT = """
import sys
from pathlib import Path
if __name__ == "__main__":
    import numpy as np
    from dataclasses import replace
    from tests.benchmarks import fakes
    from tests.benchmarks.test_race import NETWORK, SETTINGS, reference
    from ugatit_fast.bench.contenders import Case
    from ugatit_fast.bench.suite import Run, measure_case
    folder = Path(sys.argv[1])
    case = Case(folder / "none.pt", NETWORK, folder)
    import ugatit_fast.bench.suite as suite
    suite.reference_of = reference
    settings = replace(SETTINGS, rounds=100000)
    contenders = [fakes.fake("says_its_number"), fakes.fake("wrong_pictures")]
    measure_case(Run(folder / "results.json", settings), case, contenders, settings, lambda line: None)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
def test_killed_half_way_leaves_readable_rows_and_no_process(case: Case, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    run = subprocess.Popen([sys.executable, script, tmp_path], env={**os.environ, "PYTHONPATH": str(root)})
    output = tmp_path / "results.json"
    try:
        wait_until(lambda: output.exists() and any(row.rounds_ms for row in read_results(output).rows), 60)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()

    rows = {row.contender: row.status for row in read_results(output).rows}
    assert rows == {"says_its_number": "ok", "wrong_pictures": "wrong pictures"}
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())), 10)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text()


def wait_until(condition, seconds: float) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.1)
