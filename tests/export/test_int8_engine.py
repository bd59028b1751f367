"""Engines in eight bits: built, refused, described, and run as on other CPUs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import FULL, LIGHT, random_generator, random_pictures
from tests.machines import GPU_MACHINE, FakeMachine, library
from ugatit_fast import Translator, machine
from ugatit_fast.assets import shipped_weights
from ugatit_fast.backends import ort as ort_backend
from ugatit_fast.backends.runtimes import RUNTIMES, open_backend, precision_of
from ugatit_fast.checkpoint import read_checkpoint, save_generator
from ugatit_fast.choices import Loading
from ugatit_fast.cli import main
from ugatit_fast.engine import EightBitFacts, EngineSpec, read_spec
from ugatit_fast.errors import BackendUnavailable, ExportError, InputError
from ugatit_fast.export import build
from ugatit_fast.export.build import Built, build_engine
from ugatit_fast.export.triton_repository import export_triton_repo
from ugatit_fast.export.verify import exact_pictures, sample_pictures, verify

SIZE = (64, 64)
ON_CPU = Loading(device="cpu", threads=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Of the shipped generator, which is trained."""
    path = tmp_path_factory.mktemp("int8") / "print.onnx"
    return build_engine(shipped_weights("B2A"), path, backend="onnxruntime", precision="int8", size=SIZE, heatmap=True)


@pytest.fixture
def without_vnni(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A CPU that names no byte products; the session options that are set."""
    set_so_far: list[str] = []
    monkeypatch.setattr(ort_backend, "byte_products", lambda: None)
    ort = ort_backend.import_onnxruntime()
    options = ort.SessionOptions

    class Watched(options):  # type: ignore[misc, valid-type]
        def add_session_config_entry(self, key: str, value: str) -> None:
            set_so_far.append(f"{key}={value}")
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(ort, "SessionOptions", Watched)
    return set_so_far


def test_it_passes_its_gate_and_says_what_it_is(built: Built) -> None:
    spec = read_spec(built.path)
    assert (spec.kind, spec.precision, spec.any_size) == ("onnxruntime", "int8", True)
    assert spec.eight_bits == EightBitFacts(calibration_photos=2, layers_of_two_bytes=(), layers_in_float32=())
    assert built.difference.passes("int8")
    assert verify(built.path, shipped_weights("B2A")) == built.difference
    assert "calibration_photos" in spec.facts()


def test_it_is_a_quarter_of_the_float32_file(built: Built, tmp_path: Path) -> None:
    plain = build_engine(shipped_weights("B2A"), tmp_path / "f.onnx", backend="onnxruntime", size=SIZE)
    assert built.path.stat().st_size < 0.35 * plain.path.stat().st_size


def test_it_translates_any_size_with_a_heat_map(built: Built) -> None:
    plain = random_pictures(2, 32, 44)
    with Translator(built.path, heatmap=True) as translator:
        together = translator.translate(plain)
    assert together.pictures.shape == plain.shape
    assert together.heatmaps is not None
    assert together.heatmaps.shape == (2, 8, 11)


def test_without_vnni_sums_are_exact_all_the_same(built: Built, without_vnni: list[str]) -> None:
    """ONNX Runtime's mode for such CPUs, here on one that has no need of it: the same sums, so the same picture."""
    spec = read_spec(built.path)
    pictures = sample_pictures(spec)
    exact = open_backend(built.path, spec, ON_CPU)
    assert without_vnni == ["session.x64quantprecision=1"]
    slow = exact.run(pictures)[0]
    without_vnni.clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ort_backend, "byte_products", lambda: "AVX-512 VNNI")
        fast = open_backend(built.path, spec, ON_CPU).run(pictures)[0]
    assert without_vnni == []
    np.testing.assert_array_equal(slow, fast)


def test_two_bytes_run_in_the_exact_mode_too(without_vnni: list[str], tmp_path: Path) -> None:
    """That mode fails on a matrix that two products share."""
    found = build_engine(
        shipped_weights("A2B"), tmp_path / "p.onnx", backend="onnxruntime", precision="int8", size=SIZE
    )
    assert found.spec.eight_bits is not None
    assert found.spec.eight_bits.layers_of_two_bytes
    assert without_vnni


def test_float32_engines_set_nothing(light_engine: Path, without_vnni: list[str]) -> None:
    open_backend(light_engine, read_spec(light_engine), ON_CPU)
    assert without_vnni == []


def test_a_full_generators_largest_layer_has_a_byte_a_weight(tmp_path: Path) -> None:
    save_generator(tmp_path / "full.safetensors", random_generator(FULL), "A2B")
    sizes = {}
    for precision in ("fp32", "int8"):
        path = tmp_path / f"{precision}.onnx"
        engine = build_engine(tmp_path / "full.safetensors", path, backend="onnxruntime", precision=precision)  # type: ignore[arg-type]
        assert engine.difference.passes(engine.spec.precision)
        sizes[precision] = engine.path.stat().st_size
    largest = 4 * FULL.ch * FULL.style_inputs
    assert sizes["fp32"] - sizes["int8"] > 2.5 * largest


@pytest.mark.parametrize("colour", [(0, 0, 0), (10, 200, 90)])
def test_a_picture_of_one_colour_has_its_own(built: Built, colour: tuple[int, int, int]) -> None:
    """It comes to values that no photo has, which were cut off: 51 levels."""
    plain = np.full((1, *SIZE, 3), colour, np.uint8)
    (exact,) = exact_pictures(read_checkpoint(shipped_weights("B2A"), "B2A").generator(), plain)
    with Translator(built.path) as translator:
        assert np.abs(translator(plain)[0] - (exact + 1) * 127.5).max() < 6


# Refused, and built otherwise -------------------------------------------------------------------------------------


