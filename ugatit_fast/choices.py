"""What people choose from, and the defaults, in one place that costs nothing to import."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from ugatit_fast.errors import InputError

Direction = Literal["A2B", "B2A"]
"""Which of the two generators: from domain A (selfies) to B (anime), or back."""

ConvertDirection = Literal["A2B", "B2A", "both"]

Smoothing = Literal["yes", "no"]
"""Whether a TensorFlow run was trained with --smoothing, which takes 0.1 off rho."""

BuiltKind = Literal["tensorrt", "tensorrt-rtx", "cuda", "onnxruntime"]
"""What engines are built for: the names of the rows of `backends.runtimes`."""

EngineKind = Literal[BuiltKind, "eager"]
"""What runs an engine. `eager` has no file of its own: it is a checkpoint run by the reference network."""

BackendChoice = Literal["auto", BuiltKind]
"""What to build an engine for; auto is the fastest that this machine can run."""

Precision = Literal["fp32", "fp16"]
"""Of weights and activations; statistics and long sums are float32 in either."""

Form = Literal["rows", "convolutions", "channels last"]
"""How the folded graph is written down: gathers and matrix products of channels-last pixel rows, which ONNX Runtime's
CPU is fastest at in float32; or convolutions, with channels first as ONNX has them, or last between them, which
TensorRT makes the fewest kernels of.
"""

Kernels = Literal["native", "triton"]
"""What normalises in a TensorRT engine: kernels that TensorRT makes itself, or ours as plugins."""

KernelChoice = Literal["auto", "native", "triton"]
"""auto builds both, and keeps the one that is faster on this GPU."""

Device = Literal["auto", "cpu", "cuda"]

Tune = Literal["auto", "cudnn", "ours"]
"""Whose convolutions a cuda engine runs by: auto times both, once on each GPU, and takes the faster for each layer."""

Fit = Literal["squash", "crop", "pad"]
"""How a photo of another shape meets the engine's: see `ugatit_fast.media.fitting.fit_image`."""

KeepMetadata = Literal["date", "all", "none"]
"""What of a photo's or video's metadata its translation has: see `ugatit_fast.media.metadata`."""

Format = Literal["png", "jpg", "webp"]
"""What translations are written as."""


class Box(NamedTuple):
    """A rectangle of an upright photo, in its pixels."""

    left: int
    top: int
    width: int
    height: int


Crop = Literal["center", "face"] | Box
"""The part of a photo that is translated: see `TranslateOptions.crop`."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How engines are loaded: see `Translator`."""

    device: Device = "auto"
    """Where the engine runs."""
    threads: int | None = None
    """Threads that decode and encode, and threads of a CPU engine; one a core unless given."""
    tune: Tune = "auto"
    """Of a cuda engine, the convolutions: cudnn, ours, or auto, the faster for each layer, timed once on each GPU."""
    trust_plan: bool = False
    """Also load a bare TensorRT plan. It can carry code: only from someone you would run a program from."""


def check_choice(name: str, value: str | None, choices: object) -> None:
    """InputError where `value` is given and isn't one of `choices`, one of the types above."""
    if value is not None and value not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
