"""Eight bits by NVIDIA's real builder, without a GPU: that its plans have convolutions of bytes, and for which GPUs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tensorrt import under_real, under_rtx
from tests.tensorrt.real import Real
from ugatit_fast.assets import shipped_weights
from ugatit_fast.backends.plan_kernels import ends_eight_bits, generated_kernels, plans_of
from ugatit_fast.choices import Precision
from ugatit_fast.engine import read_spec

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(real_rtx: Real) -> Command:
    return lambda *arguments, **machine: real_rtx.call(under_rtx.command, *arguments, **machine)


def behind_eight_bits(engine: Path) -> list[int]:
    """Of each plan, how many kernels scale the sums of a convolution of bytes; of any shape, some are there twice."""
    return [sum(map(ends_eight_bits, generated_kernels(plan))) for _, plan in plans_of(engine)]


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_tensorrt_makes_convolutions_of_bytes(
    real_tensorrt: Real, light_checkpoint: Path, tmp_path: Path, precision: Precision
) -> None:
    path = tmp_path / "x.engine"
    said, places = real_tensorrt.call(under_real.eight_bit_engine, light_checkpoint, path, precision, (32, 32))
    assert behind_eight_bits(path) == [places]
    assert places == 11
    assert not [line for line in said.log if "scales to fp32" not in line]
    assert read_spec(path).precision == precision


def test_the_command_builds_them_for_rtx(command: Command, tmp_path: Path) -> None:
    """Calibrated, chosen, built, and the very graph held to the gate in ONNX Runtime; then what the file says."""
    path = tmp_path / "x.rtx"
    build = ("build-engine", shipped_weights("B2A"), "-o", path, "--backend", "tensorrt-rtx", "--size", "32")
    code, out, err = command(*build, "--precision", "int8", "--gpu", "sm_86,sm_120")
    assert (code, "against the float32 reference" in out) == (0, True), err
    spec = read_spec(path)
    assert spec.precision == "int8"
    assert spec.eight_bits is not None
    places = 20
    assert f"int8: {places} of 23 layers read one byte a value; float16: stem, attention, out" in err
    assert "checking the graphs that it was built from in ONNX Runtime" in err
    assert spec.eight_bits.layers_in_float16 == ("stem", "attention", "out")
    _, said, _ = command("inspect", path, "--kernels")
    assert re.search(r"plan.ampere +\d+ generated kernels, 0 of them transpositions, \d+ behind convolutions in", said)
    assert all(count >= places for count in behind_eight_bits(path))
    assert re.search(r"layers in float16 +stem, attention, out\n", said)


def test_int8_is_built_from_ampere_on(command: Command, tmp_path: Path) -> None:
    """Of Turing's, TensorRT for RTX makes convolutions in float16 behind kernels that widen bytes."""
    build = ("build-engine", shipped_weights("B2A"), "-o", tmp_path / "x.rtx", "--backend", "tensorrt-rtx")
    code, _, err = command(*build, "--precision", "int8", "--gpu", "sm_75,sm_86")
    assert (code, "int8 is for GPUs from Ampere (sm_80) on, not for sm_75; choose --precision fp16" in err) == (1, True)


def test_float8_is_built_from_ada_on(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "x.rtx"
    build = ("build-engine", shipped_weights("B2A"), "-o", path, "--backend", "tensorrt-rtx", "--precision", "fp8")
    code, _, err = command(*build, "--size", "32", "--gpu", "sm_86,sm_89")
    assert (code, "fp8 is for GPUs from Ada (sm_89) on, not for sm_86; choose --precision int8 or fp16" in err) == (
        1,
        True,
    )
    assert not path.exists()
    code, _, err = command(*build, "--size", "32")
    assert code == 0, err
    spec = read_spec(path)
    assert spec.tensorrt_rtx is not None
    assert spec.tensorrt_rtx.gpu_architectures == ("sm_89", "sm_120", "sm_121")
    assert [name for name, _ in plans_of(path)] == ["plan.ampere"]
    assert all(count >= 20 for count in behind_eight_bits(path))
