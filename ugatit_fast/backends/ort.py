"""ONNX Runtime: any machine."""

import ctypes
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.backends.base import Heatmaps, Images, joined
from ugatit_fast.backends.border import border
from ugatit_fast.backends.providers import CPU_PROVIDER, CUDA_PROVIDER, ERRORS, refusal
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.choices import Device
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.files import is_text
from ugatit_fast.machine import available_cores, byte_products, cpu_in_words, pip_install

EXACT_SUMS = "session.x64quantprecision"
"""Sum no products of uint8 and int8 in 16 bits, which saturate: what x86 without VNNI does unless told. It changes
nothing on other CPUs, and would cost those with VNNI their speed: ONNX Runtime 1.32 doesn't look.
"""


class Value(Protocol):
    """An input of a graph, as ONNX Runtime describes it."""

    name: str


class Session(Protocol):
    """As much as we use of `onnxruntime.InferenceSession`, which has no types of its own."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.generic]]
    ) -> Sequence[Any]: ...

    def get_inputs(self) -> Sequence[Value]: ...

    def get_providers(self) -> Sequence[str]: ...


class OrtBackend:
    """An `.onnx` engine in ONNX Runtime, on the CPU, or on an NVIDIA GPU where onnxruntime-gpu is installed."""

    def __init__(
        self,
        path: Path,
        spec: EngineSpec,
        *,
        device: Device = "auto",
        threads: int | None = None,
        gpu: int | None = None,
    ) -> None:
        """device: "cpu", "cuda", or "auto": cuda where this ONNX Runtime can start on it, else the CPU, with a warning
        where it was built for CUDA. threads: on the CPU; None is one a core. gpu: by its number; None is the first.

        Raises BackendUnavailable where ONNX Runtime or the device is missing, EngineError where it can't load the file.
        """
        ort = import_onnxruntime()
        self.path, self.spec = path, spec
        bytes_only = spec.precision == "int8"
        if bytes_only and device == "cuda":
            raise BackendUnavailable(f"{path} multiplies bytes, which is for the CPU; use --device cpu")
        provider = CPU_PROVIDER if bytes_only else choose_provider(ort, device)
        threads = threads or available_cores()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ERRORS
        options.enable_mem_pattern = (
            False  # costs 100 MB of peak memory at 256x256 and saves no time that can be measured
        )
        chosen = provider if gpu is None else (provider, {"device_id": gpu})
        if bytes_only and not byte_products():
            options.add_session_config_entry(EXACT_SUMS, "1")
        with border(path, spec):
            model = path if is_text(path) else path.read_bytes()
            self.session: Session = ort.InferenceSession(model, options, providers=[chosen], enable_fallback=0)
        give_back_free_memory()
        self.on_cpu = provider == CPU_PROVIDER
        number = "" if gpu is None else f" {gpu}"
        self.device = cpu_in_words(threads) if self.on_cpu else f"NVIDIA GPU{number} through ONNX Runtime"

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        if (
            self.on_cpu and len(images) > 1
        ):  # a CPU gains nothing from batches, and one at a time takes the memory of one
            return joined([self.run(image[None], style) for image in images], images)
        with border(self.path, self.spec):
            given = style_for(self.spec, style)
            styles = {} if given is None else {"style": given}
            outputs = self.session.run(None, {"image": images, **styles})
        return outputs[0], outputs[1] if self.spec.heatmap else None

    def close(self) -> None:
        del self.session


def give_back_free_memory() -> None:
    """Return to the system what building the session freed; glibc would keep it (70 MB for a light generator)."""
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def import_onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(
            f"this engine needs ONNX Runtime ({error}); install it: {pip_install('cpu')}"
        ) from error
    return onnxruntime


def choose_provider(ort: ModuleType, device: Device) -> str:
    """The execution provider for a device, started once, and never another one in silence.

    Warns where auto takes the CPU though this ONNX Runtime was built for CUDA. Raises BackendUnavailable where cuda was
    asked for and can't be had.
    """
    built_for_cuda = CUDA_PROVIDER in ort.get_available_providers()
    if device == "cpu" or (device == "auto" and not built_for_cuda):
        return CPU_PROVIDER
    if not built_for_cuda:
        raise BackendUnavailable(
            "this ONNX Runtime has no CUDA support; install onnxruntime-gpu instead of onnxruntime, or use --device cpu"
        )
    reason = refusal(ort, CUDA_PROVIDER)
    if reason is None:
        return CUDA_PROVIDER
    if device == "cuda":
        raise BackendUnavailable(
            f"ONNX Runtime can't start on CUDA ({reason}); install what it names (onnxruntime.ai, Install), or use "
            "--device cpu"
        )
    warnings.warn(
        f"running on the CPU, since ONNX Runtime can't start on CUDA ({reason}); --device cpu leaves this unsaid",
        stacklevel=3,
    )
    return CPU_PROVIDER
