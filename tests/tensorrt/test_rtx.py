"""Engines for TensorRT for RTX: built by the real builder, without a GPU; run by a stand-in for its runtime."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.conftest import random_pictures
from tests.tensorrt import under_rtx
from tests.tensorrt.bindings import ROOT
from tests.tensorrt.real import Real
from ugatit_fast import Translator, cli
from ugatit_fast.choices import Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.media.images import save_image

KNOWN = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121")
Command = Callable[..., tuple[int, str, str]]
SOURCES = [ROOT / "ugatit_fast/backends" / name for name in ("trt.py", "trt_rtx.py")]
SOURCES += [ROOT / "export" / name for name in ("plans.py", "rtx_engine.py")]


@pytest.fixture
def command(real_rtx: Real) -> Command:
    return lambda *arguments, **machine: real_rtx.call(under_rtx.command, *arguments, **machine)


@pytest.fixture(scope="module")
def engine(real_rtx: Real, light_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all architectures, with heat maps and bare plans, as fast to build as it gets."""
    path = tmp_path_factory.mktemp("rtx") / "faces.rtx"
    options = ("--backend", "tensorrt-rtx", "--size", "32", "--batch", "1,4", "--heatmap", "--keep-plan")
    code, _, err = real_rtx.call(under_rtx.command, "build-engine", light_checkpoint, "-o", path, *options)
    assert code == 0, err
    return path


