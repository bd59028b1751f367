"""What people choose from, and the defaults, in one place that costs nothing to import."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from ugatit_fast.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Direction = Literal["A2B", "B2A"]
"""Which of the two generators: from domain A (selfies) to B (anime), or back."""

ConvertDirection = Literal["A2B", "B2A", "both"]

Smoothing = Literal["yes", "no"]
"""Whether a TensorFlow run was trained with --smoothing, which takes 0.1 off rho."""

BuiltKind = Literal["tensorrt", "tensorrt-rtx", "cuda", "openvino", "onnxruntime"]
"""What engines are built for: the names of the rows of `backends.runtimes`."""

EngineKind = Literal[BuiltKind, "eager"]
"""What runs an engine. `eager` has no file of its own: it is a checkpoint run by the reference network."""

BackendChoice = Literal["auto", BuiltKind]
"""What to build an engine for; auto is the fastest that this machine can run."""

Precision = Literal["fp32", "fp16", "int8", "fp8"]
"""Of what convolutions read, weights and activations; statistics and long sums are float32 in all. int8 and fp8 round
these to 8 bits by scales that were found on photos (see `export.eight_bits`); fp8 is floating point of 4 bits of
exponent and 3 of mantissa (E4M3), for GPUs from Ada on.
"""

EIGHT_BITS: tuple[Precision, ...] = ("int8", "fp8")
"""Those with a gate of their own, and with places that stay in more bits."""

StoredPrecision = Literal["fp32", "fp16"]
"""Of the tensors in a checkpoint."""

Form = Literal["rows", "convolutions", "channels last", "bytes", "bytes around zero"]
"""How the folded graph is written down: gathers and matrix products of channels-last pixel rows, which ONNX Runtime's
CPU is fastest at; or convolutions, with channels first as ONNX has them, or last between them, which TensorRT makes
the fewest kernels of; or convolutions of bytes, as OpenVINO is fastest at them, or as TensorRT multiplies them.
"""

Kernels = Literal["native", "triton"]
"""What normalises in a TensorRT engine: kernels that TensorRT makes itself, or ours as plugins."""

KernelChoice = Literal["auto", "native", "triton"]
"""auto builds both, and keeps the one that is faster on this GPU."""

Device = Literal["auto", "cpu", "cuda"]

Tune = Literal["auto", "cudnn", "ours"]
"""Whose convolutions a cuda engine runs by: auto times both, once on each GPU, and takes the faster for each layer."""

ArchitectureName = Literal[
    "ugatit", "cyclegan", "cut", "animegan2", "unet", "unit", "munit", "drit", "photo2cartoon", "whitebox"
]
"""The generators that there are: the names of `ugatit_fast.architectures`."""

BatchStatistics = Literal["batch-image", "batch-running"]
"""Whose mean and variance a batch norm uses: those of the picture itself, as the published test.py of pix2pix does, or
those that the training gathered, as with its --eval.
"""

Upsampling = Literal["align-corners", "half-pixel", "tensorflow"]
"""How bilinear interpolation doubles a picture: corners onto corners; between the middles of pixels; or as TensorFlow 1
does, every pixel and then the mean of it and the next.
"""

Setting = bool | int | float | str | None
"""One of the plain values that shape a generator."""

Fit = Literal["squash", "crop", "pad"]
"""How a photo of another shape meets the engine's: see `ugatit_fast.media.fitting.fit_image`."""

KeepMetadata = Literal["date", "all", "none"]
"""What of a photo's or video's metadata its translation has: see `ugatit_fast.media.metadata`."""

Format = Literal["png", "jpg", "webp"]
"""What translations are written as."""


