"""The whole command line on a fake TensorRT (fake_tensorrt.py), whose results are real: ONNX Runtime computes them."""

import json
import sys
import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from tests.conftest import LIGHT, random_pictures
from tests.tensorrt.fake_gpu import CURRENT, FakeGpu
from ugatit_fast import Translator, cli
from ugatit_fast.assets import shipped_weights
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.engine import read_spec
from ugatit_fast.machine import pip_install
from ugatit_fast.media.images import load_image, save_image

pytestmark = pytest.mark.usefixtures("fake")


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def build(capsys: pytest.CaptureFixture[str], checkpoint: Path, engine: Path, *options: str) -> tuple[int, str, str]:
    fixed = ("--backend", "tensorrt", "--size", "32", "--batch", "1,2")
    given = fixed if "--batch" not in options else fixed[:4]
    kernels = () if "--kernels" in options else ("--kernels", "native")
    return run(capsys, "build-engine", checkpoint, "-o", engine, *given, *kernels, *options)


@pytest.fixture
def engine(capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path) -> Path:
    path = tmp_path / "faces.engine"
    assert build(capsys, light_checkpoint, path, "--heatmap")[0] == 0
    return path


def settings_of(engine: Path) -> dict[str, dict[str, object]]:
    """What the fake was asked for, by plan."""
    with safe_open(engine, "np") as file:
        plans = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 - not a mapping
    return {name: json.loads(plan[36:].split(b"\n", 1)[0]) for name, plan in plans.items()}


@pytest.mark.parametrize(("kernels", "precision"), [("native", "fp8"), ("triton", "int8")])
def test_eight_bits_are_judged_by_the_engine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kernels: str, precision: str
) -> None:
    engine = tmp_path / "faces.engine"
    code, out, err = build(capsys, shipped_weights("B2A"), engine, "--kernels", kernels, "--precision", precision)
    assert (code, "against the float32 reference" in out) == (0, True), err
    assert f"{precision}: 20 of 23 layers read one byte a value; float16: stem, attention, out" in err
    assert "ONNX Runtime" not in err
    assert read_spec(engine).precision == precision
    code, out, _ = run(capsys, "verify", engine, shipped_weights("B2A"))
    assert (code, f"passes the {precision} gate" in out) == (0, True)
    code, _, err = run(capsys, "verify", engine, shipped_weights("B2A"), "--layers")
    assert (code, f"can't look into a tensorrt engine in {precision}" in err) == (1, True)


