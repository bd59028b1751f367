"""The runtimes: what each kind of engine is, what it needs, and how it is opened. One row a kind.

A new kind is a row of `RUNTIMES`, a short file that runs it, its name in `choices.EngineKind` and `BackendChoice`, and
a row of `export.build.WRITERS`. Nothing else tells kinds apart by their names. Importing this imports no library.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ugatit_fast.backends.needs import (
    BYTE_PRODUCTS,
    CUDA_TORCH,
    EIGHT_BITS_FROM,
    GPU,
    GPU_MEMORY,
    ONNX,
    ONNX_RUNTIME,
    OPENVINO,
    RTX_CARD,
    TENSORRT,
    TENSORRT_RTX,
    TORCH,
    TRITON,
    LibraryPart,
    Machine,
    Need,
    Part,
    ThisMachine,
    too_old_for,
)
from ugatit_fast.choices import (
    EIGHT_BITS,
    BackendChoice,
    Device,
    EngineKind,
    Form,
    Loading,
    Precision,
    Tune,
    check_choice,
    places_of,
)
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError
from ugatit_fast.files import SHARED_SUFFIX, own_kind
from ugatit_fast.machine import byte_products
from ugatit_fast.progress import Say

if TYPE_CHECKING:
    from ugatit_fast.backends.base import Backend

Contents = Literal["graph", "tensors", "plans", "weights"]
"""What is in an engine file: an ONNX graph, the folded network's tensors, or what TensorRT made of it. A checkpoint has
weights.
"""
Purpose = Literal["build", "run"]
Opener = Callable[[Path, EngineSpec, Loading, Say], "Backend"]
"""(engine file, its description, how to load it, where to say what takes time) -> ready to run"""
AS_USUAL = Loading()


class Server(NamedTuple):
    """How NVIDIA's Triton Inference Server runs an engine."""

    backend: str
    file: str
    """Name that the backend expects of the model's file."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What a kind of engine is. To be built and to be run are different questions: an engine may be built on a machine
    that can't run it.
    """

    kind: EngineKind
    suffix: str
    """Of its files; empty where it has none of its own."""
    contents: Contents
    forms: Mapping[Precision, Form]
    """The precisions that there are, and what form the graph has in each."""
    default_precision: Precision
    any_size: bool
    """Whether it serves any image size, which a light generator allows; the others are built for one."""
    any_batch: bool
    """Whether it serves any batch size as it is; the others are built for some."""
    on_gpu: bool
    """Whether it runs on an NVIDIA GPU and nowhere else."""
    to_build: tuple[Part, ...]
    """With what it takes to run where the file is made, or can only be proven, by running it."""
    to_run: tuple[Part, ...]
    options: tuple[str, ...] = ()
    """Of `export.options.TensorRTOptions`, those that building it takes."""
    open: Opener | None = None
    """Imports the runtime's library and loads an engine with it. None where there is no file to open."""
    unfit: Callable[[EngineSpec], str | None] = lambda _: None
    """(description) -> why an engine doesn't fit this machine, which can run others of its kind; None where it does"""
    too_old: Callable[[Precision, Sequence[str]], str | None] = lambda *_: None
    """(precision, architectures asked for) -> why no engine can be built so for a GPU's sake; None where one can"""
    describe: Callable[[Path], EngineSpec] | None = None
    """What its library says about a bare plan, which says nothing itself. None where it has no plans."""
    plan_magic: bytes = b""
    """How a bare plan begins; empty where that isn't known."""
    server: Server | None = None
    """None where the Triton Inference Server can't run it."""

    def lacking(self, purpose: Purpose, machine: Machine) -> list[Need]:
        """What a machine lacks to build or to run such engines, each thing once."""
        needs = (part.lack(machine) for part in (self.to_run if purpose == "run" else self.to_build))
        return [need for need in needs if need]

    def missing(self, purpose: Purpose, machine: Machine | None = None) -> str | None:
        """Why this machine can't build or run such engines, and after a semicolon what to do; None where it can."""
        needs = self.lacking(purpose, machine or ThisMachine())
        if not needs:
            return None
        cures = dict.fromkeys(need.cure for need in needs if need.cure)
        return "; ".join([f"needs {' and '.join(need.what for need in needs)}", *cures])

    def refusal(self, spec: EngineSpec) -> str | None:
        """Why this engine can't run here; None where it can."""
        return self.missing("run") or self.unfit(spec)

    def require(self, path: Path, device: Device) -> None:
        """BackendUnavailable where no engine of this kind runs on `device` here."""
        if self.on_gpu and device == "cpu":
            raise BackendUnavailable(
                f"{path} runs on an NVIDIA GPU: --device cpu can't run it; build an onnxruntime engine"
            )
        reason = self.missing("run")
        if reason and self.on_gpu:
            elsewhere = "" if self.missing("build") else " (building such engines works here)"
            raise BackendUnavailable(
                f"{path} runs on an NVIDIA GPU: {reason}{elsewhere}; or build an engine with --backend onnxruntime "
                "for the CPU"
            )
        if reason:
            raise BackendUnavailable(f"{path} can't be run here: {reason}")

    @property
    def libraries(self) -> tuple[LibraryPart, ...]:
        """What has to be installed to build and to run it."""
        parts = dict.fromkeys(self.to_run + self.to_build)
        return tuple(part for part in parts if isinstance(part, LibraryPart))

    @property
    def install(self) -> str:
        """What to type in the folder of the sources to get these libraries."""
        return f'pip install ".[{",".join(dict.fromkeys(part.extra for part in self.libraries))}]"'


