from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import FULL, LIGHT
from ugatit_fast.bench import scaling
from ugatit_fast.bench.contenders import CPU, CUDA, PLAIN_ORT
from ugatit_fast.bench.environment import has_nvidia_gpu
from ugatit_fast.bench.pictures import POOL, batches, pool
from ugatit_fast.bench.results import CONVOLUTION, COPY, PRODUCT, QUICK, read_results
from ugatit_fast.bench.suite import Plan, cases_of, run_suite, weights_of
from ugatit_fast.errors import InputError

BRIEF = replace(QUICK, turn_seconds=0.05, photos=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_quick_run_on_a_tiny_network(tmp_path: Path) -> None:
    """`bench --quick` end to end: our engine, eager and the plain export, in their own processes."""
    plan = Plan(configs=(LIGHT,), sizes=((32, 32),), quick=True, device="cpu")
    results, path = run_suite(plan, tmp_path / "tiny.json", settings=BRIEF)

    assert read_results(path) == results
    rows = {row.contender: row for row in results.rows}
    assert set(rows) == {"ugatit-fast, onnxruntime", PLAIN_ORT, "eager"}
    for row in rows.values():
        assert row.status == "ok", row
        assert len(row.rounds_ms) == BRIEF.rounds
        assert row.psnr_db is not None
        assert row.psnr_db > 60
        assert row.share_of_limit is not None
        assert row.times_best_rival is not None
    ours = rows["ugatit-fast, onnxruntime"]
    assert ours.build_seconds is not None
    assert ours.file_bytes is not None
    assert max(row.times_best_rival or 0 for row in rows.values() if row.kind == "rival") == 1

    limits = {limit.name: limit for limit in results.limits}
    assert set(limits) == {COPY, PRODUCT["fp32"], CONVOLUTION}
    assert limits[COPY].bytes_per_second is not None
    assert 1e8 < limits[COPY].bytes_per_second < 1e12
    (roofline,) = results.rooflines
    assert 0 < roofline.limit_ms < 1e3

    assert {one.contender for one in results.pipelines} >= {"ugatit-fast, onnxruntime", PLAIN_ORT}
    for pipeline in results.pipelines:
        assert pipeline.status == "ok", pipeline
        assert pipeline.stages_ms is not None
        assert set(pipeline.stages_ms) == {"decode", "resize", "engine", "encode"}
        assert pipeline.folder_engine_share is not None
        assert 0 < pipeline.folder_engine_share <= 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_scaling_along_every_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "BATCHES", (1, 3))
    monkeypatch.setattr(scaling, "SIDES", (32, 48))
    monkeypatch.setattr(scaling, "CHANNELS", (8, 12))
    plan = Plan(configs=(LIGHT,), sizes=((32, 32),), device="cpu", names=("ugatit-fast",), scaling=True)
    results, _ = run_suite(plan, tmp_path / "scaling.json", settings=replace(BRIEF, photos=0, rounds=1, callers=1))

    curves = {curve.axis: curve for curve in results.curves}
    assert {axis: curve.values[:2] for axis, curve in curves.items() if axis != "threads"} == {
        "batch": (1, 3),
        "side": (32, 48),
        "channels": (8, 12),
    }
    assert curves["threads"].values[0] == 1
    for curve in curves.values():
        assert all(ms > 0 for ms in curve.median_ms)
        assert curve.fixed_ms >= 0


def test_gpu_contenders_are_rows_without_a_gpu(tmp_path: Path) -> None:
    if has_nvidia_gpu():
        pytest.skip("there is a GPU here")
    plan = Plan(configs=(LIGHT,), sizes=((16, 16),), device="cuda")
    results, _ = run_suite(plan, tmp_path / "none.json", settings=BRIEF)
    assert [row.contender for row in results.rows] == [one.name for one in CUDA]
    assert {(row.status, row.reason) for row in results.rows} == {
        ("missing", "no NVIDIA GPU on this machine, or no driver for it")
    }


def test_what_cannot_be_measured_overwrites_nothing(full_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    output.write_text("precious")
    with pytest.raises(InputError):
        run_suite(Plan(files=(full_checkpoint,), sizes=((64, 64),), device="cpu"), output)
    assert output.read_text() == "precious"


def test_an_engine_needs_its_checkpoint(light_engine: Path, light_checkpoint: Path, full_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="can't be checked without the checkpoint"):
        weights_of(Plan(files=(light_engine, full_checkpoint)), light_engine.parent)
    (weights,) = weights_of(Plan(files=(light_engine, light_checkpoint)), light_engine.parent)
    assert weights.checkpoint == light_checkpoint
    assert [path for path, _ in weights.engines] == [light_engine]


def test_cases_are_every_direction_size_and_batch(light_checkpoint: Path, tmp_path: Path) -> None:
    plan = Plan(files=(light_checkpoint,), directions=("A2B", "B2A"), sizes=((32, 32), (64, 48)), batches=(1, 8))
    (weights,) = weights_of(plan, tmp_path)
    cases = list(cases_of(plan, weights, tmp_path))
    labels = [case.network.label for case in cases]
    assert {(case.network.direction, case.folder) for case in cases} == {
        ("A2B", tmp_path / "A2B"),  # else a file built for one direction would be taken for the other
        ("B2A", tmp_path / "B2A"),
    }
    assert len(set(labels)) == len(labels) == 8
    assert "light, ch 8, 64x48, batch 8, B2A" in labels


def test_a_full_generator_is_measured_at_its_size(full_checkpoint: Path, tmp_path: Path) -> None:
    plan = Plan(files=(full_checkpoint,), sizes=((64, 64),))
    (weights,) = weights_of(plan, tmp_path)
    with pytest.raises(InputError, match=f"serves {FULL.img_size}x{FULL.img_size} only; leave out 64x64"):
        list(cases_of(plan, weights, tmp_path))


def test_contenders_are_chosen_by_name() -> None:
    assert [one.name for one in Plan(names=("eager",)).contenders(CPU)] == ["eager", "eager, channels-last"]
    assert all(one.quick for one in Plan(quick=True).contenders(CPU))
    with pytest.raises(InputError, match="no contender is called 'nobody'; known: ugatit-fast, onnxruntime, "):
        Plan(names=("nobody",)).contenders(CPU)


def test_batches_rotate_through_the_pool() -> None:
    pictures, made = pool(8, 12), batches(4, 8, 12)
    assert len(made) == POOL
    for k, batch in enumerate(made):
        assert batch.shape == (4, 8, 12, 3)
        for i, picture in enumerate(batch):
            assert (picture == pictures[(k + i) % POOL]).all()
    assert (pool(8, 12)[0] == pictures[0]).all()