def test_float8_is_refused_before_ada(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_checkpoint: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(FakeGpu, "capability", 86)
    code, _, err = build(capsys, light_checkpoint, tmp_path / "x.engine", "--precision", "fp8")
    assert (code, "fp8 is for GPUs from Ada (sm_89) on, not for sm_86; choose --precision int8 or fp16" in err) == (
        1,
        True,
    )
    assert not list(tmp_path.glob("*.engine"))


def test_narrow_layers_are_built_as_float16(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    checkpoint, engine = tmp_path / "narrow.pt", tmp_path / "x.engine"
    write_random_checkpoint(checkpoint, replace(LIGHT, ch=2), seed=1)
    code, _, err = build(capsys, checkpoint, engine, "--precision", "int8")
    assert (code, "take multiples of 16 channels, which no layer here has: built as float16" in err) == (0, True), err
    spec = read_spec(engine)
    assert (spec.precision, spec.eight_bits) == ("fp16", None)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("network", ["light", "full"])
@pytest.mark.parametrize("kernels", ["native", "triton"])
def test_from_checkpoint_to_pictures(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, tmp_path: Path, network: str, precision: str,
    kernels: str,
) -> None:  # fmt: skip
    checkpoint, engine = request.getfixturevalue(f"{network}_checkpoint"), tmp_path / "faces.engine"
    code, out, err = build(capsys, checkpoint, engine, "--kernels", kernels, "--precision", precision)
    assert (code, "max |d|" in out) == (0, True), err

    spec = read_spec(engine)
    assert (spec.tensorrt.gpu_architecture, spec.tensorrt.tensorrt_version) == ("sm_90", "11.4.0.106")
    assert (spec.batch_sizes, spec.tensorrt.kernels) == ((1, 2), (kernels, kernels))
    assert {name: found["plugins"] for name, found in settings_of(engine).items()} == dict.fromkeys(
        ("plan.1", "plan.2"), kernels == "triton"
    )

    photos = [tmp_path / "in" / f"{i}.png" for i in range(5)]
    for i, photo in enumerate(photos):
        save_image(photo, random_pictures(1, 40, 40, seed=i)[0])
    code, out, err = run(capsys, "translate", engine, tmp_path / "in", "-o", tmp_path / "out")
    assert (code, "5 translated" in out) == (0, True), err

    code, out, _ = run(capsys, "verify", engine, checkpoint)
    assert (code, f"passes the {precision} gate" in out) == (0, True)
    code, out, _ = run(capsys, "inspect", engine)
    assert (code, "sm_90" in out) == (0, True)


def test_any_number_of_pictures_and_heat_maps(engine: Path, light_engine: Path) -> None:
    pictures = random_pictures(7, 32, 32)
    with Translator(engine, heatmap=True) as ours, Translator(light_engine, heatmap=True) as reference:
        for n in (0, 1, 2, 3, 7):
            images, heatmaps = ours.run(pictures[:n])
            expected, expected_heatmaps = reference.run(pictures[:n])
            assert np.abs(images.astype(int) - expected).max(initial=0) <= 8  # float16, noise
            np.testing.assert_allclose(heatmaps, expected_heatmaps, rtol=0.05, atol=0.05)


def test_auto_times_both_and_keeps_the_faster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_checkpoint: Path, tmp_path: Path
) -> None:
    def milliseconds(plan: np.ndarray, _: object, size: int) -> float:
        return 2.0 if (b'"plugins": true' in plan.tobytes()) == (size == 1) else 3.0

    monkeypatch.setattr(import_module("ugatit_fast.export.tensorrt_engine"), "time_plan", milliseconds)
    code, _, err = build(capsys, light_checkpoint, tmp_path / "auto.engine", "--kernels", "auto")
    assert code == 0
    assert "batch 1: native kernels 3.00 ms, ours 2.00 ms; keeping triton" in err
    assert "batch 2: native kernels 2.00 ms, ours 3.00 ms; keeping native" in err
    facts = read_spec(tmp_path / "auto.engine").tensorrt
    assert facts is not None
    assert facts.kernels == ("triton", "native")


def test_times_are_taken(capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path) -> None:
    code, _, err = build(capsys, light_checkpoint, tmp_path / "auto.engine", "--kernels", "auto", "--batch", "1")
    assert (code, "; keeping " in err) == (0, True)


def test_kernels_of_ours_that_fail_are_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, light_checkpoint: Path, tmp_path: Path
) -> None:
    fake.Faults.build = "plugin norm_apply_v1: CUDA_ERROR_UNSUPPORTED_PTX_VERSION"
    code, _, err = build(capsys, light_checkpoint, tmp_path / "auto.engine", "--kernels", "auto")
    assert (code, "ours failed" in err, "UNSUPPORTED_PTX" in err) == (0, True, True)
    facts = read_spec(tmp_path / "auto.engine").tensorrt
    assert facts is not None
    assert facts.kernels == ("native", "native")
    code, _, err = build(capsys, light_checkpoint, tmp_path / "t.engine", "--kernels", "triton")
    assert (code, "UNSUPPORTED_PTX" in err) == (1, True)
    assert not (tmp_path / "t.engine").exists()


