"""How an engine is asked for, beyond its kind and precision."""

from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.choices import KernelChoice, check_choice
from ugatit_fast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TensorRTOptions:
    """How a TensorRT engine is built."""

    kernels: KernelChoice = "auto"
    dynamic_batch: bool = False
    """One plan for all batch sizes up to the largest, instead of one for each."""
    optimization_level: int = 3
    """TensorRT's, 0 (builds fastest) to 5 (searches longest)."""
    workspace_mib: int | None = None
    """GPU memory that a layer may take for itself; None is all there is."""
    timing_cache: Path | None = None
    """Folder for what earlier builds measured; None is the user's cache folder."""
    keep_plan: bool = False
    """Also write the bare plans beside the engine, for trtexec and the C++ runtime."""

    def __post_init__(self) -> None:
        check_choice("kernels", self.kernels, KernelChoice)
        if not 0 <= self.optimization_level <= 5:
            raise InputError(f"the optimization level goes from 0 to 5, got {self.optimization_level}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise InputError(f"the workspace must be at least 1 MiB, got {self.workspace_mib}")
