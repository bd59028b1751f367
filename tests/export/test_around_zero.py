"""Eight bits around zero: the numbers, the shipped pair's pictures, and the graph for TensorRT in ONNX Runtime."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto

from tests.conftest import LIGHT, random_generator
from tests.export.test_int8_rows import BY_CONVOLUTIONS, NETWORKS, eight_bits, in_turn, psnr
from tests.export.test_onnx_graph import spec_of
from ugatit_fast.assets import shipped_weights
from ugatit_fast.backends import gpu
from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.choices import Direction, Form, Precision
from ugatit_fast.export.around_zero import FLOAT8, INT8, NUMBERS, AroundZero
from ugatit_fast.export.calibration import calibrate, calibration_pictures
from ugatit_fast.export.eight_bits import EightBits, emulate
from ugatit_fast.export.kernel_rounding import with_rounded_kernels
from ugatit_fast.export.layer_choice import LayerChoice, Measure, emulating
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.export.plugin_contract import PluginShapes
from ugatit_fast.export.verify import exact_pictures
from ugatit_fast.fold import fold

SIDE = 32
FLOORS: dict[Precision, float] = {"int8": 54, "fp8": 49}
"""PSNR of the shipped pair in an emulation, in dB: what TensorRT's convolutions do to its pictures."""


@given(st.floats(2**-6, 3e4, width=32))
@pytest.mark.parametrize("numbers", [INT8, FLOAT8])
def test_no_value_is_beyond_the_ends(numbers: AroundZero, largest: float) -> None:
    scale = numbers.scale(largest)
    assert scale == np.float16(scale)
    x = torch.linspace(-largest, largest, 501)
    assert (x.abs() / scale).max() <= numbers.largest
    error = (numbers.nearest(x / scale) * scale - x).abs()
    half_a_step = 0.5 * scale if numbers is INT8 else (x.abs() / 16).clamp_min(2**-10 * scale)
    assert (error <= half_a_step * 1.001).all()


