"""Folded graph -> ONNX model -> file."""

from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper

from ugatit_fast.choices import Form
from ugatit_fast.engine import EngineSpec
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.int8_rows import Int8RowOperations
from ugatit_fast.export.onnx_activations import CHANNELS_FIRST, CHANNELS_LAST
from ugatit_fast.export.onnx_around_zero import ConvolutionsAroundZero
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.onnx_quantised import QuantisedConvolutions
from ugatit_fast.export.onnx_rows import RowOperations
from ugatit_fast.export.onnx_styles import style_inputs, style_metadata
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.rows_around_planes import RowsAroundPlanes
from ugatit_fast.files import METADATA_KEY
from ugatit_fast.graph import FoldedNetwork, Operations

PROTOBUF_LIMIT_BYTES = 2**31 - 2**24
"""A protobuf message can't pass 2 GB; beyond it the weights go into a file of their own."""


def to_onnx(
    folded: FoldedNetwork,
    spec: EngineSpec,
    *,
    form: Form,
    batch: int | None = None,
    plugins: PluginShapes | None = None,
    eight: EightBits | None = None,
) -> ModelProto:
    """The folded network as one ONNX model: uint8 NHWC in ("image"), uint8 NHWC out ("translated").

    A network that draws in styles takes one for all pictures, float32 (length,) ("style").

    The heat map is a second output, float32 (n, h / 4, w / 4) ("heatmap"), where the spec asks for it. The batch is
    dynamic unless given, height and width where the spec serves any size. plugins: let TensorRT run our normalisation
    kernels, in the form of convolutions. eight: what has eight bits, and of which network; `folded` is that one, in
    float16 for TensorRT. The description of the engine travels in `metadata_props`.
    """
    builder = OnnxBuilder()
    size = None if spec.any_size else (spec.height, spec.width)
    translated, heatmap = folded.graph(operations_of(form, builder, folded, size, plugins, eight), "image")
    outputs = {translated: "translated"} | ({heatmap: "heatmap"} if spec.heatmap and heatmap else {})
    rename_results(builder, outputs)
    drop_unused(builder, set(outputs.values()))

    full = ("height", "width") if spec.any_size else (spec.height, spec.width)
    quarter = ("height/4", "width/4") if spec.any_size else (spec.height // 4, spec.width // 4)
    n = batch or "batch"
    shapes = {"translated": (TensorProto.UINT8, [n, *full, 3]), "heatmap": (TensorProto.FLOAT, [n, *quarter])}
    model = builder.model(
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [n, *full, 3]), *style_inputs(folded)],
        [helper.make_tensor_value_info(name, *shapes[name]) for name in outputs.values()],
        spec.ugatit_fast_version,
    )
    helper.set_model_props(model, {METADATA_KEY: spec.to_json(), **style_metadata(folded)})
    return model


def operations_of(
    form: Form,
    builder: OnnxBuilder,
    folded: FoldedNetwork,
    size: tuple[int, int] | None = None,
    plugins: PluginShapes | None = None,
    eight: EightBits | None = None,
) -> Operations[str, Any, Any]:
    """What writes the network down in a form. size: height and width of the picture, where they are fixed."""
    if form == "rows" and folded.config.by_rows:
        return RowOperations(builder) if eight is None else Int8RowOperations(builder, eight)
    if form == "rows" and folded.config.partly_by_rows:
        return RowsAroundPlanes(builder, folded)
    if form == "bytes":
        assert eight is not None, "what has eight bits has been chosen"
        return QuantisedConvolutions(builder, eight)
    layout = CHANNELS_LAST if form in ("channels last", "bytes around zero") else CHANNELS_FIRST
    if eight is not None:
        return ConvolutionsAroundZero(builder, folded, layout, eight, size=size, plugins=plugins)
    return ConvolutionOperations(builder, folded, layout, size=size, plugins=plugins)


def rename_results(builder: OnnxBuilder, names: dict[str, str]) -> None:
    for node in builder.nodes:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]


def drop_unused(builder: OnnxBuilder, wanted: set[str]) -> None:
    """Remove the nodes that no output depends on (a heat map nobody asked for), and their constants."""
    needed, kept = set(wanted), []
    for node in reversed(builder.nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    builder.nodes = kept[::-1]
    builder.initializers = {name: value for name, value in builder.initializers.items() if name in needed}


def save_onnx(model: ModelProto, path: Path) -> None:
    """Write a model; weights past the protobuf limit go into a second file, `path` + ".data", that must stay beside
    it.
    """
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > PROTOBUF_LIMIT_BYTES:
        onnx.save_model(model, path, save_as_external_data=True, location=path.name + ".data")
    else:
        path.write_bytes(model.SerializeToString())