def plans_of(engine: Path) -> dict[str, bytes]:
    with safe_open(engine, "np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 - not a mapping


def options(*more: str) -> tuple[str, ...]:
    return ("--backend", "tensorrt-rtx", "--size", "32", *more)


# Building ---------------------------------------------------------------------------------------------------------


def test_built_for_every_card_without_any(engine: Path) -> None:
    spec = read_spec(engine)
    assert spec.tensorrt_rtx is not None
    assert spec.tensorrt_rtx.gpu_architectures == KNOWN
    assert (spec.any_size, spec.batch_sizes, spec.tensorrt_rtx.tensorrt_rtx_version) == (True, (1, 4), "1.7.1.116")
    plans = plans_of(engine)
    assert set(plans) == {"plan.turing", "plan.ampere"}
    assert all(plan.startswith(b"vtrt") and len(plan) > 100_000 for plan in plans.values())
    for name, plan in plans.items():
        assert engine.with_name(f"faces.{name.removeprefix('plan.')}.plan").read_bytes() == plan
    assert {file.suffix for file in engine.parent.iterdir()} == {".rtx", ".plan"}


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("network", ["light", "full"])
def test_checked_by_its_graph_where_it_cannot_run(
    command: Command, request: pytest.FixtureRequest, tmp_path: Path, network: str, precision: Precision
) -> None:
    checkpoint, path = request.getfixturevalue(f"{network}_checkpoint"), tmp_path / "x.rtx"
    code, out, err = command("build-engine", checkpoint, "-o", path, *options("--precision", precision))
    assert (code, "against the float32 reference" in out) == (0, True), err
    assert "needs an NVIDIA GPU with its driver): checking the graphs that it was built from in ONNX Runtime" in err
    assert "run `ugatit-fast verify` where it can" in err
    assert read_spec(path).any_size == (network == "light")


def test_a_graph_that_strays_is_not_written(real_rtx: Real, light_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("build-engine", light_checkpoint, "-o", tmp_path / "x.rtx", *options("--gpu", "sm_75"))
    code, _, err = real_rtx.call(under_rtx.command_with_wrong_sums, *arguments)
    assert (code, "strays too far from the reference generator" in err) == (1, True)
    assert not (tmp_path / "x.rtx").exists()


@pytest.mark.parametrize(("asked", "plans"), [("sm_86,sm_89,sm_120", {"plan.ampere"}), ("sm_75", {"plan.turing"})])
def test_the_architectures_that_are_asked_for(
    command: Command, light_checkpoint: Path, tmp_path: Path, asked: str, plans: set[str]
) -> None:
    path = tmp_path / "x.rtx"
    assert command("build-engine", light_checkpoint, "-o", path, *options("--gpu", asked))[0] == 0
    spec = read_spec(path)
    assert spec.tensorrt_rtx is not None
    assert spec.tensorrt_rtx.gpu_architectures == tuple(asked.split(","))
    assert set(plans_of(path)) == plans


@pytest.mark.parametrize("asked", ["sm_68", "sm_86,sm_90", "ampere"])
def test_an_architecture_that_nobody_knows(
    command: Command, light_checkpoint: Path, tmp_path: Path, asked: str
) -> None:
    code, _, err = command("build-engine", light_checkpoint, "-o", tmp_path / "x.rtx", *options("--gpu", asked))
    wrong = asked.split(",")[-1]
    assert (code, f"TensorRT for RTX 1.7.1.116 builds for {', '.join(KNOWN)}, not for {wrong}" in err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_turing_has_no_float32_matrix_products(real_rtx: Real, light_checkpoint: Path) -> None:
    """Why its graph is another one; when this fails, export/turing.py can go."""
    said = real_rtx.call(under_rtx.error_with_matrix_products, light_checkpoint, "sm_75")
    assert re.search(r"could not build the plan for sm_75: .*FP32 GEMM is not supported", said), said


def test_options_of_others(command: Command, light_checkpoint: Path) -> None:
    code, _, err = command("build-engine", light_checkpoint, *options("--kernels", "native"))
    assert (code, "kernels are for tensorrt engines, not for tensorrt-rtx" in err) == (1, True)
    code, _, err = command("build-engine", light_checkpoint, "--backend", "onnxruntime", "--gpu", "sm_86")
    assert (code, "gpu are for tensorrt-rtx engines, not for onnxruntime" in err) == (1, True)


def test_without_the_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_checkpoint: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert cli.main(["build-engine", str(light_checkpoint), "--backend", "tensorrt-rtx"]) == 1
    assert "it needs tensorrt_rtx; " in (said := capsys.readouterr().err)
    assert re.search(r'pip install ".+\[tensorrt-rtx\]"', said)


# Saying what it is ------------------------------------------------------------------------------------------------


def test_inspect_and_doctor(command: Command, engine: Path) -> None:
    code, out, _ = command("inspect", engine)
    assert (code, "sm_121" in out, "1.7.1.116" in out, "2048" in out) == (0, True, True, True)
    _, out, _ = command("doctor")
    assert re.search(r"tensorrt-rtx engine +can be built; can't be run: needs an NVIDIA GPU with its driver", out)


def test_a_machine_without_a_driver(command: Command, engine: Path, tmp_path: Path) -> None:
    for file in (engine, *engine.parent.glob("*.plan")):
        code, _, err = command("translate", file, __file__, "-o", tmp_path, "--trust-plan")
        assert code == 1
        assert "needs an NVIDIA GPU with its driver (building such engines works here)" in err
        assert len(err.splitlines()) == 1


# Running ----------------------------------------------------------------------------------------------------------


def test_any_batch_and_any_size(real_rtx: Real, engine: Path, light_engine: Path) -> None:
    batches = [
        random_pictures(n, h, w) for n, h, w in ((0, 32, 32), (1, 32, 32), (7, 32, 32), (19, 32, 32), (3, 40, 24))
    ]
    ran = real_rtx.call(under_rtx.run, engine, batches, heatmap=True)
    with Translator(light_engine, heatmap=True) as reference:
        for batch, (images, heatmaps) in zip(batches, ran.results, strict=True):
            expected, expected_heatmaps = reference.run(batch)
            assert np.abs(images.astype(int) - expected).max(initial=0) <= 8  # float16, noise
            np.testing.assert_allclose(heatmaps, expected_heatmaps, rtol=0.05, atol=0.05)
    assert ran.device == "NVIDIA GeForce RTX 4090 with TensorRT for RTX 1.7.1.116"
    assert {shape[0] for shape in ran.compiled} == {1, 4}  # 7 = 4 + 1 + 1 + 1


def test_more_shapes_than_are_kept(real_rtx: Real, engine: Path, tmp_path: Path) -> None:
    sides, mine = [*range(16, 60, 4), 16], tmp_path / "mine.rtx"
    mine.write_bytes(engine.read_bytes())
    ran = real_rtx.call(under_rtx.run, mine, [random_pictures(1, side, side) for side in sides])
    assert np.array_equal(ran.results[0], ran.results[-1])
    assert len(ran.compiled) == len({*sides, 32})  # what was forgotten is in the cache


def test_what_was_compiled_is_kept_beside_the_engine(real_rtx: Real, engine: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.rtx"
    mine.write_bytes(engine.read_bytes())
    pictures = [random_pictures(5, 32, 32)]
    first = real_rtx.call(under_rtx.run, mine, pictures)
    assert sorted(first.compiled) == [(1, 32, 32, 3), (4, 32, 32, 3)]
    assert {file.name for file in tmp_path.iterdir()} == {"mine.rtx", "mine.rtx.NVIDIA-GeForce-RTX-4090.cache"}
    assert real_rtx.call(under_rtx.run, mine, pictures).compiled == []

    cache = tmp_path / "mine.rtx.NVIDIA-GeForce-RTX-4090.cache"
    cache.write_bytes(b"from another driver")
    again = real_rtx.call(under_rtx.run, mine, pictures)
    assert (len(again.compiled), again.warnings) == (2, [])
    assert len(json.loads(cache.read_bytes())["entries"]) == 2

    cache.unlink()
    cache.mkdir()  # as a folder that can't be written
    told = real_rtx.call(under_rtx.run, mine, pictures).warnings
    assert any("what was compiled isn't kept" in line for line in told)


def test_memory_that_runs_out(real_rtx: Real, engine: Path) -> None:
    with pytest.raises(Exception, match=r"needs more memory than there is \(NVIDIA GeForce RTX 4090 has 2.0 GB free"):
        real_rtx.call(under_rtx.run, engine, [random_pictures(4, 32, 32)], contexts=1)


def test_verify(command: Command, engine: Path, light_checkpoint: Path) -> None:
    code, out, err = command("verify", engine, light_checkpoint, card="RTX 4090")
    assert (code, "passes the fp16 gate" in out) == (0, True), err


def test_built_where_it_runs(command: Command, full_checkpoint: Path, tmp_path: Path) -> None:
    arguments = (
        "build-engine",
        full_checkpoint,
        "-o",
        tmp_path / "x.rtx",
        "--backend",
        "tensorrt-rtx",
        "--gpu",
        "sm_89",
    )
    code, _, err = command(*arguments, card="RTX 4090")
    assert (code, "can't run here" in err) == (0, False), err


def test_built_beside_another_card(command: Command, full_checkpoint: Path, tmp_path: Path) -> None:
    arguments = (
        "build-engine",
        full_checkpoint,
        "-o",
        tmp_path / "x.rtx",
        "--backend",
        "tensorrt-rtx",
        "--gpu",
        "sm_120",
    )
    code, _, err = command(*arguments, card="RTX 4090")
    assert (code, "the engine can't run here (was built for sm_120 with" in err) == (0, True), err


def test_a_size_that_the_plan_does_not_hold(command: Command, engine: Path, tmp_path: Path) -> None:
    save_image(tmp_path / "p.png", random_pictures(1, 64, 64)[0])
    arguments = ("translate", engine, tmp_path / "p.png", "-o", tmp_path / "out", "--size")
    code, _, err = command(*arguments, "2052x64", card="RTX 4090")
    assert (code, "this engine's plan takes sides up to 2048 pixels" in err) == (1, True), err
    code, _, err = command(*arguments, "40x24", card="RTX 4090")
    assert code == 0, err


# Engines that don't fit -------------------------------------------------------------------------------------------


def test_a_card_that_it_was_not_built_for(command: Command, engine: Path, tmp_path: Path) -> None:
    code, _, err = command("translate", engine, __file__, "-o", tmp_path, card="H100")
    assert code == 1
    assert "was built for sm_75, sm_80, sm_86, sm_89, sm_120, sm_121 with TensorRT for RTX 1.7.1.116; " in err
    assert (
        "this machine is sm_90 with 1.7.1.116. TensorRT for RTX doesn't know sm_90; build a cuda or a tensorrt engine"
        in err
    )


def test_another_version(command: Command, engine: Path, tmp_path: Path) -> None:
    code, _, err = command("translate", engine, __file__, "-o", tmp_path, card="RTX 4090", __version__="1.8.0.1")
    assert code == 1
    assert "this machine is sm_89 with 1.8.0.1" in err
    rebuild = "ugatit-fast build-engine CHECKPOINT --backend tensorrt-rtx --precision fp16 --direction A2B --batch 1,4"
    assert f"{rebuild} --size 32x32 --heatmap" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("kept", [4, 100, 0.5, -1])
def test_a_truncated_engine(command: Command, engine: Path, tmp_path: Path, kept: float) -> None:
    content = engine.read_bytes()
    (tmp_path / "cut.rtx").write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    code, _, err = command("translate", tmp_path / "cut.rtx", __file__, "-o", tmp_path, card="RTX 4090")
    assert (code, len(err.splitlines()), "cut.rtx" in err) == (1, 1, True)


def test_a_truncated_plan(command: Command, engine: Path, tmp_path: Path) -> None:
    plans, spec = load_file(engine), read_spec(engine)
    save_file(
        {name: plan[:-1000].copy() for name, plan in plans.items()}, tmp_path / "x.rtx", {"ugatit_fast": spec.to_json()}
    )
    code, _, err = command("translate", tmp_path / "x.rtx", __file__, "-o", tmp_path, card="RTX 4090")
    assert (code, "TensorRT for RTX cannot load" in err, "damaged: build it again" in err) == (1, True, True)


def test_a_bare_plan_needs_trust(command: Command, engine: Path, light_checkpoint: Path, tmp_path: Path) -> None:
    plan = engine.with_name("faces.ampere.plan")
    save_image(tmp_path / "p.png", random_pictures(1, 32, 32)[0])
    arguments = ("translate", plan, tmp_path / "p.png", "-o", tmp_path / "out")
    code, _, err = command(*arguments, card="RTX 4090")
    assert (code, "--trust-plan" in err) == (1, True)
    code, out, err = command(*arguments, "--trust-plan", card="RTX 4090")
    assert (code, "1 translated" in out) == (0, True), err
    code, out, err = command("verify", plan, light_checkpoint, "--trust-plan", card="RTX 4090")
    assert (code, "passes the fp16 gate" in out) == (0, True), err
    (tmp_path / "cut.plan").write_bytes(plan.read_bytes()[:5000])
    arguments = ("translate", tmp_path / "cut.plan", tmp_path / "p.png", "-o", tmp_path / "out", "--trust-plan")
    code, _, err = command(*arguments, card="RTX 4090")
    assert (code, "no plan that TensorRT for RTX loads: IRuntime::deserializeCudaEngine" in err) == (1, True)


# The stand-in -----------------------------------------------------------------------------------------------------


def test_everything_that_we_use_exists_with_that_meaning(real_rtx: Real) -> None:
    code, report = real_rtx.call(under_rtx.contract, *SOURCES)
    assert code == 0, report
    for call in (
        *(
            "Builder.build_serialized_network",
            "IBuilderConfig.set_compute_capability",
            "IOptimizationProfile.set_shape",
        ),
        *("IRuntimeConfig.set_runtime_cache", "IRuntimeCache.deserialize", "IExecutionContext.set_device_memory"),
    ):
        assert call in report.split(), report