def open_onnxruntime(path: Path, spec: EngineSpec, loading: Loading, say: Say) -> "Backend":
    from ugatit_fast.backends.ort import OrtBackend

    return OrtBackend(path, spec, device=places_of(loading.device).kind, threads=loading.threads, gpu=gpu_of(loading))


def open_cuda(path: Path, spec: EngineSpec, loading: Loading, say: Say) -> "Backend":
    from ugatit_fast.backends.cuda import CudaBackend

    return CudaBackend(path, spec, loading.tune, say, gpu=gpu_of(loading))


def open_tensorrt(path: Path, spec: EngineSpec, loading: Loading, say: Say) -> "Backend":
    from ugatit_fast.backends.trt_fit import check_fits

    check_fits(path, spec, gpu_of(loading))
    from ugatit_fast.backends.trt import TrtBackend

    return TrtBackend(path, spec, gpu_of(loading))


def open_openvino(path: Path, spec: EngineSpec, loading: Loading, say: Say) -> "Backend":
    if loading.device not in ("auto", "cpu"):
        raise BackendUnavailable(f"{path} multiplies bytes on the CPU: --device cuda can't run it; use --device cpu")
    from ugatit_fast.backends.openvino_engine import OpenVinoBackend

    return OpenVinoBackend(path, spec, threads=loading.threads)


def unfit_rtx(spec: EngineSpec) -> str | None:
    from ugatit_fast.backends.trt_fit import rtx_refusal

    return rtx_refusal(spec)


def describe_tensorrt_plan(path: Path) -> EngineSpec:
    from ugatit_fast.backends.trt import describe_plan

    return describe_plan(path)


def open_tensorrt_rtx(path: Path, spec: EngineSpec, loading: Loading, say: Say) -> "Backend":
    from ugatit_fast.backends.trt_fit import check_fits_rtx

    check_fits_rtx(path, spec, gpu_of(loading))
    from ugatit_fast.backends.trt_rtx import RtxBackend

    return RtxBackend(path, spec, gpu_of(loading))


def describe_rtx_plan(path: Path) -> EngineSpec:
    from ugatit_fast.backends.trt_rtx import describe_rtx_plan

    return describe_rtx_plan(path)


def gpu_too_old(precision: Precision, asked: Sequence[str]) -> str | None:
    """Of this machine's GPU, which is what TensorRT builds for. int8 it has for all that it knows."""
    from ugatit_fast.backends.gpu import architecture, open_gpu

    return None if precision != "fp8" else asked_too_old(precision, [architecture(open_gpu())])


def asked_too_old(precision: Precision, asked: Sequence[str]) -> str | None:
    """Of GPUs asked for by their architectures."""
    old = too_old_for(precision, asked)
    if not old:
        return None
    first, generation = EIGHT_BITS_FROM[precision]
    gpus = f"GPUs from {generation} (sm_{first}) on, not for {', '.join(old)}"
    return f"{precision} is for {gpus}; choose --precision {'int8 or fp16' if precision == 'fp8' else 'fp16'}"