def test_a_network_that_has_no_use_for_eight_bits_is_built_as_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SLACK_DB", (1000.0,))  # nothing is that good
    save_generator(tmp_path / "w.safetensors", random_generator(LIGHT), "A2B")
    said: list[str] = []
    path = tmp_path / "w.onnx"
    engine = build_engine(
        tmp_path / "w.safetensors", path, backend="onnxruntime", precision="int8", size=SIZE, say=said.append
    )
    assert (engine.spec.precision, engine.spec.eight_bits) == ("fp32", None)
    assert engine.difference.passes("fp32")
    assert any("built as float32" in line for line in said)


def test_an_engine_that_is_worse_than_its_emulation_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven, tried = build.proven, []

    def first_fails(source: object, spec: EngineSpec, path: Path, request: object) -> object:
        tried.append(spec.eight_bits)
        if len(tried) == 1:
            raise ExportError("the engine strays too far (PSNR 1 dB) and was not written; x")
        return proven(source, spec, path, request)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "proven", first_fails)
    said: list[str] = []
    options = {"backend": "onnxruntime", "precision": "int8", "size": SIZE, "say": said.append}
    engine = build_engine(shipped_weights("B2A"), tmp_path / "p.onnx", **options)  # type: ignore[arg-type]
    assert engine.spec.precision == "int8"
    assert len(tried) == 2
    assert any("again, with fewer layers in eight bits" in line for line in said)


def test_calibration_is_for_eight_bits(light_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--calibration is for int8 and fp8 engines, not for fp32"):
        build_engine(light_checkpoint, tmp_path / "e.onnx", backend="onnxruntime", calibration=tmp_path)


def test_the_command_takes_photos_and_says_what_became_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(random_pictures(1, 80, 70)[0]).resize((400, 300)).save(photos / "a.png")
    (photos / "broken.jpg").write_bytes(b"x")
    engine = tmp_path / "p.onnx"
    arguments = ["--backend", "onnxruntime", "--precision", "int8", "--size", "64", "-o", str(engine)]
    assert main(["build-engine", str(shipped_weights("B2A")), *arguments, "--calibration", str(photos)]) == 0
    told = capsys.readouterr()
    assert "1 photos of" in told.err
    assert "1 that can't be read" in told.err
    assert main(["inspect", str(engine)]) == 0
    assert "calibration photos     3" in capsys.readouterr().out
    assert main(["build-engine", str(shipped_weights("B2A")), *arguments, "--calibration", str(tmp_path / "no")]) == 1
    assert "takes a folder of photos" in capsys.readouterr().err


def test_it_runs_on_the_cpu_only(built: Built) -> None:
    with pytest.raises(BackendUnavailable, match="use --device cpu"):
        open_backend(built.path, read_spec(built.path), Loading(device="cuda"))


def test_an_onnx_runtime_that_is_too_old_is_refused_with_what_to_do() -> None:
    old = FakeMachine(GPU_MACHINE | {"onnxruntime": library("1.17.3")})
    reason = RUNTIMES["onnxruntime"].missing("run", old)
    assert reason is not None
    assert reason.startswith("needs ONNX Runtime >= 1.20, < 2 in place of 1.17.3; ")
    assert "pip install" in reason
    assert RUNTIMES["onnxruntime"].missing("run", FakeMachine(GPU_MACHINE)) is None


def test_backends_without_eight_bits_refuse_them(light_checkpoint: Path, tmp_path: Path) -> None:
    have = {kind for kind, runtime in RUNTIMES.items() if "int8" in runtime.forms}
    assert "onnxruntime" in have
    assert "cuda" not in have
    with pytest.raises(InputError, match="cuda engines are fp16 or fp32, not int8"):
        build_engine(light_checkpoint, tmp_path / "e.safetensors", backend="cuda", precision="int8")


def test_fast_takes_eight_bits_where_this_cpu_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RUNTIMES["onnxruntime"]
    monkeypatch.setattr("ugatit_fast.backends.runtimes.byte_products", lambda: "AVX VNNI")
    assert precision_of(runtime, None, fast=True) == "int8"
    assert precision_of(runtime, None, fast=False) == "fp32"
    assert precision_of(runtime, "fp16", fast=True) == "fp16"
    assert precision_of(RUNTIMES["cuda"], None, fast=True) == "fp16"
    monkeypatch.setattr("ugatit_fast.backends.runtimes.byte_products", lambda: None)
    assert precision_of(runtime, None, fast=True) == "fp32"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("flags : fpu avx2 avx512_vnni fma", "AVX-512 VNNI"),
        ("flags : fpu avx_vnni avx2", "AVX VNNI"),
        ("flags : amx_int8 avx512_vnni", "AMX"),
        ("flags : fpu avx2", None),
        ("Features : fp asimd asimddp", "ARM dot products"),
        ("", None),
    ],
)
def test_what_a_cpu_says_of_itself(flags: str, name: str | None) -> None:
    assert machine.byte_products(flags) == name


def test_a_server_of_nvidias_takes_it(built: Built, tmp_path: Path) -> None:
    model = export_triton_repo(built.path, tmp_path / "models")
    assert (model.folder / "1" / "model.onnx").read_bytes() == built.path.read_bytes()


def test_descriptions_of_others_stay_as_they_were(light_engine: Path) -> None:
    spec = read_spec(light_engine)
    assert "eight_bits" not in spec.to_json()
    eight = replace(
        spec,
        precision="int8",
        eight_bits=EightBitFacts(
            calibration_photos=9, layers_of_two_bytes=("up.0",), layers_in_float32=("stem", "out")
        ),
    )
    assert EngineSpec.from_json(light_engine, eight.to_json()) == eight
    assert eight.facts()["layers_in_float32"] == "stem, out"
