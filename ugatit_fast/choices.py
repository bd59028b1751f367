"""What people choose from, and the defaults, in one place that costs nothing to import."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ugatit_fast.errors import InputError

Direction = Literal["A2B", "B2A"]
"""Which of the two generators: from domain A (selfies) to B (anime), or back."""

ConvertDirection = Literal["A2B", "B2A", "both"]

Smoothing = Literal["yes", "no"]
"""Whether a TensorFlow run was trained with --smoothing, which takes 0.1 off rho."""

EngineKind = Literal["onnxruntime", "cuda", "tensorrt", "eager"]
"""What runs an engine. `eager` has no file of its own: it is a checkpoint run by the reference network."""

BackendChoice = Literal["auto", "cuda", "onnxruntime"]
"""What to build an engine for; auto is the fastest that this machine can run."""

Precision = Literal["fp32", "fp16"]
"""Of weights and activations; statistics and long sums are float32 in either."""

Device = Literal["auto", "cpu", "cuda"]

Fit = Literal["squash", "crop", "pad"]
"""How a photo of another shape meets the engine's: see `ugatit_fast.images.fit_image`."""


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """How a run treats its photos. Heat maps are asked for where the engine is loaded: `Translator(heatmap=True)`."""

    fit: Fit = "crop"
    """How a photo of another shape meets the engine's: see `images.fit_image`."""
    size: tuple[int, int] | None = None
    """(height, width) to translate at, in pixels; None is the engine's own."""
    gallery: bool = True
    """Also write index.html and the pictures that it shows beside the translations."""
    threads: int | None = None
    """Threads that decode and encode; None is one a core."""


def check_choice(name: str, value: str | None, choices: Any) -> None:
    """InputError where `value` is given and isn't one of `choices`, one of the types above."""
    if value is not None and value not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
