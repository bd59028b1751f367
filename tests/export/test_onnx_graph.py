"""Both ONNX forms against the reference generator, in ONNX Runtime."""

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import FULL, LIGHT, random_generator, random_pictures
from ugatit_fast.choices import Form, Precision
from ugatit_fast.engine import EngineSpec, Network
from ugatit_fast.export.onnx_builder import DOMAIN, OPSET, OnnxBuilder
from ugatit_fast.export.onnx_graph import drop_unused, operations_of, to_onnx
from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, STATS, PluginShapes
from ugatit_fast.export.verify import difference, exact_pictures
from ugatit_fast.files import METADATA_KEY
from ugatit_fast.fold import fold
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import Generator, GeneratorConfig

FORM_OF: dict[Precision, Form] = {"fp32": "rows", "fp16": "convolutions"}
"""What an engine of each precision for ONNX Runtime is written in."""
FORMS = list(FORM_OF)


def spec_of(config: GeneratorConfig, precision: Precision, heatmap: bool = True) -> EngineSpec:
    return EngineSpec(
        kind="onnxruntime",
        precision=precision,
        height=config.img_size,
        width=config.img_size,
        any_size=config.light,
        batch_sizes=(),
        heatmap=heatmap,
        checkpoint_sha256="0" * 64,
        ugatit_fast_version="0",
        network=Network(direction="A2B", settings=config.settings()),
    )


def model_of(generator: Generator, precision: Precision, heatmap: bool = True) -> onnx.ModelProto:
    folded = fold(generator)
    folded = folded.half_precision() if precision == "fp16" else folded
    return to_onnx(folded, spec_of(generator.config, precision, heatmap), form=FORM_OF[precision])


