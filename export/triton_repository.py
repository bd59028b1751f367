"""Engine -> a model of NVIDIA's Triton Inference Server (no relation of the Triton language that our kernels are in).

    REPOSITORY/NAME/config.pbtxt     what the model takes and gives, and how requests are put together to batches
    REPOSITORY/NAME/1/model.onnx     or model.plan: the engine as its own runtime reads it, without us

Two engines, one for each direction, make two models of one repository.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ugatit_fast.backends.runtimes import RUNTIMES, Server, article, runtime_of
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.errors import EngineError, ExportError, InputError
from ugatit_fast.files import partial_name, write_errors

NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that need no quoting, in the server's addresses or in its configuration."""
ANY_BATCH = 8
"""Largest batch of an engine for any number, unless told otherwise."""


@dataclass(frozen=True)
class TritonModel:
    """A model that was written."""

    folder: Path
    needs: str
    """What the server must have for it, in words."""


def export_triton_repo(
    engine: str | Path,
    repository: str | Path,
    *,
    name: str | None = None,
    max_batch: int | None = None,
    max_wait_ms: float = 5,
    overwrite: bool = False,
) -> TritonModel:
    """Write an engine into a model repository, which is made if missing.

    engine: an onnxruntime engine, or a tensorrt engine with one plan for all batch sizes.
    name: of the model; the engine file's unless given.
    max_batch: most pictures in one batch; what the engine was built for, or 8 for an engine for any number.
    max_wait_ms: how long a request waits for others to share its batch, in milliseconds. The server makes no batches
    for an engine for CPUs, which gains nothing from them.
    overwrite: let it take the place of a model of the same name.
    Raises EngineError (no engine, damaged), ExportError (the server has nothing to run it with), InputError.
    """
    engine, repository = Path(engine), Path(repository)
    spec = read_spec(engine)
    refuse_unservable(engine, spec)
    name = engine.stem if name is None else name
    if not NAMES.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a model: expected letters, digits, . _ and -; choose one with --name"
        )
    largest = max(spec.batch_sizes, default=None)
    max_batch = (largest or ANY_BATCH) if max_batch is None else max_batch
    if max_batch < 1 or max_batch > (largest or max_batch):
        raise InputError(f"the engine takes batches of 1 to {largest or 'any number'}, got --max-batch {max_batch}")
    if not 0 <= max_wait_ms <= 60_000:
        raise InputError(f"expected a wait of 0 to 60000 ms, got {max_wait_ms}")

    target = repository / name
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; replace it with --overwrite, or choose another --name")
    with write_errors(target):
        repository.mkdir(parents=True, exist_ok=True)
        partial = partial_name(target)
        try:
            version = partial / "1"
            version.mkdir(parents=True)
            write_model(engine, spec, version)
            (partial / "config.pbtxt").write_text(config(spec, name, max_batch, max_wait_ms), encoding="utf-8")
            if target.exists():
                remove(target)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return TritonModel(target, needs_of(spec))


def refuse_unservable(engine: Path, spec: EngineSpec) -> None:
    """Raises ExportError where none of the server's backends runs the engine."""
    if runtime_of(engine, spec).server is None:
        raise ExportError(
            f"{engine} is {article(spec.kind)} engine, which no backend of the Triton Inference Server runs; "
            "build one with --backend onnxruntime, or with --backend tensorrt --dynamic-batch"
        )
    if spec.style_length:
        raise ExportError(
            f"{engine} takes a style, one for all pictures of a call, for which the Triton Inference Server's batches "
            "have no place; serve it with ugatit-fast serve"
        )
    if spec.tensorrt and not spec.tensorrt.dynamic_batch:
        raise ExportError(
            f"{engine} has a plan of fixed shapes for each batch size, and the Triton Inference Server makes its "
            "batches within one plan; build it again with --dynamic-batch"
        )


