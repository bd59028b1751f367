"""Model repositories, their configuration read back by protobuf's own parser, their model run by ONNX Runtime."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from safetensors.numpy import save_file

from tests.conftest import LIGHT, random_pictures
from tests.translate.fake_translator import SPEC
from ugatit_fast import Translator, cli
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.engine import EngineSpec, TensorRTFacts
from ugatit_fast.errors import EngineError, ExportError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.triton_repository import TritonModel, export_triton_repo
from ugatit_fast.files import METADATA_KEY

ENUMS = {
    "DataType": ["TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8",
                 "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING"],
    "Kind": ["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"],
}  # fmt: skip
MESSAGES = {
    "Input": "name:1:string data_type:2:DataType dims:4:int64*",
    "Output": "name:1:string data_type:2:DataType dims:3:int64*",
    "Group": "kind:4:Kind count:2:int32",
    "Batching": "preferred_batch_size:1:int32* max_queue_delay_microseconds:2:uint64",
    "Sample": "data_type:1:DataType dims:2:int64* zero_data:3:bool",
    "Warmup": "name:1:string batch_size:2:uint32 inputs:3:Entry*",
    "Entry": "key:1:string value:2:Sample",
    "ModelConfig": "name:1:string backend:17:string default_model_filename:8:string max_batch_size:4:int32 "
    "input:5:Input* output:6:Output* instance_group:7:Group* dynamic_batching:11:Batching model_warmup:16:Warmup*",
}
"""What we use of protobuf/model_config.proto (github.com/triton-inference-server/common): name:number:type, * repeated.
"""
NUMPY_TYPES = {"TYPE_UINT8": "tensor(uint8)", "TYPE_FP32": "tensor(float)"}


def model_config() -> Any:
    """An empty ModelConfig."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    field = descriptor_pb2.FieldDescriptorProto
    for name, text in MESSAGES.items():
        message = file.message_type.add(name=name)
        for label, number, of in (part.split(":") for part in text.split()):
            kind = of.rstrip("*")
            repeated = field.LABEL_REPEATED if of.endswith("*") else field.LABEL_OPTIONAL
            added = message.field.add(name=label, number=int(number), label=repeated)
            if kind in ENUMS or kind in MESSAGES:
                added.type = field.TYPE_ENUM if kind in ENUMS else field.TYPE_MESSAGE
                added.type_name = f".inference.{kind}"
            else:
                added.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))()


def config_of(model: TritonModel) -> Any:
    """The server's own reading of config.pbtxt: a name, a field or a value that it doesn't know is an error."""
    return text_format.Parse((model.folder / "config.pbtxt").read_text(), model_config())


def type_name(value: int) -> str:
    return ENUMS["DataType"][value]


def write_engine(path: Path, spec: EngineSpec, **plans: bytes) -> Path:
    """The file of a tensorrt or cuda engine, without what only a GPU can make."""
    tensors = {name.replace("_", "."): np.frombuffer(plan, np.uint8) for name, plan in plans.items()}
    save_file(tensors, path, {METADATA_KEY: spec.to_json()})
    return path


FACTS = TensorRTFacts(gpu_architecture="sm_90", tensorrt_version="11.2.1", kernels=("native",), dynamic_batch=True)
TENSORRT = replace(
    SPEC, kind="tensorrt", precision="fp16", any_size=False, batch_sizes=(1, 4, 16),
    tensorrt=FACTS,
)  # fmt: skip


def test_an_onnx_model_is_what_its_configuration_says(light_engine: Path, tmp_path: Path) -> None:
    model = export_triton_repo(light_engine, tmp_path / "repository", name="selfie2anime")
    config = config_of(model)
    assert (config.name, config.backend, config.max_batch_size) == (model.folder.name, "onnxruntime", 8)
    session = onnxruntime.InferenceSession(model.folder / "1" / config.default_model_filename)
    for declared, actual in (*zip(config.input, session.get_inputs(), strict=True),
                             *zip(config.output, session.get_outputs(), strict=True)):  # fmt: skip
        assert declared.name == actual.name
        assert NUMPY_TYPES[type_name(declared.data_type)] == actual.type
        batch, *sizes = actual.shape
        assert isinstance(batch, str)  # any
        assert [-1 if isinstance(size, str) else size for size in sizes] == list(declared.dims)
    assert ENUMS["Kind"][config.instance_group[0].kind] == "KIND_CPU"
    assert not config.HasField("dynamic_batching")  # a CPU gains nothing from batches


def test_the_model_translates_a_batch_as_the_engine_does(light_engine: Path, tmp_path: Path) -> None:
    model = export_triton_repo(light_engine, tmp_path)
    config = config_of(model)
    pictures = random_pictures(config.max_batch_size, 32, 32)
    session = onnxruntime.InferenceSession(model.folder / "1" / config.default_model_filename)
    found = session.run([output.name for output in config.output], {config.input[0].name: pictures})
    with Translator(light_engine, heatmap=True) as translator:
        translated, heatmaps = translator.run(pictures)
    assert np.abs(found[0].astype(int) - translated).max() <= 1  # sums in another order, for a batch
    np.testing.assert_allclose(found[1], heatmaps, atol=1e-4)


def test_warm_up_asks_what_the_model_takes(light_engine: Path, tmp_path: Path) -> None:
    model = export_triton_repo(light_engine, tmp_path)
    (warmup,) = config_of(model).model_warmup
    (entry,) = warmup.inputs
    session = onnxruntime.InferenceSession(model.folder / "1" / "model.onnx")
    session.run(None, {entry.key: np.zeros((warmup.batch_size, *entry.value.dims), np.uint8)})
    assert type_name(entry.value.data_type) == "TYPE_UINT8"
    assert entry.value.zero_data


