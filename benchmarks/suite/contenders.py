"""Who takes part: our engines, and what somebody would use instead. One row of a table each.

A row names the function that opens the contender by its module, so that the table itself imports no library: that
happens in the process that runs the contender. To add one, write a function that gives a `Running` and a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.bench.environment import has_nvidia_gpu
from ugatit_fast.bench.results import Kind, Network, Target
from ugatit_fast.choices import BuiltKind, Precision


@dataclass(frozen=True)
class Case:
    """What every contender of one race runs."""

    checkpoint: Path
    network: Network
    folder: Path
    """For files that contenders build; those of one checkpoint share one."""


class Running(Protocol):
    """A contender ready to run. Its constructor may take as long as it likes: loading is measured apart."""

    concurrent: bool
    """Whether several threads may call `run` at once."""
    build_seconds: float
    """What compiling took inside the process; 0 where a file was built before."""

    def run(self, images: Images) -> Images:
        """uint8 (n, h, w, 3) -> alike, finished and in host memory on return."""


@dataclass(frozen=True)
class Lazily:
    """A function of another module, imported when it is called."""

    module: str
    name: str
    options: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, *arguments: object) -> Any:
        return getattr(import_module(self.module), self.name)(*arguments, **self.options)


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    name: str
    kind: Kind
    target: Target
    precision: Precision
    needs: tuple[str, ...]
    """Modules that must be there; nothing is imported to find out."""
    install: str
    """What to type to get them."""
    load: Lazily
    """(case, file or None) -> Running"""
    build: Lazily | None = None
    """(case) -> the file that `load` takes, made in a process of its own so that loading starts clean"""
    file: Path | None = None
    """An engine that is there already."""
    quick: bool = False
    """Takes part in `--quick`."""

    def missing(self) -> str | None:
        """Why it can't take part on this machine, as far as a look without importing tells."""
        if self.target == "cuda" and not has_nvidia_gpu():
            return "no NVIDIA GPU on this machine, or no driver for it"
        absent = [name for name in self.needs if not is_there(name)]
        return f"{' and '.join(absent)} not installed" if absent else None


def is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package that isn't there, or is broken
        return False


ENGINES = "ugatit_fast.bench.engines"
TORCH = "ugatit_fast.bench.torch_rivals"
ONNX = "ugatit_fast.bench.onnx_rivals"
MNN = "ugatit_fast.bench.mnn_rival"
TENSORRT = "ugatit_fast.bench.tensorrt_rivals"
CPU_INSTALL = 'pip install ".[cpu,torch]"'
TORCH_INSTALL = 'pip install ".[torch]"'
CUDA_TORCH_INSTALL = "a CUDA build of torch: pytorch.org (Get Started)"
TENSORRT_INSTALL = 'pip install ".[tensorrt]"'
TENSORRT_RTX_INSTALL = 'pip install ".[tensorrt-rtx]"'
EXPORT_NEEDS = ("torch", "onnx", "onnxscript")


def ours(kind: BuiltKind, precision: Precision | None = None) -> Contender:
    """An engine of ours, by the name that `build-engine --backend` knows it by, in the precision that it has by itself
    or in another.
    """
    runtime = RUNTIMES[kind]
    target: Target = "cuda" if runtime.on_gpu else "cpu"
    name = f"ugatit-fast, {kind}" + (f", {precision}" if precision else "")
    precision = precision or runtime.default_precision
    options = {"kind": kind, "precision": precision}
    build, load = Lazily(ENGINES, "build", options), Lazily(ENGINES, "load", {"target": target})
    needs = tuple(library.name for library in runtime.libraries)
    return Contender(name, "ours", target, precision, needs, runtime.install, load, build, quick=True)


def torch_rival(
    name: str, target: Target, precision: Precision, *, quick: bool = False, **options: object
) -> Contender:
    """The reference generator in PyTorch, run as `options` of `torch_rivals.load` say."""
    install = CUDA_TORCH_INSTALL if target == "cuda" else TORCH_INSTALL
    load = Lazily(TORCH, "load", {"target": target, "half": precision == "fp16", **options})
    return Contender(name, "rival", target, precision, ("torch",), install, load, quick=quick)


def onnx_rival(
    name: str,
    target: Target,
    load: Lazily,
    needs: tuple[str, ...],
    install: str,
    *,
    half: bool = False,
    export: str = "export",
) -> Contender:
    """The unfolded generator as torch.onnx exports it, run by another runtime."""
    build = Lazily(ONNX, export, {"half": half})
    precision: Precision = "fp16" if half else "fp32"
    return Contender(name, "rival", target, precision, (*EXPORT_NEEDS, *needs), install, load, build)