def session_of(model: onnx.ModelProto) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def reference_heatmaps(generator: Generator, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    heatmaps: NDArray[np.float32] = generator(x)[2][:, 0].numpy()
    return heatmaps


CASES = [
    pytest.param(LIGHT, (32, 32), id="whole tiles"),
    pytest.param(LIGHT, (36, 52), id="tiles that reach beyond the image"),
    pytest.param(LIGHT, (8, 8), id="the smallest"),
    pytest.param(LIGHT, (100, 12), id="tall"),
    pytest.param(replace(LIGHT, ch=6, n_res=1), (20, 24), id="channels not a power of two"),
    pytest.param(replace(LIGHT, n_res=0), (32, 32), id="no residual blocks"),
    pytest.param(replace(LIGHT, ch=64, n_res=1), (36, 28), id="wide enough for the other up-convolution"),
    pytest.param(FULL, (32, 32), id="full"),
    pytest.param(replace(FULL, ch=4, img_size=64, n_res=0), (64, 64), id="full without blocks"),
]


@pytest.mark.parametrize("precision", FORMS)
@pytest.mark.parametrize(("config", "size"), CASES)
def test_form_equals_the_reference(config: GeneratorConfig, size: tuple[int, int], precision: Precision) -> None:
    generator = random_generator(config)
    pictures = random_pictures(2, *size)

    image, heatmap = session_of(model_of(generator, precision)).run(None, {"image": pictures})

    found = difference(image, exact_pictures(generator, pictures))
    if precision == "fp32":
        assert found.max_abs < 2e-5  # a fiftieth of the gate; 1e-6 is usual
        np.testing.assert_allclose(heatmap, reference_heatmaps(generator, pictures), rtol=1e-4, atol=1e-4)
    else:
        assert found.psnr_db > 35  # noise through tiny random networks; real sizes are held to the gate below


@pytest.mark.parametrize("precision", FORMS)
def test_real_size_passes_the_gate(precision: Precision) -> None:
    generator = random_generator(GeneratorConfig(ch=64, n_res=4, light=True))
    pictures = np.concatenate([random_pictures(1, 64, 64), np.full((1, 64, 64, 3), 90, np.uint8)])

    (image,) = session_of(model_of(generator, precision, heatmap=False)).run(None, {"image": pictures})

    assert difference(image[:1], exact_pictures(generator, pictures[:1])).passes(precision)


@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize("config", [LIGHT, FULL, replace(LIGHT, ch=64, n_res=2)], ids=str)
def test_pictures_of_one_colour(config: GeneratorConfig, level: int) -> None:
    """Channels without variance: each norm multiplies whatever rounding makes of them by 316."""
    generator = random_generator(config)
    pictures = np.full((1, 32, 32, 3), level, np.uint8)
    pictures[..., 1] //= 2

    image, _ = session_of(model_of(generator, "fp32")).run(None, {"image": pictures})

    exact = exact_pictures(generator.double(), pictures)
    assert difference(image, exact).max_abs < 1e-5
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 1


def test_a_nearly_flat_picture() -> None:
    generator = random_generator(replace(LIGHT, ch=64, n_res=2))
    pictures = np.full((1, 32, 32, 3), 127, np.uint8)
    pictures[0, 16, 16] = 128

    image, _ = session_of(model_of(generator, "fp32")).run(None, {"image": pictures})

    assert difference(image, exact_pictures(generator.double(), pictures)).max_abs < 1e-3


@pytest.mark.parametrize("precision", FORMS)
def test_batches_and_sizes_are_dynamic_where_the_engine_says_so(precision: Precision) -> None:
    generator = random_generator(LIGHT)
    session = session_of(model_of(generator, precision))
    apart = session.run(None, {"image": random_pictures(3, 16, 20)[1:2]})[0]
    assert np.array_equal(session.run(None, {"image": random_pictures(3, 16, 20)})[0][1:2], apart)
    assert session.get_inputs()[0].shape[1:] == ["height", "width", 3]
    full = session_of(model_of(random_generator(FULL), precision))
    assert full.get_inputs()[0].shape[1:] == [32, 32, 3]
    assert full.get_outputs()[1].shape[1:] == [8, 8]


@pytest.mark.parametrize("precision", FORMS)
def test_one_picture_output_unless_heat_maps_are_asked_for(precision: Precision) -> None:
    model = model_of(random_generator(LIGHT), precision, heatmap=False)
    assert [(v.name, v.type.tensor_type.elem_type) for v in model.graph.input] == [("image", onnx.TensorProto.UINT8)]
    assert [(v.name, v.type.tensor_type.elem_type) for v in model.graph.output] == [
        ("translated", onnx.TensorProto.UINT8)
    ]
    asked = model_of(random_generator(LIGHT), precision)
    assert [v.name for v in asked.graph.output] == ["translated", "heatmap"]
    assert len(asked.graph.node) > len(model.graph.node)


@pytest.mark.parametrize("precision", FORMS)
def test_model_is_valid_and_says_what_it_is(precision: Precision) -> None:
    model = model_of(random_generator(LIGHT), precision)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert OPSET == 20
    described = {entry.key: entry.value for entry in model.metadata_props}[METADATA_KEY]
    assert EngineSpec.from_json(None, described) == spec_of(LIGHT, precision)  # type: ignore[arg-type]


def tensorrt_model(
    generator: Generator, precision: Precision, size: tuple[int, int], batch: int | None, plugins: bool
) -> onnx.ModelProto:
    """What TensorRT would parse."""
    folded = fold(generator)
    folded = folded.half_precision() if precision == "fp16" else folded
    spec = replace(spec_of(generator.config, precision), kind="tensorrt", any_size=False, height=size[0], width=size[1])
    shapes = PluginShapes.of(folded, batch or 1, *size) if plugins else None
    form: Form = "convolutions" if plugins else "channels last"
    return to_onnx(folded, spec, form=form, batch=batch, plugins=shapes)


@pytest.mark.parametrize("plugins", [False, True])
@pytest.mark.parametrize("precision", FORMS)
@pytest.mark.parametrize(
    ("config", "size"),
    [(LIGHT, (32, 32)), (LIGHT, (36, 52)), (FULL, (32, 32)), (replace(LIGHT, ch=64, n_res=1), (64, 48))],
)
def test_what_tensorrt_parses_equals_the_reference(
    config: GeneratorConfig, size: tuple[int, int], precision: Precision, plugins: bool
) -> None:
    generator = random_generator(config)
    pictures = random_pictures(2, *size)

    model = tensorrt_model(generator, precision, size, 2, plugins)
    onnx.checker.check_model(model, full_check=True)
    image, heatmap = session_of(model).run(None, {"image": pictures})

    assert difference(image, exact_pictures(generator, pictures)).passes(precision)
    tolerance = 1e-4 if precision == "fp32" else 0.05
    np.testing.assert_allclose(heatmap, reference_heatmaps(generator, pictures), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("plugins", [False, True])
@pytest.mark.parametrize("config", [LIGHT, FULL])
def test_tensorrt_is_given_functions_for_plugins_alone(config: GeneratorConfig, plugins: bool) -> None:
    """Its parser inlines a function under the names inside, and has uint8 for the network's own ends alone."""
    model = tensorrt_model(random_generator(config), "fp16", (32, 32), 1, plugins)
    functions = {function.name for function in model.functions}
    assert functions == ({STATS, APPLY, APPLY_ADD} if plugins else set())
    nodes = model.graph.node
    assert len({node.name for node in nodes}) == len(nodes)
    (end,) = [node for node in nodes if node.output[0] == "translated"]
    assert (end.op_type, end.attribute[0].i) == ("Cast", onnx.TensorProto.UINT8)
    assert [node.op_type for node in nodes if "image" in node.input] == ["Cast"]


@pytest.mark.parametrize("form", ["convolutions", "channels last"])
def test_means_far_from_zero_keep_their_variance(form: Form) -> None:
    """Statistics of layers whose channels all have a large mean: a square of it must not swallow the rest."""
    tensors = fold(random_generator(LIGHT)).tensors()
    torch.manual_seed(5)
    for name in [name for name in tensors if name.startswith(("decoder", "up")) and name.endswith("rho")]:
        tensors[name.replace("rho", "bias")] = 1000 + torch.randn(len(tensors[name]))
    folded = FoldedGenerator(LIGHT, tensors)
    pictures = random_pictures(1, 32, 32)
    image = run_form(form, folded, pictures)
    assert np.abs(image.astype(int) - folded(torch.from_numpy(pictures))[0].numpy().astype(int)).max() <= 1


def run_form(form: Form, folded: FoldedGenerator, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    builder = OnnxBuilder()
    image, _ = folded.graph(operations_of(form, builder, folded), "image")
    drop_unused(builder, {image})
    result = onnx.helper.make_tensor_value_info(image, onnx.TensorProto.UINT8, None)
    given = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", "h", "w", 3])
    found: NDArray[np.uint8] = session_of(builder.model([given], [result], "0")).run(None, {"image": pictures})[0]
    return found


def test_shapes_for_tensorrt_are_fixed_where_the_batch_is() -> None:
    sizes = [
        [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
        for batch in (3, None)
        for value in tensorrt_model(random_generator(LIGHT), "fp16", (32, 36), batch, True).graph.input
    ]
    assert sizes == [[3, 32, 36, 3], ["batch", 32, 36, 3]]


def test_nodes_for_plugins_carry_what_tensorrt_needs() -> None:
    model = tensorrt_model(random_generator(LIGHT), "fp16", (32, 32), 1, plugins=True)
    ours = [node for node in model.graph.node if node.domain == DOMAIN]
    defined = {function.name for function in model.functions}
    assert {node.op_type for node in ours} == defined
    assert not {op for op in defined if onnx.defs.has(op)}  # TensorRT's parser ignores the domain of a known operator
    for node in ours:
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        is_plugin = node.op_type in (STATS, APPLY, APPLY_ADD)
        assert attributes.get("plugin_namespace") == (DOMAIN.encode() if is_plugin else None)
        assert attributes.get("aot") == (1 if is_plugin else None)
        if is_plugin:  # numbers are lists: bindings before 11.2 can't read a single one beside NumPy 2.4
            own = {name: value for name, value in attributes.items() if name not in ("plugin_namespace", "aot")}
            assert all(isinstance(value, list | bytes) for value in own.values())
    native = tensorrt_model(random_generator(LIGHT), "fp16", (32, 32), 1, plugins=False)
    assert not [node for node in native.graph.node if any(a.name == "plugin_namespace" for a in node.attribute)]


@given(st.integers(1, 64), st.sampled_from([8, 64, 128]), st.integers(2, 80), st.integers(2, 80))
def test_splits_are_equal_runs_of_pixels(batch: int, ch: int, height: int, width: int) -> None:
    pixels = {ch << i: (4 * height >> i) * (4 * width >> i) for i in range(3)}
    shapes = PluginShapes(batch, pixels)
    for channels, count in pixels.items():
        splits = shapes.splits(channels)
        assert count % splits == 0
        assert 1 <= splits <= 32
        assert splits == 1 or count // splits >= 64


def test_half_precision_is_in_the_graph() -> None:
    """float16 weights and activations, float32 islands: nothing is left to a builder's flags."""
    folded = fold(random_generator(LIGHT)).half_precision()
    model = to_onnx(folded, spec_of(LIGHT, "fp16"), form="convolutions")
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["stem.weight"] == types["style.first"] == types["up.1.weight"] == onnx.TensorProto.FLOAT16
    assert types["decoder.0.0.rho"] == types["attention.bias"] == types["style.second"] == onnx.TensorProto.FLOAT
    inferred = onnx.shape_inference.infer_shapes(onnx.inliner.inline_local_functions(model), data_prop=True)
    element = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    for node in inferred.graph.node:
        if node.op_type in ("ReduceMean", "ReduceSum", "Gemm", "Sqrt", "Tanh"):
            assert {element.get(name, types.get(name)) for name in node.output} <= {onnx.TensorProto.FLOAT, None}
        if node.op_type == "Conv":
            assert element[node.output[0]] == onnx.TensorProto.FLOAT16


def test_a_form_per_purpose() -> None:
    """Pixel rows have no convolution, no pad and no transposed activation; convolutions gather no windows."""
    rows = {node.op_type for node in model_of(random_generator(LIGHT), "fp32").graph.node}
    assert not {"Conv", "Pad", "InstanceNormalization"} & rows
    convolutions = model_of(random_generator(LIGHT), "fp16").graph
    indices = {node.input[1] for node in convolutions.node if node.op_type == "Gather"}
    sizes = {one.name: math.prod(one.dims) for one in convolutions.initializer}
    assert {sizes[name] for name in indices} <= {1}  # one channel's mean, which the others are compared with


@pytest.mark.parametrize("size", [None, (36, 32)], ids=["any size", "one size"])
@pytest.mark.parametrize("form", [form for form in get_args(Form) if form != "bytes"])  # test_onnx_quantised.py has it
def test_biases_and_encoder_gains_of_other_checkpoints(form: Form, size: tuple[int, int] | None) -> None:
    """Tensors that today's published PyTorch checkpoints lack, and others have, reach every form."""
    generator = random_generator(LIGHT)
    tensors = fold(generator).tensors()
    torch.manual_seed(5)
    for name in list(tensors):
        part, _, kind = name.rpartition(".")
        if kind == "weight" and part != "attention":
            outputs = 3 if part == "out" else len(tensors.get(f"{part}.rho", tensors[name]))
            tensors[f"{part}.bias"] = torch.randn(outputs)
            if part.startswith(("stem", "down", "encoder")):
                tensors[f"{part}.gamma"], tensors[f"{part}.beta"] = torch.rand(outputs) + 0.5, torch.randn(outputs)
                del tensors[f"{part}.bias"]  # cancels
    for i, outputs in enumerate((32, 32, 64)):
        tensors[f"style.bias{i + 1}"] = torch.randn(outputs)
    folded = FoldedGenerator(replace(LIGHT, unbiased=False), tensors)
    builder = OnnxBuilder()
    image, _ = folded.graph(operations_of(form, builder, folded, size), "image")
    drop_unused(builder, {image})
    result = onnx.helper.make_tensor_value_info(image, onnx.TensorProto.UINT8, None)
    given = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", "h", "w", 3])
    session = session_of(builder.model([given], [result], "0"))

    for pictures in (random_pictures(2, 36, 32), np.full((1, 36, 32, 3), 77, np.uint8)):
        expected = folded(torch.from_numpy(pictures))[0].numpy()
        translated = session.run(None, {"image": pictures})[0]
        assert np.abs(translated.astype(int) - expected.astype(int)).max() <= 1
