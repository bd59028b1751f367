"""Where an engine drifts: the same network stage by stage, in the engine's precision beside float32.

An engine gives away its last values only. What is compared here is what it was made from: for cuda the engine's own
weights and operations, on the GPU where there is one; for TensorRT, and float16 in ONNX Runtime, the ONNX graph in ONNX
Runtime. That shows what precision does at every stage, not what kernels of TensorRT's choice do: to see into a plan its
stages would have to be outputs, and then TensorRT would fuse it otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.cuda import load_folded
from ugatit_fast.backends.runtimes import article, runtime_of
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.checkpoint import Checkpoint
from ugatit_fast.choices import Form, Precision
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError
from ugatit_fast.export.onnx_builder import OnnxBuilder
from ugatit_fast.export.onnx_graph import operations_of
from ugatit_fast.export.onnx_styles import STYLE, style_inputs
from ugatit_fast.export.verify import sample_pictures
from ugatit_fast.graph import FoldedNetwork, TorchOperations

AnyArray = NDArray[np.generic]
"""Of whatever dtype the stage has."""

DRIFT: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 1e-1, "fp8": 1e-1}
"""Relative error (root mean square) of a stage that rounding to this precision doesn't explain."""
STAGES = (
    *("normalise", "stage", "up_stage", "wide_up_stage", "halve", "double", "with_constants", "attend"),
    *("preactivated", "joined_onto", "pooled", "doubled_onto"),
)
"""The verbs whose results are activations (n, c, h, w)."""


@dataclass(frozen=True)
class Walk:
    """Relative error of every stage, in the order of the network."""

    precision: Precision
    errors: tuple[tuple[str, float], ...]

    @property
    def first_drift(self) -> str | None:
        return next((stage for stage, error in self.errors if not error <= DRIFT[self.precision]), None)

    def describe(self) -> str:
        """A line a stage, and where it drifts first."""
        lines = [f"{stage:16} {error:.1e}" for stage, error in self.errors]
        found = f"drifts at {self.first_drift}" if self.first_drift else "no stage drifts"
        return "\n".join(
            ["relative error by stage:", *lines, f"{found} (beyond {DRIFT[self.precision]:.0e} for {self.precision})"]
        )


class Recorder:
    """`Operations` that also keep the results of the stages."""

    def __init__(self, operations: object) -> None:
        self.operations = operations
        self.seen: list[tuple[str, Any]] = []

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self.operations, verb)
        if verb not in STAGES:
            return method

        def recorded(*arguments: object, **options: object) -> object:
            value = method(*arguments, **options)
            self.seen.append((f"{len(self.seen)} {verb}", value))
            return value

        return recorded


def subject_of(engine: Path, spec: EngineSpec) -> str:
    """What of an engine is compared, in words. InputError for one whose stages have no counterpart."""
    runtime = runtime_of(engine, spec)
    if runtime.forms[spec.precision] == "rows":
        raise InputError(
            f"--layers can't look into an onnxruntime engine in {spec.precision}: it computes with pixel rows, which "
            "have no counterpart in the reference; build it with --precision fp16 to look at that"
        )
    if spec.eight_bits:
        raise InputError(
            f"--layers can't look into {article(spec.kind)} engine in {spec.precision}: its description doesn't have "
            "the scales that its graph was written with; build it with --precision fp16 to look at that"
        )
    if runtime.contents == "tensors":
        where = "in plain PyTorch on the CPU, since there is no GPU" if runtime.missing("run") else "on the GPU"
        return f"the engine's own weights and operations, {where}"
    if runtime.contents == "plans":
        return "the ONNX graph that its plans were built from, in ONNX Runtime: what kernels of TensorRT do isn't seen"
    return "the engine's graph, in ONNX Runtime"


def walk(engine: Path, spec: EngineSpec, source: Checkpoint) -> Walk:
    """Compare the stages on one photograph. InputError as of `subject_of`."""
    subject_of(engine, spec)
    runtime = runtime_of(engine, spec)
    form = runtime.forms[spec.precision]
    picture = sample_pictures(spec)[:1]
    folded = source.folded()
    style = style_for(spec, None)
    reference = torch_stages(folded, picture, style)
    if runtime.contents == "tensors":
        device = "cpu" if runtime.missing("run") else "cuda"
        ours = torch_stages(load_folded(engine, spec).to(device), picture, style, device)
    else:
        ours = onnx_stages(folded.half_precision() if spec.precision == "fp16" else folded, form, picture, style)
    pairs = zip(reference, ours, strict=True)
    return Walk(spec.precision, tuple((stage, relative_error(exact, value)) for (stage, exact), (_, value) in pairs))


def relative_error(exact: AnyArray, value: AnyArray) -> float:
    """Root mean square of the difference over that of the exact values; infinite where values aren't finite."""
    truth = exact.astype(np.float64)
    error = float(np.sqrt(np.square(value.astype(np.float64) - truth).mean() / max(np.square(truth).mean(), 1e-30)))
    return error if np.isfinite(error) else float("inf")


@torch.inference_mode()
def torch_stages(
    folded: FoldedNetwork, picture: Images, style: Style | None, device: str = "cpu"
) -> Iterator[tuple[str, AnyArray]]:
    operations = TorchOperations.of(folded.stem)
    operations.given = None if style is None else torch.from_numpy(style)
    recorder = Recorder(operations)
    folded.graph(recorder, torch.from_numpy(picture).to(device))
    for stage, value in recorder.seen:
        yield stage, value.float().cpu().numpy()


def onnx_stages(
    folded: FoldedNetwork, form: Form, picture: Images, style: Style | None
) -> Iterator[tuple[str, AnyArray]]:
    builder = OnnxBuilder()
    recorder = Recorder(operations_of(form, builder, folded))
    folded.graph(recorder, "image")
    dtype = helper.np_dtype_to_tensor_dtype(folded.stem.weight.numpy().dtype)
    model = builder.model(
        [helper.make_tensor_value_info("image", TensorProto.UINT8, list(picture.shape)), *style_inputs(folded)],
        [helper.make_tensor_value_info(name, dtype, None) for _, name in recorder.seen],
        "stages",
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"image": picture} if style is None else {"image": picture, STYLE: style}
    values = session.run([name for _, name in recorder.seen], given)
    for (stage, _), value in zip(recorder.seen, values, strict=True):
        yield stage, np.moveaxis(value, 3, 1) if form == "channels last" else value