def quantised_rival(name: str, build: Lazily, load: Lazily, needs: tuple[str, ...], install: str) -> Contender:
    """The same export in eight bits, as a tool makes it that knows nothing of the network."""
    return Contender(name, "rival", "cpu", "int8", (*EXPORT_NEEDS, *needs), install, load, build)


PLAIN_ORT = "ONNX Runtime, plain export"
IN_ORT, IN_OPENVINO = Lazily(ONNX, "OrtRunning", {"target": "cpu"}), Lazily(ONNX, "OpenVinoRunning")

CPU: tuple[Contender, ...] = (
    ours("onnxruntime"),
    replace(ours("onnxruntime", "int8"), quick=False),  # choosing layers takes longer than a quick run
    replace(ours("openvino", "int8"), quick=False),
    replace(
        onnx_rival(PLAIN_ORT, "cpu", IN_ORT, ("onnxruntime",), CPU_INSTALL),
        quick=True,
    ),
    quantised_rival(
        "ONNX Runtime, quantize_static", Lazily(ONNX, "export_quantised"), IN_ORT, ("onnxruntime",), CPU_INSTALL
    ),
    onnx_rival("OpenVINO, plain export", "cpu", IN_OPENVINO, ("openvino",), "pip install openvino"),
    quantised_rival(
        "OpenVINO, NNCF's defaults",
        Lazily(ONNX, "export_by_nncf"),
        IN_OPENVINO,
        ("openvino", "nncf"),
        "pip install openvino nncf",
    ),
    Contender(
        "MNN, plain export",
        "rival",
        "cpu",
        "fp32",
        (*EXPORT_NEEDS, "MNN"),
        "pip install MNN",
        Lazily(MNN, "MnnRunning"),
        Lazily(MNN, "export"),
    ),
    torch_rival("eager", "cpu", "fp32", quick=True),
    torch_rival("eager, channels-last", "cpu", "fp32", channels_last=True),
    torch_rival("torch.compile", "cpu", "fp32", mode="default"),
    torch_rival("torch.compile, max-autotune", "cpu", "fp32", mode="max-autotune", channels_last=True),
)

CUDA: tuple[Contender, ...] = (
    ours("cuda"),
    ours("tensorrt"),
    ours("tensorrt-rtx"),
    # The rival that the aims name, before all others: where time is up, it has been measured.
    torch_rival(
        "torch.compile max-autotune, channels-last, CUDA graphs",
        "cuda",
        "fp16",
        channels_last=True,
        mode="max-autotune",
    ),
    torch_rival("eager", "cuda", "fp32", quick=True),
    torch_rival("eager, channels-last", "cuda", "fp16", channels_last=True, quick=True),
    torch_rival("eager, channels-last, CUDA graph", "cuda", "fp16", channels_last=True, graph=True),
    torch_rival("torch.compile, channels-last", "cuda", "fp16", channels_last=True, mode="default"),
    torch_rival(
        "torch.compile, channels-last, CUDA graphs", "cuda", "fp16", channels_last=True, mode="reduce-overhead"
    ),
    onnx_rival(
        PLAIN_ORT,
        "cuda",
        Lazily(ONNX, "OrtRunning", {"target": "cuda"}),
        ("onnxruntime",),
        "pip uninstall onnxruntime; pip install onnxruntime-gpu",
        half=True,
        export="export_for_cuda",
    ),
    onnx_rival(
        "TensorRT, plain export",
        "cuda",
        Lazily(TENSORRT, "TensorRtRunning", {"library": "tensorrt"}),
        ("tensorrt",),
        TENSORRT_INSTALL,
        half=True,
    ),
    onnx_rival(
        "TensorRT for RTX, plain export",
        "cuda",
        Lazily(TENSORRT, "TensorRtRunning", {"library": "tensorrt_rtx"}),
        ("tensorrt_rtx",),
        TENSORRT_RTX_INSTALL,
        half=True,
    ),
    Contender(
        "torch-tensorrt",
        "rival",
        "cuda",
        "fp16",
        ("torch", "torch_tensorrt"),
        "pip install torch-tensorrt",
        Lazily(TENSORRT, "load_torch_tensorrt"),
    ),
)

TABLE: dict[Target, tuple[Contender, ...]] = {"cpu": CPU, "cuda": CUDA}