def write_model(engine: Path, spec: EngineSpec, folder: Path) -> None:
    target = folder / server_of(spec).file
    if RUNTIMES[spec.kind].contents == "graph":
        shutil.copyfile(engine, target)
        weights = engine.with_name(engine.name + ".data")
        if weights.exists():  # past 2 GB; the model names this file
            shutil.copyfile(weights, folder / weights.name)
        return
    try:
        with safe_open(engine, "np") as file:
            (plan,) = file.keys()
            file.get_tensor(plan).tofile(target)
    except (SafetensorError, ValueError) as error:
        raise EngineError(f"{engine} is truncated or damaged ({error}); copy it again or build it again") from error


def remove(model: Path) -> None:
    """Delete a model of ours or of the server's. InputError for anything else, which might be somebody's photos."""
    if not (model / "config.pbtxt").is_file():
        raise InputError(f"{model} is no model of a Triton Inference Server; choose another --name")
    shutil.rmtree(model)


def server_of(spec: EngineSpec) -> Server:
    """How the server runs an engine that `refuse_unservable` let pass."""
    server = RUNTIMES[spec.kind].server
    assert server is not None
    return server


def for_cpus(spec: EngineSpec) -> bool:
    """Whether the graph is pixel rows, the form for ONNX Runtime's CPU."""
    return RUNTIMES[spec.kind].forms[spec.precision] == "rows"


def needs_of(spec: EngineSpec) -> str:
    backend, facts = server_of(spec).backend, spec.tensorrt
    if facts is None:
        return f"the {backend} backend with ONNX Runtime 1.20 or newer"
    return (
        f"the {backend} backend with TensorRT {facts.tensorrt_version} exactly, and a GPU of {facts.gpu_architecture}"
    )


def config(spec: EngineSpec, name: str, max_batch: int, max_wait_ms: float) -> str:
    """The model's configuration, in the text form of the server's protobuf message ModelConfig."""
    backend, file = server_of(spec)
    height, width = (-1, -1) if spec.any_size else (spec.height, spec.width)
    quarter = (-1, -1) if spec.any_size else (spec.height // 4, spec.width // 4)
    outputs = [tensor("translated", "TYPE_UINT8", height, width, 3)]
    if spec.heatmap:
        outputs.append(tensor("heatmap", "TYPE_FP32", *quarter))
    kind = "KIND_GPU" if RUNTIMES[spec.kind].on_gpu else "KIND_CPU" if for_cpus(spec) else "KIND_AUTO"
    preferred = [size for size in spec.batch_sizes if 1 < size <= max_batch]
    sizes = f"height and width must be {spec.sides}" if spec.any_size else f"{spec.height} high, {spec.width} wide"
    return f"""\
# {spec.direction}, from ugatit-fast {spec.ugatit_fast_version}, checkpoint {spec.checkpoint_sha256[:12]}.
# Pictures are uint8 RGB, batch x height x width x 3; {sizes}.
name: "{name}"
backend: "{backend}"
default_model_filename: "{file}"
max_batch_size: {max_batch}
input [
{tensor("image", "TYPE_UINT8", height, width, 3)}
]
output [
{f",{chr(10)}".join(outputs)}
]
instance_group [
  {{ count: 1, kind: {kind} }}
]
{batching(spec, preferred, max_wait_ms)}
model_warmup [
{f",{chr(10)}".join(warmup(spec, size) for size in sorted({1, *preferred}))}
]
"""


def batching(spec: EngineSpec, preferred: list[int], max_wait_ms: float) -> str:
    """How the server puts requests together to batches."""
    if for_cpus(spec):
        return "# No dynamic_batching: one picture keeps all cores busy, and a batch takes the memory of as many."
    sizes = f"preferred_batch_size: {preferred}, " if preferred else ""
    return f"dynamic_batching {{ {sizes}max_queue_delay_microseconds: {round(max_wait_ms * 1000)} }}"


def tensor(name: str, data_type: str, *dims: int) -> str:
    return f'  {{ name: "{name}", data_type: {data_type}, dims: {list(dims)} }}'


def warmup(spec: EngineSpec, batch: int) -> str:
    """One empty batch before the first request, of the size that the engine was built for."""
    dims = [spec.height, spec.width, 3]
    return (
        f'  {{ name: "batch of {batch}", batch_size: {batch}, inputs {{ key: "image", '
        f"value {{ data_type: TYPE_UINT8, dims: {dims}, zero_data: true }} }} }}"
    )
