"""ONNX Runtime: any machine."""

import os
from pathlib import Path
from typing import Any

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.choices import Device
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"


class OrtBackend:
    """An `.onnx` engine in ONNX Runtime, on the CPU, or on an NVIDIA GPU where onnxruntime-gpu is installed."""

    def __init__(self, path: Path, spec: EngineSpec, *, device: Device = "auto", threads: int | None = None) -> None:
        """device: "cpu", "cuda", or "auto" (cuda where this ONNX Runtime has it). threads: on the CPU; None is one a
        core.

        Raises BackendUnavailable where ONNX Runtime or the device is missing, EngineError where it can't load the file.
        """
        ort = import_onnxruntime()
        self.spec = spec
        provider = choose_provider(ort.get_available_providers(), device)
        threads = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session: Any = ort.InferenceSession(path, options, providers=[provider])
        except Exception as error:  # ONNX Runtime's errors share no public base class
            raise EngineError(
                f"ONNX Runtime cannot load {path} ({first_line(error)}); it is damaged: build it again"
            ) from error
        self.device = "CPU" if provider == CPU_PROVIDER else "NVIDIA GPU through ONNX Runtime"
        if provider not in self.session.get_providers():
            raise BackendUnavailable(f"ONNX Runtime could not start on {device}; see `ugatit-fast doctor`")

    def run(self, images: Images) -> tuple[Images, Heatmaps | None]:
        outputs = self.session.run(None, {"image": images})
        return outputs[0], outputs[1] if self.spec.heatmap else None

    def close(self) -> None:
        del self.session


def import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(
            f'this engine needs ONNX Runtime ({error}); install it: pip install "ugatit-fast[cpu]"'
        ) from error
    return onnxruntime


def choose_provider(available: list[str], device: Device) -> str:
    """The execution provider for a device, without ever taking another one in silence."""
    if device == "cpu" or (device == "auto" and CUDA_PROVIDER not in available):
        return CPU_PROVIDER
    if CUDA_PROVIDER not in available:
        raise BackendUnavailable(
            "this ONNX Runtime has no CUDA support; install onnxruntime-gpu instead of onnxruntime, or use --device cpu"
        )
    return CUDA_PROVIDER


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
