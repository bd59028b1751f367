"""Eight bits as convolutions, in ONNX Runtime as their operators mean, and in OpenVINO as it fuses them."""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tests.export.test_int8_rows import BY_CONVOLUTIONS, NETWORKS, eight_bits, in_turn, psnr
from ugatit_fast.export import eight_bits as eight_bits_module
from ugatit_fast.export.calibration import calibration_pictures
from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_graph import drop_unused
from ugatit_fast.export.onnx_quantised import QuantisedConvolutions
from ugatit_fast.export.onnx_styles import style_inputs

Pictures = NDArray[np.uint8]
KINDS: dict[str, tuple[Callable[[EightBits], EightBits], float]] = {
    "float32": (lambda eight: eight.only([]), 60),
    "bytes": (lambda eight: eight, 40),
    "two bytes": (lambda eight: eight.refined(eight.spans), 50),
    "every second place": (lambda eight: eight.without(list(eight.spans)[1::2]), 45),
}
"""What has eight bits, and how near the emulation it has to be, in dB: OpenVINO rounds x / scale by another product,
and in a random network one level more is many at the end.
"""


EVERY = NETWORKS | BY_CONVOLUTIONS


def model_of(eight: EightBits) -> ModelProto:
    builder = OnnxBuilder()
    result, _ = eight.folded.graph(QuantisedConvolutions(builder, eight), "image")
    drop_unused(builder, {result})
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    made = helper.make_tensor_value_info(result, TensorProto.UINT8, ["n", "height", "width", 3])
    return builder.model([given, *style_inputs(eight.folded)], [made], "0")


def in_onnxruntime(model: ModelProto, pictures: Pictures) -> Pictures:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, feed)[0] for feed in in_turn(model, pictures)])


def in_openvino(model: ModelProto, pictures: Pictures) -> Pictures:
    core = pytest.importorskip("openvino").Core()
    graph = core.read_model(model.SerializeToString())
    graph.reshape({"image": [1, *pictures.shape[1:]]})
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(feed)[0] for feed in in_turn(model, pictures)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EVERY)
def test_every_network_is_its_emulation(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "animegan2":  # layer norms throughout, to which this form gives nothing back
        monkeypatch.setattr(eight_bits_module, "minds_means", lambda weights: weights.weight.shape[2] == 2)
    chosen, nearness = KINDS[kind]
    eight, pictures = chosen(eight_bits(EVERY[name])), calibration_pictures(None, (32, 32))
    model, expected = model_of(eight), emulate(eight, pictures)
    assert psnr(in_onnxruntime(model, np.stack(pictures)), expected) > nearness
    assert psnr(in_openvino(model, np.stack(pictures)), expected) > nearness


def test_the_kernels_are_bytes_in_the_file() -> None:
    eight = eight_bits(NETWORKS["light"])
    stored = {tensor.name: tensor.data_type for tensor in model_of(eight).graph.initializer}
    kernels = {name for name in stored if name.startswith("up.0.weight") and not name.endswith("scale")}
    assert kernels == {f"up.0.weight.{phase}" for phase in ("00", "01", "10", "11")}
    assert all(stored[name] == TensorProto.INT8 for name in kernels | {"stem.weight", "decoder.0.1.weight"})
    floats = {tensor.name for tensor in model_of(eight.without(["up.0"])).graph.initializer}
    assert "up.0.weight.00.scale" not in floats


def test_borders_and_phases_are_put_together_as_bytes() -> None:
    """In float32 they would be four times as much to copy."""
    nodes = model_of(eight_bits(NETWORKS["light"])).graph.node
    makers = {output: node.op_type for node in nodes for output in node.output}
    weaving = [node for node in nodes if node.op_type == "Concat"]
    padding = [node for node in nodes if node.op_type == "Pad"]
    assert len(weaving) == 2
    assert {makers[part] for node in weaving for part in node.input} == {"QuantizeLinear"}
    assert {makers[node.input[0]] for node in padding} <= {"QuantizeLinear", "DepthToSpace", "Transpose"}