def test_functions_of_our_own_domain_need_no_library(light_checkpoint: Path, tmp_path: Path) -> None:
    """A float16 engine states our operations as ONNX functions; a plain ONNX Runtime takes them."""
    engine = build_engine(
        light_checkpoint, tmp_path / "half.onnx", backend="onnxruntime", precision="fp16", size=(32, 32)
    ).path
    config = config_of(model := export_triton_repo(engine, tmp_path / "repository"))
    onnxruntime.InferenceSession(model.folder / "1" / "model.onnx")
    assert [output.name for output in config.output] == ["translated"]
    assert ENUMS["Kind"][config.instance_group[0].kind] == "KIND_AUTO"
    assert config.dynamic_batching.max_queue_delay_microseconds == 5000


def test_weights_of_a_large_model_come_along(light_engine: Path, tmp_path: Path) -> None:
    engine = tmp_path / "large.onnx"
    engine.write_bytes(light_engine.read_bytes())
    engine.with_name("large.onnx.data").write_bytes(b"weights")
    model = export_triton_repo(engine, tmp_path / "repository")
    assert (model.folder / "1" / "large.onnx.data").read_bytes() == b"weights"


def test_a_plan_loses_our_header(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / "faces.engine", TENSORRT, plan_any=b"the plan")
    model = export_triton_repo(engine, tmp_path, name="faces", max_wait_ms=2.5)
    config = config_of(model)
    assert (model.folder / "1" / config.default_model_filename).read_bytes() == b"the plan"
    assert (config.backend, config.max_batch_size) == ("tensorrt", 16)
    assert list(config.input[0].dims) == [32, 32, 3]
    assert [list(output.dims) for output in config.output] == [[32, 32, 3], [8, 8]]
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 16]
    assert config.dynamic_batching.max_queue_delay_microseconds == 2500
    assert ENUMS["Kind"][config.instance_group[0].kind] == "KIND_GPU"
    assert [warmup.batch_size for warmup in config.model_warmup] == [1, 4, 16]
    assert "11.2.1" in model.needs
    assert "sm_90" in model.needs


def test_a_smaller_batch_drops_the_sizes_above_it(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / "faces.engine", TENSORRT, plan_any=b"the plan")
    config = config_of(export_triton_repo(engine, tmp_path / "repository", max_batch=8))
    assert config.max_batch_size == 8
    assert list(config.dynamic_batching.preferred_batch_size) == [4]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (replace(TENSORRT, kind="cuda"), "--backend onnxruntime"),
        (replace(TENSORRT, tensorrt=replace(FACTS, dynamic_batch=False)), "--dynamic-b"),
    ],
)
def test_engines_that_the_server_cannot_run(tmp_path: Path, spec: EngineSpec, says: str) -> None:
    engine = write_engine(tmp_path / "faces.engine", spec, plan_1=b"one", plan_4=b"four")
    with pytest.raises(ExportError, match=says):
        export_triton_repo(engine, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_a_damaged_plan_leaves_nothing(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / "faces.engine", TENSORRT, plan_any=b"the plan")
    engine.write_bytes(engine.read_bytes()[:-4])
    with pytest.raises(EngineError, match="damaged"):
        export_triton_repo(engine, tmp_path / "repository")
    assert not list((tmp_path / "repository").iterdir())


def test_nothing_is_overwritten_without_being_told(light_engine: Path, tmp_path: Path) -> None:
    model = export_triton_repo(light_engine, tmp_path, name="faces", max_batch=2)
    with pytest.raises(InputError, match="--overwrite"):
        export_triton_repo(light_engine, tmp_path, name="faces")
    assert config_of(model).max_batch_size == 2
    export_triton_repo(light_engine, tmp_path, name="faces", overwrite=True)
    assert config_of(model).max_batch_size == 8


def test_overwriting_spares_what_is_no_model(light_engine: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with pytest.raises(InputError, match="no model"):
        export_triton_repo(light_engine, tmp_path, name="photos", overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "me.jpg"]


@pytest.mark.parametrize(
    "options", [{"name": "../up"}, {"name": "my faces"}, {"name": ""}, {"max_batch": 0}, {"max_wait_ms": -1.0},
                {"max_wait_ms": float("nan")}],
)  # fmt: skip
def test_options_that_make_no_sense(light_engine: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"expected|got"):
        export_triton_repo(light_engine, tmp_path / "repository", **options)
    assert not (tmp_path / "repository").exists()


def test_a_batch_that_the_engine_does_not_take(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / "faces.engine", TENSORRT, plan_any=b"the plan")
    with pytest.raises(InputError, match="1 to 16"):
        export_triton_repo(engine, tmp_path / "repository", max_batch=17)


def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    checkpoint = tmp_path / "faces.pt"
    write_random_checkpoint(checkpoint, LIGHT, seed=4)
    engine = build_engine(checkpoint, backend="onnxruntime", size=(32, 32)).path
    assert cli.main(["export-triton-repo", str(engine), str(tmp_path / "repository")]) == 0
    assert "onnxruntime backend" in capsys.readouterr().out
    assert cli.main(["export-triton-repo", str(engine), str(tmp_path / "repository")]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert cli.main(["export-triton-repo", str(checkpoint), str(tmp_path / "repository")]) == 1
