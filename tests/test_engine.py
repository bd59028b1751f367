import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import onnx
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ugatit_fast.backends.ort import OrtBackend
from ugatit_fast.checkpoint import read_checkpoint, save_generator
from ugatit_fast.choices import Sides
from ugatit_fast.engine import ENGINE_FORMAT_VERSION, EngineSpec, Network, TensorRTFacts, read_spec
from ugatit_fast.errors import BackendUnavailable, CheckpointError, EngineError
from ugatit_fast.files import METADATA_KEY, own_kind
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.translator import Translator

RUNTIMES = {"onnx", "onnxruntime", "tensorrt", "tensorrt_rtx", "torch", "triton"}
DATA = Path(__file__).parent / "data"
SPEC = EngineSpec(
    kind="onnxruntime",
    precision="fp32",
    height=32,
    width=48,
    any_size=True,
    batch_sizes=(1, 4),
    heatmap=True,
    checkpoint_sha256="ab" * 32,
    ugatit_fast_version="0.1.0",
    network=Network(direction="A2B", settings={"ch": 8, "n_res": 2, "light": True, "unbiased": True}),
)
FACTLESS = '{"kind": "engine", "engine": {"format_version": %d}}'
VERSION_1: dict[str, str] = {
    kind: (DATA / f"engine-description-v1-{kind}.json").read_text() for kind in ("onnxruntime", "cuda", "tensorrt")
}
"""What engines of the first format say, as the version that wrote them did."""


def with_description(engine: Path, path: Path, text: str) -> Path:
    """A copy of an engine that says something else about itself."""
    model = onnx.load(engine)
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, path)
    return path


def test_spec_survives_json() -> None:
    assert EngineSpec.from_json(Path("x"), SPEC.to_json()) == SPEC


def test_facts_stand_in_groups() -> None:
    facts = TensorRTFacts(gpu_architecture="sm_90", tensorrt_version="11.4", kernels=("native",), dynamic_batch=True)
    spec = replace(SPEC, kind="tensorrt", tensorrt=facts)
    assert EngineSpec.from_json(Path("x"), spec.to_json()) == spec
    written = json.loads(spec.to_json())["engine"]
    assert written["format_version"] == 2
    assert set(written["network"]) == {"direction", "ch", "n_res", "light", "unbiased"}
    assert set(written["tensorrt"]) == {"gpu_architecture", "tensorrt_version", "kernels", "dynamic_batch"}
    assert not {*written["network"], *written["tensorrt"]} & {*written}
    assert spec.facts().keys() >= {"kind", "ch", "gpu_architecture", "format_version"}


@pytest.mark.parametrize("kind", VERSION_1)
def test_the_first_format_is_still_read(kind: str) -> None:
    spec = EngineSpec.from_json(Path("x"), VERSION_1[kind])
    assert (spec.kind, spec.format_version, spec.is_bare) == (kind, 1, False)
    assert spec.network == Network(direction="B2A", settings={"ch": 64, "n_res": 4, "light": True, "unbiased": False})
    facts = TensorRTFacts(
        gpu_architecture="sm_90", tensorrt_version="11.4.0.106", kernels=("native", "triton"), dynamic_batch=False
    )
    assert spec.tensorrt == (facts if kind == "tensorrt" else None)
    again = json.loads(spec.to_json())["engine"]
    assert again["format_version"] == 2
    assert EngineSpec.from_facts(again) == spec


def test_another_architecture_names_itself() -> None:
    """And what shapes it stands in a group of its own; older versions are told that they are too old."""
    network = Network(
        direction="B2A", architecture="cyclegan", sides=Sides(16, 32), settings={"ngf": 64, "norm": "instance"}
    )
    spec = replace(SPEC, network=network)
    assert EngineSpec.from_json(Path("x"), spec.to_json()) == spec
    written = json.loads(spec.to_json())["engine"]
    assert (written["format_version"], written["network"]["settings"]) == (3, {"ngf": 64, "norm": "instance"})
    assert spec.check_size(32, 48) is None
    assert "multiples of 16, at least 32" in (spec.check_size(32, 40) or "")
    assert spec.facts().keys() >= {"architecture", "direction", "ngf", "norm"}