class Sides(NamedTuple):
    """Which pictures a generator of any size takes."""

    multiple: int
    """Of their sides in pixels: what the encoder halves them by."""
    smallest: int
    """Pixels; below it a border at the lowest resolution has nothing to reflect."""

    def __str__(self) -> str:
        return f"multiples of {self.multiple}, at least {self.smallest}"

    def above(self, side: int) -> int:
        """The smallest side that is taken and at least so long."""
        return max(-(-side // self.multiple) * self.multiple, self.smallest)

    def refusal(self, height: int, width: int) -> str | None:
        """Why a picture of this size isn't taken; None where it is."""
        if height % self.multiple or width % self.multiple or min(height, width) < self.smallest:
            return f"height and width must be {self}"
        return None


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What people can say about a file of weights where its tensors don't, or say it otherwise."""

    architecture: ArchitectureName | None = None
    """What kind of generator it is; by its tensors' names and shapes unless given."""
    norm: BatchStatistics | None = None
    """Of a generator with batch norm, whose statistics: each picture's own unless given, or the training's."""
    upsample: Upsampling | None = None
    """Of AnimeGANv2's, how it doubles: unless given align-corners, as its torch.hub entry does, or tensorflow of
    TensorFlow's checkpoints."""

    @property
    def alone(self) -> "Hints":
        """The hints without what else these options hold."""
        return Hints(**{field.name: getattr(self, field.name) for field in fields(Hints)})


@dataclass(frozen=True, kw_only=True)
class Reading(Hints):
    """What a file of weights is understood by."""

    network: str | None = None
    """Of a file with several generators, the one of this name, such as genA2B_ema."""
    smoothing: Smoothing | None = None
    """Whether a TensorFlow run was trained with --smoothing; by its folder's name or its weights unless given."""

    @property
    def smooths(self) -> bool | None:
        """As `read_checkpoint` takes it."""
        return None if self.smoothing is None else self.smoothing == "yes"


HINTS = Hints()
DECIDING = ("norm", "upsample")
"""The hints about networks that tensors alone don't tell apart."""
QUARTERED = Sides(multiple=4, smallest=8)
"""Of a generator whose encoder halves the picture twice: U-GAT-IT's, and most others."""


DEFAULT_SEED = 0
"""Of the style that a generator draws in, where there are many and none is asked for."""


def drawn_style(length: int, seed: int = DEFAULT_SEED) -> "NDArray[np.float32]":
    """A style of so many numbers, as the training drew them from the normal distribution; the same for a seed on every
    machine.
    """
    import numpy as np

    stream = np.random.RandomState(seed)  # its numbers, unlike a Generator's, never change
    return stream.standard_normal(length).astype(np.float32)


def styles_in_turn(length: int) -> Iterator["NDArray[np.float32] | None"]:
    """Styles for the pictures that an engine is tried on, one after the other: of seeds 0, 1, 2, ... without end; None
    where it draws in one style only.
    """
    return (drawn_style(length, seed) if length else None for seed in count(DEFAULT_SEED))


class Box(NamedTuple):
    """A rectangle of an upright photo, in its pixels."""

    left: int
    top: int
    width: int
    height: int


Crop = Literal["center", "face"] | Box
"""The part of a photo that is translated: see `TranslateOptions.crop`."""


class Places(NamedTuple):
    """Where an engine is to run."""

    kind: Device
    gpus: tuple[int, ...] = ()
    """The numbers of those asked for; none is the GPU that CUDA takes by itself."""


def places_of(device: str) -> Places:
    """`auto`, `cpu`, `cuda`, `cuda:1`, or `cuda:0,cuda:1`. InputError for anything else."""
    if device in get_args(Device):
        return Places(cast(Device, device))
    numbers = [re.fullmatch(r"cuda:(\d{1,3})", part) for part in device.split(",")]
    gpus = tuple(int(number[1]) for number in numbers if number)
    if len(set(gpus)) < len(numbers):
        raise InputError(
            f"device must be one of {', '.join(get_args(Device))}, a GPU by its number (cuda:1), or several "
            f"(cuda:0,cuda:1), got {device!r}"
        )
    return Places("cuda", gpus)


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How engines are loaded: see `Translator`."""

    device: str = "auto"
    """Where the engine runs: auto, cpu, cuda, a GPU by its number (cuda:1), or several (cuda:0,cuda:1), which share the
    work.
    """
    threads: int | None = None
    """Threads that decode and encode, and threads of a CPU engine; one a core unless given."""
    tune: Tune = "auto"
    """Of a cuda engine, the convolutions: cudnn, ours, or auto, the faster for each layer, timed once on each GPU."""
    trust_plan: bool = False
    """Also load a bare TensorRT plan. It can carry code: only from someone you would run a program from."""
    style: str | None = None
    """Of an engine that draws in styles (MUNIT, DRIT), which: a seed, such as 7; its numbers, with commas between them;
    or a picture of the target domain, whose style is taken. Seed 0 unless given."""

    def __post_init__(self) -> None:
        """Raises InputError for a device that there can't be."""
        places_of(self.device)


def parse_crop(text: str) -> Crop:
    """`center`, `face`, or `box=X,Y,W,H`: left, top, width and height in pixels of the photo."""
    if text in ("center", "face"):
        return cast(Crop, text)
    kind, _, rest = text.partition("=")
    try:
        box = Box(*(int(part) for part in rest.split(",")))
    except (TypeError, ValueError):  # other than four; not numbers
        box = Box(0, 0, 0, 0)
    if kind != "box" or min(box.left, box.top) < 0 or min(box.width, box.height) < 1:
        raise InputError(f"expected center, face or box=X,Y,W,H in pixels, such as box=120,40,512,512, got {text!r}")
    return box


def parse_size(text: str) -> tuple[int, int]:
    """`256x256` (height x width), or `256` for a square, as (height, width)."""
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise InputError(f"expected height x width in pixels, such as 256x256, got {text!r}")
    return sides[0], sides[-1]


def check_choice(name: str, value: str | None, choices: object) -> None:
    """InputError where `value` is given and isn't one of `choices`, one of the types above."""
    if value is not None and value not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