TENSORRT_FORMS: Mapping[Precision, Form] = {
    "fp16": "channels last",
    "fp32": "channels last",
    "int8": "bytes around zero",
    "fp8": "bytes around zero",
}
ROWS: tuple[Runtime, ...] = (
    Runtime(
        kind="tensorrt",
        suffix=".engine",
        contents="plans",
        forms=TENSORRT_FORMS,
        default_precision="fp16",
        any_size=False,
        any_batch=False,
        on_gpu=True,
        to_build=(TORCH, ONNX, GPU, TENSORRT, GPU_MEMORY),
        to_run=(GPU, TENSORRT, GPU_MEMORY),
        open=open_tensorrt,
        describe=describe_tensorrt_plan,
        too_old=gpu_too_old,
        options=("kernels", "dynamic_batch", "optimization_level", "workspace_mib", "timing_cache", "keep_plan"),
        server=Server("tensorrt", "model.plan"),
    ),
    Runtime(
        kind="tensorrt-rtx",
        suffix=".rtx",
        contents="plans",
        forms=TENSORRT_FORMS,
        default_precision="fp16",
        any_size=True,
        any_batch=False,
        on_gpu=True,
        to_build=(TORCH, ONNX, ONNX_RUNTIME, TENSORRT_RTX),
        to_run=(GPU, TENSORRT_RTX, GPU_MEMORY, RTX_CARD),
        options=("keep_plan", "gpu"),
        open=open_tensorrt_rtx,
        unfit=unfit_rtx,
        describe=describe_rtx_plan,
        too_old=asked_too_old,
        plan_magic=b"vtrt",
    ),
    Runtime(
        kind="cuda",
        suffix=".safetensors",
        contents="tensors",
        forms={"fp16": "convolutions", "fp32": "convolutions"},
        default_precision="fp16",
        any_size=False,
        any_batch=False,
        on_gpu=True,
        to_build=(TORCH,),
        to_run=(GPU, TORCH, CUDA_TORCH, TRITON),
        open=open_cuda,
    ),
    Runtime(
        kind="openvino",
        suffix=".openvino",
        contents="graph",
        forms={"int8": "bytes"},
        default_precision="int8",
        any_size=True,
        any_batch=True,
        on_gpu=False,
        to_build=(TORCH, ONNX, OPENVINO, BYTE_PRODUCTS),
        to_run=(OPENVINO, BYTE_PRODUCTS),
        open=open_openvino,
    ),
    Runtime(
        kind="onnxruntime",
        suffix=".onnx",
        contents="graph",
        forms={"fp32": "rows", "fp16": "convolutions", "int8": "rows"},
        default_precision="fp32",
        any_size=True,
        any_batch=True,
        on_gpu=False,
        to_build=(TORCH, ONNX, ONNX_RUNTIME),
        to_run=(ONNX_RUNTIME,),
        open=open_onnxruntime,
        server=Server("onnxruntime", "model.onnx"),
    ),
    Runtime(  # a checkpoint, run by the reference network
        kind="eager",
        suffix="",
        contents="weights",
        forms={"fp32": "convolutions"},
        default_precision="fp32",
        any_size=True,
        any_batch=True,
        on_gpu=False,
        to_build=(),
        to_run=(TORCH,),
    ),
)
"""The fastest first: `--backend auto` takes the first that this machine can build and run."""
RUNTIMES: dict[EngineKind, Runtime] = {runtime.kind: runtime for runtime in ROWS}
BUILT = tuple(runtime for runtime in ROWS if runtime.suffix)
"""Those that engines are built for."""
PLAN_SUFFIX = ".plan"
"""Of bare plans."""


def is_engine(path: Path) -> bool:
    """Whether a file is an engine: one of ours by its description, or one that only engines and plans have the suffix
    of.
    """
    engines_only = {runtime.suffix for runtime in BUILT} - {SHARED_SUFFIX} | {PLAN_SUFFIX}
    return own_kind(path) == "engine" or path.suffix in engines_only


def runtime_of(path: Path, spec: EngineSpec) -> Runtime:
    """The runtime that an engine names. EngineError where this version doesn't know it."""
    runtime = RUNTIMES.get(spec.kind)
    if runtime is None or runtime not in BUILT:
        known = ", ".join(runtime.kind for runtime in BUILT)
        raise EngineError(
            f"{path} is an engine for {spec.kind}, which this version cannot run; it knows {known}: upgrade ugatit-fast"
        )
    return runtime


def describe_bare_plan(path: Path) -> EngineSpec:
    """What a plan without a description serves, as the library that it is for says. A plan can carry code.

    Raises EngineError (no plan of ours), BackendUnavailable.
    """
    with path.open("rb") as file:
        start = file.read(4)
    marked = (runtime for runtime in BUILT if runtime.plan_magic and runtime.plan_magic == start)
    runtime = next(marked, RUNTIMES["tensorrt"])
    runtime.require(path, "auto")
    assert runtime.describe is not None, "what has plans can say what they serve"
    return runtime.describe(path)


def gpu_of(loading: Loading) -> int | None:
    """The number of the GPU of one copy of an engine; None is the one that CUDA takes by itself."""
    return next(iter(places_of(loading.device).gpus), None)