def test_engine_describes_itself(light_engine: Path) -> None:
    spec = read_spec(light_engine)
    assert (spec.kind, spec.precision, spec.direction) == ("onnxruntime", "fp32", "A2B")
    assert spec.network == Network(direction="A2B", settings={"ch": 8, "n_res": 2, "light": True, "unbiased": True})
    assert (spec.height, spec.width, spec.any_size, spec.tensorrt, spec.is_bare) == (32, 32, True, None, False)
    assert spec.heatmap
    assert len(spec.checkpoint_sha256) == 64


def test_description_is_found_wherever_protobuf_puts_it(light_engine: Path, tmp_path: Path) -> None:
    content = light_engine.read_bytes()
    props = onnx.ModelProto()
    onnx.helper.set_model_props(props, {"other": "thing", METADATA_KEY: SPEC.to_json()})
    bare = onnx.load(light_engine)
    del bare.metadata_props[:]
    first, last = tmp_path / "first.onnx", tmp_path / "last.onnx"
    first.write_bytes(props.SerializeToString() + bare.SerializeToString())
    last.write_bytes(bare.SerializeToString() + props.SerializeToString())

    assert read_spec(first) == read_spec(last) == SPEC
    assert METADATA_KEY.encode() in content


def test_description_in_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "engine.safetensors"
    spec = replace(SPEC, kind="cuda")
    safetensors.torch.save_file({"x": torch.zeros(3)}, path, metadata={METADATA_KEY: spec.to_json()})
    assert read_spec(path) == spec


def test_reading_a_description_imports_no_runtime(light_engine: Path, tmp_path: Path) -> None:
    """In a process of its own, since this one has long imported them all; a file of each format."""
    other = tmp_path / "engine.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(3)}, other, metadata={METADATA_KEY: SPEC.to_json()})
    code = (
        "import sys; from pathlib import Path; from ugatit_fast.engine import read_spec\n"
        f"for path in {[str(light_engine), str(other)]!r}: print(read_spec(Path(path)).kind)\n"
        f"print(*sorted({RUNTIMES!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n") == [SPEC.kind, SPEC.kind, "", ""]


@pytest.mark.parametrize(
    ("size", "served"),
    [((32, 48), True), ((36, 8), True), ((4, 32), False), ((30, 32), False), ((32, 33), False), ((0, 0), False)],
)
def test_sizes_of_a_light_engine(size: tuple[int, int], served: bool) -> None:
    assert (SPEC.check_size(*size) is None) == served
    fixed = replace(SPEC, any_size=False)
    assert (fixed.check_size(*size) is None) == (size == (32, 48))


def test_newer_format_is_refused(light_engine: Path, tmp_path: Path) -> None:
    document = json.loads(SPEC.to_json())
    document["engine"]["format_version"] = ENGINE_FORMAT_VERSION + 1
    document["engine"]["something_new"] = 7
    path = with_description(light_engine, tmp_path / "newer.onnx", json.dumps(document))
    with pytest.raises(EngineError, match=r"newer\.onnx has engine format 4.*upgrade"):
        Translator(path)


def test_unknown_facts_of_the_same_format_are_ignored(light_engine: Path, tmp_path: Path) -> None:
    document = json.loads(SPEC.to_json())
    document["engine"]["note"] = "added by a later 0.x"
    assert read_spec(with_description(light_engine, tmp_path / "noted.onnx", json.dumps(document))) == SPEC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"kind": "engine"}',
        FACTLESS % 1,
        FACTLESS % 2,
    ],
)
def test_damaged_description(light_engine: Path, tmp_path: Path, text: str) -> None:
    path = with_description(light_engine, tmp_path / "damaged.onnx", text)
    with pytest.raises(EngineError, match="damaged"):
        read_spec(path)


