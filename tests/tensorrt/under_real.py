"""What runs where TensorRT is the real one (real.py): our own way to an engine, and what NVIDIA says on it."""

import os
import signal
import threading
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from tests.tensorrt.fake_gpu import FakeGpu
from ugatit_fast.backends import gpu
from ugatit_fast.backends.needs import TENSORRT
from ugatit_fast.backends.trt_library import Library
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.choices import Precision
from ugatit_fast.engine import EngineSpec
from ugatit_fast.export.around_zero import NUMBERS
from ugatit_fast.export.calibration import calibrate, calibration_pictures
from ugatit_fast.export.eight_bits import EightBits
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.graph import FoldedNetwork


@dataclass
class Said:
    """What a build tells."""

    log: list[str] = field(default_factory=list)
    """NVIDIA's warnings and errors."""
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    layers: int = 0
    """Of the last network."""


def network(
    checkpoint: Path, precision: Precision, *, heatmap: bool, batch: tuple[int, ...], size: tuple[int, int] | None
) -> tuple[FoldedNetwork, EngineSpec]:
    source = read_checkpoint(checkpoint)
    folded = source.folded()
    spec = EngineSpec.of(
        source,
        kind="tensorrt",
        any_size=False,
        precision=precision,
        size=size,
        batch_sizes=batch,
        heatmap=heatmap,
    )
    return folded.half_precision() if precision == "fp16" else folded, spec


def engine(
    checkpoint: Path,
    path: Path,
    precision: Precision,
    *,
    heatmap: bool = False,
    batch: tuple[int, ...] = (1,),
    size: tuple[int, int] | None = None,
    **options: Any,
) -> Said:
    """Write an engine file by our own builder, for a GPU that says it is an H200."""
    from ugatit_fast.export import tensorrt_engine

    said = Said()
    listen(said)
    folded, spec = network(checkpoint, precision, heatmap=heatmap, batch=batch, size=size)
    wanted = TensorRTOptions(**{"kernels": "native", "timing_cache": path.parent / "timings", **options})
    progress = lambda *step: said.progress.append(step)  # noqa: E731
    tensorrt_engine.write_tensorrt_engine(folded, spec, wanted, path, said.ours.append, progress)
    return said


def eight_bit_engine(checkpoint: Path, path: Path, precision: Precision, size: tuple[int, int]) -> tuple[Said, int]:
    """The same in eight bits wherever TensorRT has them, right or not; and in how many places that is."""
    from ugatit_fast.export import tensorrt_engine

    said = Said()
    listen(said)
    source = read_checkpoint(checkpoint)
    folded, pictures = source.folded(), calibration_pictures(None, size)
    eight = EightBits.of(folded, calibrate(folded, pictures)).for_tensor_cores(NUMBERS[precision])
    spec = EngineSpec.of(source, kind="tensorrt", any_size=False, precision=precision, size=size, batch_sizes=(1,))
    wanted = TensorRTOptions(kernels="native", timing_cache=path.parent / "timings")
    half = eight.folded.half_precision()
    tensorrt_engine.write_tensorrt_engine(
        half, replace(spec, eight_bits=eight.facts()), wanted, path, said.ours.append, lambda *_: None, eight=eight
    )
    return said, len(eight.spans)


def listen(said: Said) -> None:
    """Keep what TensorRT logs and how many layers a network has."""
    import tensorrt as trt

    from ugatit_fast.export import tensorrt_engine

    gpu.TorchGpu = FakeGpu  # type: ignore[misc, assignment]
    new_log, of_model = unpatched(Library, "log"), unpatched(tensorrt_engine, "network_of")

    def listening(library: Any) -> Any:
        kind = type(log := new_log(library))
        last_error = kind.log

        def kept(self: Any, severity: Any, msg: str) -> None:
            if severity <= trt.ILogger.WARNING:
                said.log.append(msg)
            last_error(self, severity, msg)

        kind.log = kept
        return log

    def counted(model: Any, library: Any) -> Any:
        found = of_model(model, library)
        said.layers = found.definition.num_layers
        return found

    Library.log = listening  # type: ignore[method-assign]
    tensorrt_engine.network_of = counted


