"""What runs where TensorRT for RTX is the real one (`real.real_rtx`): the command line, and engines on a stand-in.

The functions here are called in that process; it serves many tests, so each leaves it as it was.
"""

import hashlib
import importlib.util
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from tests.tensorrt.fake_gpu import FakeGpu
from ugatit_fast import Translator, cli
from ugatit_fast.backends import gpu
from ugatit_fast.export import plans, rtx_engine

HERE = Path(__file__).parent


class Rtx4090(FakeGpu):
    name = "NVIDIA GeForce RTX 4090"
    capability = 89


class H100(FakeGpu):
    name = "NVIDIA H100"
    capability = 90


CARDS = {None: None, "RTX 4090": Rtx4090, "H100": H100}


@contextmanager
def machine(card: str | None, **changes: str) -> Iterator[None]:
    """One with that card in it, or none; changes: of the names in the library, such as its version."""
    import tensorrt_rtx

    with pytest.MonkeyPatch.context() as patch:
        if found := CARDS[card]:
            patch.setattr(gpu, "TorchGpu", found)
            patch.setattr(tensorrt_rtx, "Runtime", stand_in().Runtime)
        for name, value in changes.items():
            patch.setattr(tensorrt_rtx, name, value)
        patch.setattr(rtx_engine, "plan_for", remembered)
        gpu.open_gpu.cache_clear()
        stand_in().Counts.contexts = None
        yield
    gpu.open_gpu.cache_clear()


def stand_in() -> Any:
    """The module; it needs the library, which is in this process only."""
    return import_module("tests.tensorrt.rtx_runtime")


PLAN_FOR, REWRITTEN = rtx_engine.plan_for, rtx_engine.without_matrix_products


def remembered(model: ModelProto, spec: Any, facts: Any, *arguments: Any) -> plans.Plan:
    """A plan by the real builder, and for the runtime that stands in, what it was built from."""
    shapes: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        config = plans.Network.config
        patch.setattr(plans.Network, "config", lambda network, given: shapes.extend(given) or config(network, given))
        plan = PLAN_FOR(model, spec, facts, *arguments)
    stand_in().GRAPHS[hashlib.sha256(plan).hexdigest()] = model.SerializeToString(), tuple(shapes)
    return plan


def command(*arguments: str | Path, card: str | None = None, **changes: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of the command line on that machine."""
    out, err = io.StringIO(), io.StringIO()
    with machine(card, **changes), redirect_stdout(out), redirect_stderr(err):
        code = cli.main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


class Ran:
    """What an engine made of batches."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.compiled: list[tuple[int, ...]] = []
        self.warnings: list[str] = []
        self.device = ""


def run(engine: Path, batches: list[np.ndarray], *, heatmap: bool = False, contexts: int | None = None) -> Ran:
    """On an RTX 4090 with memory for so many contexts."""
    ran = Ran()
    with machine("RTX 4090"), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        stand_in().Counts.compiled = ran.compiled
        stand_in().Counts.contexts = contexts
        with Translator(engine, heatmap=heatmap) as translator:
            ran.device = translator.device
            ran.results = [translator.run(batch) for batch in batches]
    ran.warnings = [str(one.message) for one in told]
    return ran


def error_with_matrix_products(checkpoint: Path, architecture: str) -> str:
    """What is said where the graph isn't rewritten for an architecture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtx_engine, "without_matrix_products", lambda model: model)
        arguments = ("--backend", "tensorrt-rtx", "--size", "32", "--gpu", architecture)
        return command("build-engine", checkpoint, "-o", checkpoint.with_suffix(".rtx"), *arguments)[2]


def command_with_wrong_sums(*arguments: str | Path) -> tuple[int, str, str]:
    """As `command`, with means for sums in Turing's linear layers."""

    def wrong(model: ModelProto) -> ModelProto:
        changed = REWRITTEN(model)
        for node in changed.graph.node:
            if node.op_type == "ReduceSum" and node.input[0].endswith("_products"):
                node.op_type = "ReduceMean"
        return changed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtx_engine, "without_matrix_products", wrong)
        return command(*arguments)


def contract(*sources: Path) -> tuple[int, str]:
    """Our sources and the stand-in above against the real binding, by contract.py: exit code, report."""
    import tensorrt_rtx

    found = importlib.util.spec_from_file_location("contract", HERE / "contract.py")
    assert found
    assert found.loader
    checker, out = importlib.util.module_from_spec(found), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setitem(sys.modules, "tensorrt", tensorrt_rtx)
        found.loader.exec_module(checker)
        code = checker.main(str(HERE / "rtx_runtime.py"), *map(str, sources))
    return code, out.getvalue()