def test_engine_for_a_runtime_this_version_does_not_have(light_engine: Path, tmp_path: Path) -> None:
    text = replace(SPEC, kind="eager").to_json()
    with pytest.raises(
        EngineError, match=r"eager.*it knows tensorrt, tensorrt-rtx, cuda, openvino, onnxruntime: upgrade"
    ):
        Translator(with_description(light_engine, tmp_path / "other.onnx", text))


def test_missing_folder_and_foreign_files(tmp_path: Path) -> None:
    text, empty, foreign = tmp_path / "notes.txt", tmp_path / "empty.onnx", tmp_path / "foreign.onnx"
    text.write_text("hello")
    empty.touch()
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), foreign)
    for path, said in [
        (tmp_path / "nothing.onnx", "check the path"),
        (tmp_path, "is a folder"),
        (text, "not an engine"),
        (empty, "not an engine"),
        (foreign, "not an engine of ugatit-fast"),
    ]:
        with pytest.raises(EngineError, match=said):
            Translator(path)


def test_a_checkpoint_is_not_an_engine(tmp_path: Path, light_checkpoint: Path) -> None:
    own = tmp_path / "own.safetensors"
    save_generator(own, Generator(GeneratorConfig(ch=4, n_res=1, light=True)), "A2B")
    with pytest.raises(EngineError, match=r"is a checkpoint, not an engine.*build-engine"):
        Translator(own)
    with pytest.raises(EngineError, match="build-engine"):
        Translator(light_checkpoint)


def test_what_a_file_of_ours_is(tmp_path: Path, light_engine: Path, light_checkpoint: Path) -> None:
    """One reader tells engines and generators apart, and either says of the other what it is good for."""
    generator, engine = tmp_path / "generator.safetensors", tmp_path / "engine.safetensors"
    save_generator(generator, Generator(GeneratorConfig(ch=4, n_res=1, light=True)), "A2B")
    safetensors.torch.save_file({"x": torch.zeros(3)}, engine, metadata={METADATA_KEY: SPEC.to_json()})
    kinds = [own_kind(path) for path in (light_engine, engine, generator, light_checkpoint, tmp_path)]
    assert kinds == ["engine", "engine", "generator", None, None]
    with pytest.raises(CheckpointError, match=r"is an engine, not a checkpoint; it can be run as it is: .* translate"):
        read_checkpoint(engine)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(0, 0.999))
def test_truncated_onnx(light_engine: Path, tmp_path: Path, share: float) -> None:
    content = light_engine.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(EngineError):
        Translator(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(content)
    with pytest.raises(EngineError):
        read_spec(path)


def test_truncated_safetensors_header(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(3)}, path, metadata={METADATA_KEY: SPEC.to_json()})
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(EngineError, match="truncated"):
        read_spec(path)


def test_onnx_runtime_missing(light_engine: Path) -> None:
    with (
        patch.dict(sys.modules, {"onnxruntime": None}),
        pytest.raises(BackendUnavailable, match=r"\[cpu\]"),
    ):
        Translator(light_engine)


def test_a_gpu_is_never_replaced_in_silence(light_engine: Path) -> None:

    with pytest.raises(BackendUnavailable, match="onnxruntime-gpu"):
        OrtBackend(light_engine, read_spec(light_engine), device="cuda")


def test_external_weights_that_went_missing(light_checkpoint: Path, tmp_path: Path) -> None:
    from ugatit_fast import build_engine

    with patch("ugatit_fast.export.onnx_graph.PROTOBUF_LIMIT_BYTES", 1000):
        path = build_engine(light_checkpoint, tmp_path / "two.onnx", size=(32, 32)).path
    Translator(path).close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(path, moved)
    with pytest.raises(EngineError, match=r"two\.onnx"):
        Translator(moved / "two.onnx")
