"""Our graphs and our builder against NVIDIA's real parser and builder, which make real plans without a GPU."""

import json
import re
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tests.conftest import LIGHT, random_generator
from tests.export.test_onnx_graph import tensorrt_model
from tests.tensorrt import under_real
from tests.tensorrt.real import Real
from ugatit_fast.backends.plan_kernels import plans_of
from ugatit_fast.bench.onnx_rivals import export_plainly
from ugatit_fast.bench.torch_rivals import Pictures
from ugatit_fast.choices import Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.export.triton_repository import export_triton_repo

PLAN = b"vtrt"
"""How a plan of TensorRT for RTX begins."""


@pytest.mark.parametrize("dynamic_batch", [False, True], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("heatmap", [False, True], ids=["picture", "heatmap"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("network", ["light", "full"])
def test_every_graph_becomes_a_plan(
    real_tensorrt: Real, request: pytest.FixtureRequest, tmp_path: Path, network: str, precision: Precision,
    heatmap: bool, dynamic_batch: bool,
) -> None:  # fmt: skip
    checkpoint, path = request.getfixturevalue(f"{network}_checkpoint"), tmp_path / "x.engine"
    size, batch = (32, 32), (1, 2) if dynamic_batch else (2,)
    said = real_tensorrt.call(
        under_real.engine, checkpoint, path, precision, heatmap=heatmap, batch=batch, size=size,
        dynamic_batch=dynamic_batch,
    )  # fmt: skip

    plans = dict(plans_of(path))
    assert list(plans) == ["plan.any" if dynamic_batch else "plan.2"]
    assert all(plan.startswith(PLAN) and len(plan) > 100_000 for plan in plans.values())
    assert not said.log
    spec = read_spec(path)
    assert (spec.precision, spec.heatmap, spec.tensorrt.dynamic_batch) == (precision, heatmap, dynamic_batch)


def test_progress_is_reported(real_tensorrt: Real, light_checkpoint: Path, tmp_path: Path) -> None:
    said = real_tensorrt.call(under_real.engine, light_checkpoint, tmp_path / "x.engine", "fp16", size=(32, 32))
    phases = {phase for phase, _, _ in said.progress}
    assert phases
    for phase in phases:
        steps = [(done, total) for name, done, total in said.progress if name == phase]
        assert steps[0][0] == 0
        assert steps[-1][0] == steps[-1][1] > 0


@pytest.mark.parametrize("after", [1, 20])
def test_ctrl_c_stops_the_build(real_tensorrt: Real, light_checkpoint: Path, tmp_path: Path, after: int) -> None:
    """Neither files nor a thread are left."""
    output = tmp_path / "out" / "x.engine"
    output.parent.mkdir()
    command = ["build-engine", str(light_checkpoint), "-o", str(output), "--backend", "tensorrt", "--batch", "1"]
    options = ["--kernels", "native", "--timing-cache", str(tmp_path / "timings")]
    stopped = real_tensorrt.call(under_real.interrupted, [*command, *options], after)
    assert (stopped.code, stopped.err.splitlines()[-1]) == (130, "stopped")
    assert 1 <= stopped.stops < 20, "it asks hundreds of times in a whole build"
    assert not stopped.still_building
    assert not list(output.parent.iterdir())


def model_of(node: onnx.NodeProto) -> bytes:
    """One node between float32 (2, 2) and (2, 2)."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (helper.make_node("Unheard", ["x"], ["y"], "odd", domain="nobody"), "Unheard odd: .*Plugin not found"),
        (helper.make_node("Det", ["x"], ["y"], "square"), "Det square: false"),
        (helper.make_node("MatMul", ["x", "missing"], ["y"], "product"), "MatMul product: .*input was not registered"),
    ],
    ids=["unknown", "unsupported", "damaged"],
)
def test_a_graph_that_nvidia_refuses(real_tensorrt: Real, node: onnx.NodeProto, words: str) -> None:
    """One line, in which the node is named and NVIDIA's words stand."""
    error, _ = real_tensorrt.call(under_real.parsed, model_of(node))
    assert re.fullmatch(rf"TensorRT 11.4.0.106 cannot parse this: {words}.*; please report it", error), error


def test_a_uint8_inside_a_function_is_refused(real_tensorrt: Real) -> None:
    """Why what TensorRT parses has no functions: it takes the cast at the end of one for an intermediate tensor."""
    function = helper.make_function(
        "ugatit", "levels", ["a"], ["b"], [helper.make_node("Cast", ["a"], ["b"], "cast", to=TensorProto.UINT8)],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    model = onnx.load_model_from_string(model_of(helper.make_node("levels", ["x"], ["y"], "end", domain="ugatit")))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("ugatit", 1))
    error, _ = real_tensorrt.call(under_real.parsed, model.SerializeToString())
    assert "UINT8" in error


def test_a_triton_repository_holds_the_plan(real_tensorrt: Real, light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces.engine"
    real_tensorrt.call(
        under_real.engine, light_checkpoint, path, "fp16", size=(16, 16), batch=(1, 2), dynamic_batch=True
    )
    model = export_triton_repo(path, tmp_path / "models")
    assert (model.folder / "1" / "model.plan").read_bytes() == dict(plans_of(path))["plan.any"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("half", [False, True])
def test_the_plain_export_that_bench_races_is_parsed(real_tensorrt: Real, tmp_path: Path, half: bool) -> None:
    dtype = torch.float16 if half else torch.float32
    pictures = Pictures(random_generator(replace(LIGHT, n_res=0)).to(dtype), dtype, torch.contiguous_format).eval()
    export_plainly(pictures, torch.zeros((1, 32, 32, 3), dtype=torch.uint8), tmp_path / "plain.onnx")
    error, _ = real_tensorrt.call(under_real.parsed, (tmp_path / "plain.onnx").read_bytes())
    assert error == ""


def test_the_header_says_what_built_it(real_tensorrt: Real, light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    real_tensorrt.call(under_real.engine, light_checkpoint, path, "fp16", size=(16, 16), batch=(1, 3))
    assert list(dict(plans_of(path))) == ["plan.1", "plan.3"]
    (cache,) = (tmp_path / "timings").glob("*H200*11.4.0.106*.timing")
    assert cache.stat().st_size > 0
    facts = json.loads(read_spec(path).to_json())["engine"]["tensorrt"]
    assert facts["tensorrt_version"] == "11.4.0.106"
    assert facts["kernels"] == ["native", "native"]


def test_tensorrt_for_rtx_builds_by_its_own_binding(real_rtx: Real) -> None:
    model = tensorrt_model(random_generator(LIGHT), "fp16", (16, 16), 1, plugins=False)
    assert {"SM75", "SM120"} <= set(real_rtx.call(under_real.known_architectures))
    plan = real_rtx.call(under_real.rtx_plan, model.SerializeToString(), ["SM86"])
    assert plan.startswith(PLAN)