def test_kernels_have_a_scale_an_output_channel() -> None:
    weight = torch.randn(4, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[1] *= 1e-3
    weight[2] = 0
    for numbers, nearness in ((INT8, 0.01), (FLOAT8, 0.04)):
        stored, scale = numbers.kernels(weight.numpy())
        error = stored * torch.from_numpy(scale.astype(np.float32))[:, None, None, None] - weight
        assert error[0].norm() < nearness * weight[0].norm()
        assert error[1].norm() < 1.1 * nearness * weight[1].norm()
        assert error[3].norm() < nearness * weight[3].norm()
        assert not stored[2].any()
        kept = numbers.tensor(stored, "w")
        assert (len(kept.raw_data), kept.data_type) == (weight.numel(), numbers.onnx_type)


@pytest.mark.parametrize("precision", NUMBERS)
def test_the_shipped_network_keeps_its_pictures(precision: Precision) -> None:
    """In all places that TensorRT has eight bits for."""
    source, measure, eight = shipped("B2A", precision)
    assert {"down.1", "encoder.0.0", "decoder.0.1", "up.0"} <= set(eight.spans)
    assert source.config.n_res == 4
    assert len(eight.spans) == 20
    found = measure(eight)
    assert found.passes(precision)
    assert found.psnr_db > FLOORS[precision]


@pytest.mark.parametrize(("precision", "fewest"), [("int8", 12), ("fp8", 4)])
def test_where_it_costs_too_much_it_stays_float16(precision: Precision, fewest: int) -> None:
    """The other direction draws hard lines, and half the margin is gone without the trunk."""
    _, measure, eight = shipped("A2B", precision)
    assert not measure(eight).passes(precision)
    right = LayerChoice(eight, measure).right()
    facts = right.facts()
    assert measure(right).passes(precision)
    assert fewest <= len(right.spans) < len(eight.spans)
    assert not right.fine
    assert {"stem", "attention", "out"} < set(facts.layers_in_float16)
    assert (facts.layers_in_float32, facts.rest) == ((), f"float16: {', '.join(facts.layers_in_float16)}")


def shipped(direction: Direction, precision: Precision) -> tuple[Checkpoint, Measure, EightBits]:
    """A shipped network, all of its trunk in eight bits, and what measures it beside the reference."""
    source = read_checkpoint(shipped_weights(direction), direction)
    pictures = calibration_pictures(None, (64, 64))
    folded = source.folded()
    eight = EightBits.of(folded, calibrate(folded, pictures)).for_tensor_cores(NUMBERS[precision])
    measure = emulating(pictures, exact_pictures(source.generator(), pictures))
    return source, measure, with_rounded_kernels(eight, pictures)


# The graph --------------------------------------------------------------------------------------------------------


def photos() -> list[np.ndarray]:
    return calibration_pictures(None, (SIDE, SIDE))


def model_of(eight: EightBits, precision: Precision, *, plugins: bool = False) -> ModelProto:
    """What TensorRT parses."""
    folded = eight.folded.half_precision()
    spec = replace(spec_of(LIGHT, precision, heatmap=False), kind="tensorrt", any_size=False, height=SIDE, width=SIDE)
    shapes = PluginShapes.of(folded, 1, SIDE, SIDE) if plugins else None
    form: Form = "convolutions" if plugins else RUNTIMES["tensorrt"].forms[precision]
    return to_onnx(folded, spec, form=form, batch=1, plugins=shapes, eight=eight)


@pytest.fixture(scope="module")
def light() -> EightBits:
    return eight_bits(fold(random_generator(LIGHT)))


@pytest.mark.parametrize("plugins", [False, True], ids=["native", "triton"])
@pytest.mark.parametrize("precision", NUMBERS)
def test_onnx_runtime_is_the_emulation(precision: Precision, plugins: bool) -> None:
    """With either kernels' norms. float16 turns a rounding here and there, which the next ones carry on: so two places
    alone are the emulation's, and all of them as far from float32 as it is.
    """
    folded = read_checkpoint(shipped_weights("A2B"), "A2B").folded()
    all_places, pictures = eight_bits(folded).for_tensor_cores(NUMBERS[precision]), photos()
    exact = emulate(all_places.only([]), pictures)
    for count in (2, len(all_places.spans)):
        eight = all_places.only(list(all_places.spans)[:count])
        model = model_of(eight, precision, plugins=plugins)
        onnx.checker.check_model(model, full_check=True)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        made = np.concatenate([session.run(None, {"image": picture[None]})[0] for picture in pictures])
        emulated = emulate(eight, pictures)
        assert abs(psnr(made, exact) - psnr(emulated, exact)) < 1
        if count == 2:
            assert psnr(made, emulated) > psnr(made, exact) + 3


@pytest.mark.parametrize("name", ["cut", "munit", *BY_CONVOLUTIONS])
def test_other_generators_are_their_emulation_too(name: str) -> None:
    eight, pictures = eight_bits((NETWORKS | BY_CONVOLUTIONS)[name]).for_tensor_cores(INT8), photos()
    assert eight.has_bytes
    model = model_of(eight, "int8")
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = np.concatenate([session.run(None, feed)[0] for feed in in_turn(model, np.stack(pictures))])
    assert psnr(made, emulate(eight, pictures)) > 45


@pytest.mark.parametrize("precision", NUMBERS)
def test_the_graph_is_one_that_tensorrt_fuses(light: EightBits, precision: Precision) -> None:
    """Every kernel of the trunk in bytes behind a scale an output channel; activations by one scale, of rank 0."""
    eight = light.for_tensor_cores(NUMBERS[precision])
    graph = model_of(eight, precision).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    quantised = [node for node in convolutions if node.input[1] not in stored]
    assert (len(quantised), len(convolutions)) == (len(eight.spans), len(eight.spans) + 3)
    for node in quantised:
        read, kernel = (makers[name] for name in node.input)
        numbers, scale, zero = (stored[name] for name in kernel.input)
        assert numbers.data_type == zero.data_type == NUMBERS[precision].onnx_type
        assert (list(scale.dims), scale.data_type) == ([numbers.dims[0]], TensorProto.FLOAT16)
        rounded = makers[read.input[0]]
        assert (read.op_type, rounded.op_type) == ("DequantizeLinear", "QuantizeLinear")
        assert list(rounded.input[1:]) == list(read.input[1:])
        assert [list(stored[name].dims) for name in read.input[1:]] == [[], []]


def test_a_network_without_wide_layers_has_no_bytes() -> None:
    narrow = eight_bits(fold(random_generator(replace(LIGHT, ch=6))))
    assert not narrow.for_tensor_cores(INT8).has_bytes


# Which GPUs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "asked", "old"),
    [
        ("fp8", ("sm_75", "sm_86", "sm_89"), "sm_75, sm_86"),
        ("fp8", ("sm_89", "sm_120"), None),
        ("fp8", ("ampere",), None),
        ("int8", ("sm_80", "sm_90"), None),
        ("fp16", ("sm_75",), None),
    ],
)
def test_float8_is_for_gpus_from_ada_on(precision: Precision, asked: tuple[str, ...], old: str | None) -> None:
    reason = RUNTIMES["tensorrt-rtx"].too_old(precision, asked)
    assert reason == (old and f"fp8 is for GPUs from Ada (sm_89) on, not for {old}; choose --precision int8 or fp16")


@pytest.mark.parametrize(("capability", "refused"), [(80, True), (86, True), (89, False), (90, False)])
def test_tensorrt_builds_for_the_gpu_that_is_here(
    monkeypatch: pytest.MonkeyPatch, capability: int, refused: bool
) -> None:
    monkeypatch.setattr(gpu, "open_gpu", lambda: SimpleNamespace(capability=capability))
    assert (RUNTIMES["tensorrt"].too_old("fp8", ()) is not None) == refused
    assert RUNTIMES["tensorrt"].too_old("int8", ()) is None