def test_dynamic_batch(capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "any.engine"
    assert build(capsys, light_checkpoint, path, "--dynamic-batch", "--batch", "1,3")[0] == 0
    spec, settings = read_spec(path), settings_of(path)
    assert (spec.tensorrt.dynamic_batch, spec.batch_sizes, list(settings)) == (True, (1, 3), ["plan.any"])
    assert settings["plan.any"]["profile"] == [[1, 32, 32, 3], [3, 32, 32, 3], [3, 32, 32, 3]]
    with Translator(path) as translator:
        assert translator.run(random_pictures(4, 32, 32)).shape == (4, 32, 32, 3)


def test_what_the_builder_is_told(capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    options = ("--optimization-level", "5", "--workspace", "512", "--keep-plan")
    assert build(capsys, light_checkpoint, path, *options)[0] == 0
    assert [(s["level"], s["workspace"]) for s in settings_of(path).values()] == [(5, 512 * 2**20)] * 2
    assert {file.name for file in tmp_path.glob("*.plan")} == {"x.1.plan", "x.2.plan"}
    assert build(capsys, light_checkpoint, path, "--optimization-level", "9")[0] == 1


def test_the_timing_cache(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, light_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "timings"
    options = ("--timing-cache", str(folder))
    build(capsys, light_checkpoint, tmp_path / "a.engine", *options)
    cold = fake.Counts.measured
    assert cold > 0
    (cache,) = folder.glob("*.timing")
    assert all(part in cache.name for part in ("H200", "sm_90", "11.4.0.106", "kernels1"))

    build(capsys, light_checkpoint, tmp_path / "b.engine", *options)
    assert fake.Counts.measured == cold

    cache.write_text(json.dumps({"version": "11.2.0.1", "entries": []}))
    code, _, err = build(capsys, light_checkpoint, tmp_path / "c.engine", *options)
    assert (code, "measuring afresh" in err, fake.Counts.measured) == (0, True, 2 * cold)
    cache.write_bytes(b"\0 garbage")
    code, _, err = build(capsys, light_checkpoint, tmp_path / "d.engine", *options)
    assert (code, "measuring afresh" in err, fake.Counts.measured) == (0, True, 3 * cold)


def test_what_other_builds_measured_meanwhile_is_kept(fake: ModuleType, tmp_path: Path) -> None:
    timing_cache = import_module("ugatit_fast.export.timing_cache").timing_cache
    path = tmp_path / "x.timing"
    configs = [fake.IBuilderConfig() for _ in range(8)]

    def measure(i: int) -> None:
        with timing_cache(configs[i], path, lambda _: None):
            configs[i].cache.entries.add(str(i))

    threads = [threading.Thread(target=measure, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads(path.read_bytes())["entries"]) == {str(i) for i in range(8)}


def test_a_folder_that_cannot_be_written_costs_only_the_cache(
    capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, _, err = build(
        capsys, light_checkpoint, tmp_path / "x.engine", "--timing-cache", str(tmp_path / "file" / "f")
    )
    assert (code, "timing cache isn't kept" in err) == (0, True)


@pytest.mark.parametrize(
    ("built_for", "message"),
    [
        ({"gpu_architecture": "sm_80"}, "was built for sm_80 with TensorRT 11.4.0.106; this machine is sm_90"),
        ({"tensorrt_version": "10.16.1.11"}, "with TensorRT 10.16.1.11; this machine is sm_90 with 11.4.0.106"),
        ({"format_version": 99}, "engine format 99"),
    ],
)
def test_an_engine_from_elsewhere_is_refused_before_tensorrt_sees_it(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, engine: Path, tmp_path: Path, built_for: dict[str, object],
    message: str,
) -> None:  # fmt: skip
    elsewhere = tmp_path / "elsewhere.engine"
    with_spec(engine, elsewhere, **built_for)
    seen = fake.Counts.deserialized
    code, _, err = run(capsys, "translate", elsewhere, __file__, "-o", tmp_path / "out")
    assert code == 1
    assert message in err
    if "format_version" not in built_for:
        rebuild = "ugatit-fast build-engine CHECKPOINT --backend tensorrt --precision fp16 --direction A2B --batch 1,2"
        assert f"{rebuild} --size 32x32 --heatmap" in err
    assert len(err.splitlines()) == 1
    assert fake.Counts.deserialized == seen


def with_spec(engine: Path, target: Path, **changes: object) -> None:
    """A copy of an engine that says something else about itself."""
    from safetensors.numpy import load_file, save_file

    document = json.loads(read_spec(engine).to_json())
    facts = document["engine"]
    for name, value in changes.items():
        (facts["tensorrt"] if name in facts["tensorrt"] else facts)[name] = value
    save_file(load_file(engine), target, {"ugatit_fast": json.dumps(document)})


@pytest.mark.parametrize("kept", [4, 100, 0.5, -1])
def test_a_truncated_engine(capsys: pytest.CaptureFixture[str], engine: Path, tmp_path: Path, kept: float) -> None:
    content = engine.read_bytes()
    end = int(kept * len(content)) if isinstance(kept, float) else kept
    (tmp_path / "cut.engine").write_bytes(content[:end])
    code, _, err = run(capsys, "translate", tmp_path / "cut.engine", __file__, "-o", tmp_path / "out")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "cut.engine" in err


def test_a_damaged_plan(capsys: pytest.CaptureFixture[str], engine: Path, tmp_path: Path) -> None:
    content = bytearray(engine.read_bytes())
    content[-1000] ^= 1
    (tmp_path / "bad.engine").write_bytes(content)
    code, _, err = run(capsys, "translate", tmp_path / "bad.engine", __file__, "-o", tmp_path / "out")
    assert (code, "damaged" in err, "Serialization assertion" in err) == (1, True, True)


def test_memory_that_runs_out_while_loading(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, engine: Path, tmp_path: Path
) -> None:
    fake.Faults.contexts = fake.Counts.contexts + 1
    code, _, err = run(capsys, "translate", engine, __file__, "-o", tmp_path / "out")
    assert code == 1
    assert "needs more memory than there is (NVIDIA H200 has 2.0 GB free: TensorRT has no memory" in err
    assert "OutOfMemory: requested size was 123456789 bytes" in err
    assert "build it again with a --batch below 2" in err


def test_memory_that_runs_out_while_building(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, light_checkpoint: Path, tmp_path: Path
) -> None:
    fake.Faults.build = "OutOfMemory (no further information)"
    code, _, err = build(capsys, light_checkpoint, tmp_path / "x.engine")
    assert (code, "OutOfMemory" in err) == (1, True)
    assert not (tmp_path / "x.engine").exists()


def test_threads_compute_at_once_as_far_as_memory_goes(fake: ModuleType, engine: Path) -> None:
    pictures = [random_pictures(3, 32, 32, seed=i) for i in range(6)]
    with Translator(engine) as translator:
        expected = [translator.run(batch) for batch in pictures]
        fake.Faults.contexts = fake.Counts.contexts + 3  # one more lane, and half of another
        found: dict[int, np.ndarray] = {}
        barrier = threading.Barrier(6)

        def work(i: int) -> None:
            barrier.wait()
            found[i] = translator.run(pictures[i])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(np.array_equal(found[i], expected[i]) for i in range(6))


def test_without_cuda_graphs_it_says_so_and_works(monkeypatch: pytest.MonkeyPatch, engine: Path) -> None:
    monkeypatch.setattr(FakeGpu, "captures", False)
    with pytest.warns(UserWarning, match="kernel by kernel, since no CUDA graph"), Translator(engine) as translator:
        assert translator.run(random_pictures(2, 32, 32)).shape == (2, 32, 32, 3)


def test_a_bare_plan_needs_trust(
    capsys: pytest.CaptureFixture[str], fake: ModuleType, light_checkpoint: Path, tmp_path: Path
) -> None:
    engine = tmp_path / "x.engine"
    build(capsys, light_checkpoint, engine, "--keep-plan")
    save_image(tmp_path / "p.png", random_pictures(1, 32, 32)[0])
    seen = fake.Counts.deserialized
    code, _, err = run(capsys, "translate", tmp_path / "x.2.plan", tmp_path / "p.png", "-o", tmp_path / "out")
    assert (code, "--trust-plan" in err, fake.Counts.deserialized) == (1, True, seen)
    arguments = (tmp_path / "x.2.plan", tmp_path / "p.png", "-o", tmp_path / "out", "--trust-plan")
    code, out, err = run(capsys, "translate", *arguments)
    assert (code, "1 translated" in out) == (0, True), err
    code, out, _ = run(capsys, "verify", tmp_path / "x.2.plan", light_checkpoint, "--trust-plan")
    assert (code, "passes the fp16 gate" in out) == (0, True)
    (tmp_path / "junk.plan").write_bytes(b"junk" * 100)
    code, _, err = run(capsys, "translate", tmp_path / "junk.plan", tmp_path / "p.png", "-o", tmp_path, "--trust-plan")
    assert (code, "no plan that TensorRT loads" in err) == (1, True)


def test_auto_takes_tensorrt(capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("--batch", "1", "--size", "16", "--kernels", "native")
    code, _, err = run(capsys, "build-engine", light_checkpoint, "-o", tmp_path / "x.engine", *arguments)
    assert (code, "backend: tensorrt" in err) == (0, True)


def test_a_machine_without_tensorrt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: Path, light_checkpoint: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    for arguments in (
        ("translate", engine, __file__, "-o", tmp_path),
        ("build-engine", light_checkpoint, "--backend", "tensorrt"),
    ):
        code, _, err = run(capsys, *arguments)
        assert (code, pip_install("tensorrt") in err) == (1, True)


def test_options_of_another_backend(capsys: pytest.CaptureFixture[str], light_checkpoint: Path) -> None:
    code, _, err = run(capsys, "build-engine", light_checkpoint, "--backend", "onnxruntime", "--keep-plan")
    assert (code, "keep_plan are for tensorrt or tensorrt-rtx engines, not for onnxruntime" in err) == (1, True)


def test_the_cpu_is_refused(capsys: pytest.CaptureFixture[str], engine: Path, tmp_path: Path) -> None:
    code, _, err = run(capsys, "translate", engine, __file__, "-o", tmp_path, "--device", "cpu")
    assert (code, "onnxruntime engine" in err) == (1, True)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """A driver that counts two; gives the numbers of the GPUs that computed, one for each piece."""
    trt = import_module("ugatit_fast.backends.trt")
    monkeypatch.setattr("ugatit_fast.backends.driver.gpus_of_driver", lambda: 2)
    computed: list[int | None] = []
    send = trt.Slot.send

    def noted(self: Any, images: Any) -> None:
        assert CURRENT.numbers[-1] == self.gpu.number
        computed.append(self.gpu.number)
        send(self, images)

    monkeypatch.setattr(trt.Slot, "send", noted)
    return computed


def test_several_gpus(
    capsys: pytest.CaptureFixture[str], engine: Path, tmp_path: Path, two_gpus: list[int | None]
) -> None:
    pictures = random_pictures(6, 32, 32)
    with Translator(engine, device="cuda:1") as one:
        expected = one.run(pictures)
        assert set(two_gpus) == {1}
    two_gpus.clear()
    with Translator(engine, device="cuda:0,cuda:1") as both:
        assert (both.device.count("NVIDIA H200"), both.spec.batch_sizes) == (2, (1, 2, 4))
        assert np.abs(both.run(pictures).astype(int) - expected).max() <= 1  # pieces of other sizes, in float16
        assert set(two_gpus) == {0, 1}
    for i, picture in enumerate(pictures):
        save_image(tmp_path / "in" / f"{i}.png", picture)
    two_gpus.clear()
    command = ("translate", engine, tmp_path / "in", "-o", tmp_path / "out", "--no-gallery")
    assert run(capsys, *command, "--device", "cuda:0,cuda:1")[0] == 0
    assert set(two_gpus) == {0, 1}
    for i, picture in enumerate(expected):
        assert np.abs(load_image(tmp_path / "out" / f"{i}.png").astype(int) - picture).max() <= 1


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str], engine: Path, tmp_path: Path) -> None:
    for device in ("cuda:2", "cuda:0,cuda:7"):
        for command in (("translate", engine, __file__, "-o", tmp_path / "out"), ("serve", engine)):
            code, _, err = run(capsys, *command, "--device", device)
            assert code == 1
            last = f"there is no cuda:{device[-1]}: there are 2 GPUs here, cuda:0 to cuda:1; choose among these"
            assert err.splitlines()[-1] == f"error: {last}"
