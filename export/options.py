"""How an engine is asked for."""

from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.choices import BackendChoice, Device, Direction, KernelChoice, Precision, Reading, check_choice
from ugatit_fast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Which engine to build. Sizes are (height, width); an onnxruntime engine serves any number of pictures at once,
    whatever `batch` is, and a GPU engine puts other numbers together from those it has, 1, 4 and 16 unless given.
    """

    backend: BackendChoice = "auto"
    """What runs the engine; auto is the fastest that this machine can run."""
    precision: Precision | None = None
    """fp32, fp16, int8 or fp8, as far as the backend has it; its own choice unless given. int8 is twice as fast on CPUs
    with 8-bit products, and within 40 dB, as is fp8, for TensorRT on GPUs from Ada on.
    """
    fast: bool = False
    """On a CPU with 8-bit products, int8 unless a precision is given."""
    calibration: Path | None = None
    """int8 and fp8 only: a folder of photos such as will be translated, for its scales besides the sample photos."""
    batch: tuple[int, ...] = ()
    """Batch sizes that a GPU engine serves in one call, such as 1,4,16."""
    size: tuple[int, int] | None = None
    """Height x width in pixels; the training size unless given. A full generator serves that one only."""
    direction: Direction | None = None
    """Which generator to take from a file with both; A2B unless given."""
    network: str | None = None
    """The generator's name in a file where the direction leaves several, such as genA2B_ema."""
    heatmap: bool = False
    """Let the engine also compute the attention heat map."""
    device: Device = "auto"
    """Where the engine is checked once built; cpu also leaves engines for GPUs out of auto's choice."""


@dataclass(frozen=True, kw_only=True)
class ReadyOptions(Reading):
    """How an engine is come by where weights are given in place of one."""

    direction: Direction | None = None
    """Of weights with both generators, which to take; A2B unless given."""
    precision: Precision | None = None
    """Of an engine that is built: fp32, fp16, int8 or fp8; the backend's own choice unless given."""
    fast: bool = False
    """Build an engine of 8-bit products where this machine's CPU is faster with them."""
    offline: bool = False
    """Of weights that are elsewhere, use only what was fetched before."""

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, Direction)
        check_choice("precision", self.precision, Precision)


@dataclass(frozen=True, kw_only=True)
class TensorRTOptions:
    """How the plans of an engine for TensorRT, or TensorRT for RTX, are built; a runtime's row says which it takes."""

    kernels: KernelChoice = "auto"
    """TensorRT only, as what follows unless it says so: normalise with its kernels or with ours; auto keeps the faster.
    """
    dynamic_batch: bool = False
    """One plan for every batch size up to the largest, instead of one for each: a smaller file, and slower."""
    optimization_level: int = 3
    """0 builds fastest, 5 searches longest for fast kernels."""
    workspace_mib: int | None = None
    """MiB of GPU memory that a layer may take for itself; all there is unless given."""
    timing_cache: Path | None = None
    """Folder for what builds measure, so that the next is faster; the user's cache folder unless given."""
    keep_plan: bool = False
    """Also write the bare plans beside the engine, for trtexec and the C++ runtime; TensorRT for RTX too."""
    gpu: tuple[str, ...] = ()
    """TensorRT for RTX only: the architectures to build for, such as sm_86,sm_89; all that it knows unless given."""

    def __post_init__(self) -> None:
        check_choice("kernels", self.kernels, KernelChoice)
        if not 0 <= self.optimization_level <= 5:
            raise InputError(f"the optimization level goes from 0 to 5, got {self.optimization_level}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise InputError(f"the workspace must be at least 1 MiB, got {self.workspace_mib}")