def open_backend(path: Path, spec: EngineSpec, loading: Loading = AS_USUAL, say: Say = lambda _: None) -> "Backend":
    """The runtime that an engine names, loaded with it; its library is imported here and not before.

    On several GPUs there is a copy of the engine on each. say: called with a line where loading takes long. Raises
    InputError for a device that there can't be, EngineError (of a kind that nobody knows, damaged, for another machine)
    and BackendUnavailable, also for a GPU that isn't there.
    """
    kind, gpus = places_of(loading.device)
    check_choice("tune", loading.tune, Tune)
    runtime = runtime_of(path, spec)
    runtime.require(path, kind)
    require_gpus(gpus)
    assert runtime.open is not None, "what has a file can be opened"
    devices = [f"cuda:{gpu}" for gpu in gpus] or [loading.device]
    with ExitStack() as made:
        backends = [
            made.enter_context(closing(runtime.open(path, spec, replace(loading, device=device), say)))
            for device in devices
        ]
        made.pop_all()
    if len(backends) == 1:
        return backends[0]
    from ugatit_fast.backends.several import SeveralGpus

    return SeveralGpus(backends)


def require_gpus(gpus: Sequence[int]) -> None:
    """BackendUnavailable where there is no GPU of one of these numbers."""
    if not gpus:
        return
    from ugatit_fast.backends.driver import gpus_of_driver
    from ugatit_fast.backends.gpu_parts import GpuError

    try:
        count = gpus_of_driver()
    except GpuError as error:
        raise BackendUnavailable(f"cuda:{gpus[0]} can't be had: {error}; or use --device cpu") from error
    if missing := [gpu for gpu in gpus if gpu >= count]:
        there = {0: "there is no GPU here", 1: "there is 1 GPU here, cuda:0"}.get(
            count, f"there are {count} GPUs here, cuda:0 to cuda:{count - 1}"
        )
        raise BackendUnavailable(f"there is no cuda:{missing[0]}: {there}; choose among these")


def choose_backend(
    backend: BackendChoice,
    say: Say,
    machine: Machine | None = None,
    *,
    device: Device = "auto",
    precision: Precision | None = None,
    fast: bool = False,
) -> EngineKind:
    """The kind of engine to build; for auto the fastest that can be built and run here, saying why a faster one can't.

    machine: this one unless given. device, precision, fast: cpu leaves those for GPUs out of auto's choice, a precision
    those that don't have it, and no precision those that have eight bits only, unless speed is all that is asked for.
    Raises BackendUnavailable where what is asked for can't be built.
    """
    machine = machine or ThisMachine()
    if backend != "auto":
        if reason := RUNTIMES[backend].missing("build", machine):
            raise BackendUnavailable(f"{article(backend)} engine can't be built here: it {reason}")
        return backend
    able = [runtime for runtime in BUILT if (precision or runtime.default_precision) in runtime.forms]
    if precision is None and not fast:
        able = [runtime for runtime in able if runtime.default_precision not in EIGHT_BITS]
    return fastest([runtime for runtime in able if device != "cpu" or not runtime.on_gpu], say, machine)


def fastest(runtimes: Sequence[Runtime], say: Say, machine: Machine) -> EngineKind:
    """The first of `runtimes` that can be built and run on a machine. BackendUnavailable where none can."""
    passed_over = cures = ""
    for runtime in runtimes:
        reason = runtime.missing("run", machine) or runtime.missing("build", machine)
        if reason is None:
            say(f"backend: {runtime.kind}, the fastest that this machine can run{passed_over}")
            return runtime.kind
        what, _, cures = reason.partition("; ")
        passed_over += f"; not {runtime.kind}: {what}"
    raise BackendUnavailable(
        f"no engine can be built and run here: {passed_over.removeprefix('; ')}; {cures or 'install one'}, "
        "or see `ugatit-fast doctor`"
    )


def precision_of(runtime: Runtime, precision: Precision | None, *, fast: bool) -> Precision:
    """What an engine is built in where a precision is asked for, or only that it be fast: then eight bits on a CPU that
    gains by them, and what the runtime takes by itself everywhere else.
    """
    if precision is None and fast and "int8" in runtime.forms and not runtime.on_gpu and byte_products():
        return "int8"
    return precision or runtime.default_precision


def has_bytes(runtime: Runtime, *, eight_bits: bool, by_rows: bool) -> bool:
    """Whether the eight bits that a runtime has are there of a generator, too, of which `Config` says these two."""
    return eight_bits and (by_rows or runtime.forms.get("int8") != "rows")


def article(kind: str) -> str:
    """A word with the article that it is spoken with."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