def unpatched(owner: Any, name: str) -> Any:
    """What an attribute was before anything here replaced it: the process serves many tests."""
    key = (owner.__name__, name)
    return ORIGINALS.setdefault(key, getattr(owner, name))


ORIGINALS: dict[tuple[str, str], Any] = {}


@dataclass(frozen=True)
class Stopped:
    """A command that was interrupted."""

    code: int
    err: str
    stops: int
    """How often TensorRT asked and was told to stop."""
    still_building: bool


def interrupted(arguments: list[str], after: int) -> Stopped:
    """A command line of ours in which Ctrl-C is pressed once TensorRT has reported so many steps."""
    from ugatit_fast import cli
    from ugatit_fast.export import plans

    listen(Said())
    monitor_of = unpatched(plans, "monitor_of")
    answers: list[bool] = []

    def listening(*arguments: Any) -> Any:
        kind = type(monitor := monitor_of(*arguments))
        step_complete = kind.step_complete

        def pressed(self: Any, phase_name: str, step: int) -> bool:
            answers.append(step_complete(self, phase_name, step))
            if len(answers) == after:
                os.kill(os.getpid(), signal.SIGINT)
            return answers[-1]

        kind.step_complete = pressed
        return monitor

    plans.monitor_of = listening
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # in a background job it is ignored
    try:
        with redirect_stderr(StringIO()) as err:
            code = cli.main(arguments)
    finally:
        signal.signal(signal.SIGINT, handler)
        plans.monitor_of = monitor_of
    building = any(thread.name.startswith("tensorrt") for thread in threading.enumerate())
    return Stopped(code, err.getvalue(), answers.count(False), building)


def parsed(model: bytes) -> tuple[str, list[str]]:
    """What our error says where the parser refuses a model, and what NVIDIA warns of where it doesn't."""
    import onnx

    from ugatit_fast.errors import ExportError
    from ugatit_fast.export import tensorrt_engine

    said = Said()
    listen(said)
    try:
        tensorrt_engine.network_of(onnx.load_model_from_string(model), Library(TENSORRT))
    except ExportError as error:
        return str(error), said.log
    return "", said.log


def known_architectures() -> list[str]:
    """Those that TensorRT for RTX builds for, as it names them."""
    import tensorrt_rtx

    return [name for name in dir(tensorrt_rtx.ComputeCapability) if name.startswith("SM")]


def rtx_plan(model: bytes, architectures: list[str]) -> bytes:
    """A plan from TensorRT for RTX through its own binding; empty where it gives none."""
    import tensorrt_rtx as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model), parser.get_error(0).desc()
    config = builder.create_builder_config()
    config.num_compute_capabilities = len(architectures)
    for i, name in enumerate(architectures):
        config.set_compute_capability(getattr(trt.ComputeCapability, name), i)
    plan = builder.build_serialized_network(network, config)
    return bytes(plan) if plan is not None else b""


def auto(checkpoint: Path, path: Path) -> Said:
    """A build with --kernels auto, with times that would have ours win."""
    from ugatit_fast.export import tensorrt_engine

    tensorrt_engine.time_plan = lambda *_: 1.0
    return engine(checkpoint, path, "fp16", size=(32, 32), kernels="auto")


def registered_plugins() -> list[str]:
    """Names of ours in TensorRT's registry, once importing our module has put them there."""
    import tensorrt as trt

    import ugatit_fast.export.tensorrt_plugin  # noqa: F401 - registers them
    from ugatit_fast.export.onnx_builder import DOMAIN

    creators = trt.get_plugin_registry().all_creators
    return sorted(creator.name for creator in creators if creator.plugin_namespace == DOMAIN)
