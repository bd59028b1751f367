"""What a run of the suite leaves behind: plain dataclasses, written as JSON and read back strictly.

The dataclasses are the schema. A file with a key too many, too few or of another type is refused, so that a result
sent in by somebody can be trusted to mean what its names say. Times are milliseconds, sizes bytes, images uint8.
"""

import json
import types
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from ugatit_fast.choices import Direction, Precision
from ugatit_fast.engine import UGATIT
from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole

SCHEMA_VERSION = 2
IDENTICAL_DB = 100.0
"""PSNR written for pictures that are equal; JSON has no infinity."""

Status = Literal[
    "ok", "unfinished", "missing", "skipped", "failed", "wrong pictures", "timed out", "crashed", "out of memory"
]
"""unfinished: the run was stopped before this row had a round. missing: a library or device isn't here. skipped: the
run's time was up before its turn came, or there is no such engine of the generator."""
Kind = Literal["ours", "rival", "limit"]
Target = Literal["cpu", "cuda"]
Axis = Literal["batch", "side", "channels", "threads"]
AXIS_UNITS: dict[Axis, str] = {"batch": "image", "side": "megapixel", "channels": "GMAC", "threads": "thread^-1"}
"""What the cost along an axis is a line in."""
COPY = "copy"
PRODUCT: dict[Precision, str] = {
    "fp32": "matrix product, float32",
    "fp16": "matrix product, float16",
    "int8": "matrix product, int8",
    "fp8": "matrix product, float8",
}
CONVOLUTION = "convolution 3x3, float32"
"""Names of the limits."""


@dataclass(frozen=True)
class Spread:
    """Milliseconds of one call."""

    median_ms: float
    p5_ms: float
    p95_ms: float
    samples: int


@dataclass(frozen=True)
class Network:
    """What was run: the generator and the batch."""

    ch: int
    n_res: int
    light: bool
    direction: Direction
    height: int
    width: int
    batch: int
    threads: int
    """Of the CPU contenders."""
    weights: str
    """The checkpoint's SHA-256; `random` for seeded random ones, `widened` for the shipped generator made wider."""
    architecture: str = UGATIT
    settings: str = ""
    """Of another architecture than U-GAT-IT, whose ch and n_res are 0: `Config.settings` as JSON."""
    words: str = ""
    """Likewise: the generator in a few words."""

    ADDED: ClassVar[tuple[str, ...]] = ("architecture", "settings", "words")
    """Fields that results from before there were other architectures lack."""

    @property
    def label(self) -> str:
        """In words: `light, ch 64, 256x256, batch 1, A2B`."""
        kind = f"{self.architecture}, {self.words}"
        if self.architecture == UGATIT:
            kind = f"{'light' if self.light else 'full'}, ch {self.ch}"
        widened = ", the shipped pair widened" if self.weights == "widened" else ""
        return f"{kind}, {self.height}x{self.width}, batch {self.batch}, {self.direction}{widened}"


@dataclass(frozen=True)
class Throughput:
    """Images a second with several callers at once."""

    callers: int
    images_per_second: float


@dataclass(frozen=True)
class Row:
    """One contender on one network."""

    contender: str
    kind: Kind
    target: Target
    precision: Precision
    network: Network
    status: Status
    reason: str | None = None
    """Why the status isn't ok, in one line."""
    install: str | None = None
    """What to type to get what is missing."""
    latency: Spread | None = None
    """Of one call by one caller: uint8 pictures in host memory to uint8 pictures in host memory."""
    rounds_ms: tuple[float, ...] = ()
    """Median of each interleaved round; the same index is the same few seconds for every contender."""
    noisy: bool = False
    """The spread is too wide, or warming up never became steady: read the median with care."""
    images_per_second: float | None = None
    throughput: Throughput | None = None
    times_best_rival: float | None = None
    """How many times as fast as the best rival of the same network: median over rounds."""
    share_of_limit: float | None = None
    """Roofline time over median. Above 1 only where a convolution does fewer multiplications than the direct form."""
    psnr_db: float | None = None
    max_abs: float | None = None
    """Against the float32 reference, in [-1, 1], beyond what rounding to 8 bits explains."""
    host_peak_bytes: int | None = None
    device_bytes: int | None = None
    """Held on the GPU above its context."""
    build_seconds: float | None = None
    load_seconds: float | None = None
    file_bytes: int | None = None


@dataclass(frozen=True)
class Limit:
    """What the hardware was measured to do, in the same rounds as the rows."""

    name: str
    target: Target
    precision: Precision
    network: str
    """Label of the network beside which it was measured."""
    bytes_per_second: float | None
    """Read plus written."""
    operations_per_second: float | None
    """A multiply-add counts as two."""
    rounds_ms: tuple[float, ...]
    """The rates are those of the fastest: nothing slower is a limit."""


@dataclass(frozen=True)
class Roofline:
    """The folded graph of a network against the limits."""

    network: str
    target: Target
    precision: Precision
    macs: int
    bytes: int
    limit_ms: float
    """Sum over the graph's operations of the larger of bytes / bandwidth and operations / rate."""


@dataclass(frozen=True)
class Pipeline:
    """Photos end to end: JPEG files in, PNG files out."""

    contender: str
    network: Network
    status: Status
    reason: str | None = None
    latency: Spread | None = None
    """One photo at a time."""
    stages_ms: dict[str, float] | None = None
    """Median of each stage of one photo; `engine` is without the copies, where there are any."""
    folder_photos: int = 0
    folder_images_per_second: float | None = None
    folder_engine_share: float | None = None
    """Of the wall time of a whole folder, 0 to 1."""
    host_peak_bytes: int | None = None


@dataclass(frozen=True)
class Curve:
    """Cost against one quantity, and the line through it."""

    contender: str
    axis: Axis
    values: tuple[int, ...]
    work: tuple[float, ...]
    """What the cost is fitted against: images, megapixels, GMAC, or 1 / threads."""
    median_ms: tuple[float, ...]
    fixed_ms: float
    ms_per_work: float
    worst_error: float
    """Largest relative distance of a point from the fit."""


@dataclass(frozen=True)
class KernelRow:
    """One operation of kernels/ on one shape by one contender; times on the device."""

    op: str
    shape: str
    contender: str
    status: Status
    reason: str | None = None
    moved_bytes: int = 0
    """Each input read once, each output written once."""
    time: Spread | None = None
    gigabytes_per_second: float | None = None
    share_of_copy: float | None = None
    relative_error: float | None = None


@dataclass(frozen=True)
class Condition:
    """The state of the machine at one moment."""

    when: str
    cpu_mhz: float | None
    load_average: float | None
    gpu_mhz: float | None
    gpu_celsius: float | None
    gpu_watts: float | None


@dataclass(frozen=True)
class Machine:
    """What the figures belong to."""

    name: str
    cpu: str
    cores: int
    memory_bytes: int | None
    gpu: str | None
    driver: str | None
    system: str
    versions: dict[str, str]
    commit: str | None
    dirty: bool
    """The checkout had changes that the commit doesn't have."""


@dataclass(frozen=True)
class Settings:
    """How the clock was run."""

    rounds: int = 9
    turn_seconds: float = 2.0
    """A contender's share of a round, one untimed call besides."""
    throughput_rounds: int = 3
    callers: int = 2
    limit_seconds: float = 300.0
    """For building, loading and every turn; a contender past it is stopped and says so."""
    budget_seconds: float | None = None
    """Of the run, after which no more kernels and rivals are begun. None: no end."""
    photos: int = 200
    """Of the folder that is translated end to end; 0 leaves that part out."""


FULL = Settings()
QUICK = Settings(rounds=3, turn_seconds=0.3, throughput_rounds=1, limit_seconds=60.0, photos=4)


@dataclass(frozen=True)
class Results:
    """A whole run."""

    schema: int
    machine: Machine
    settings: Settings
    started: str
    seconds: float
    conditions: tuple[Condition, ...] = ()
    rows: tuple[Row, ...] = ()
    limits: tuple[Limit, ...] = ()
    rooflines: tuple[Roofline, ...] = ()
    pipelines: tuple[Pipeline, ...] = ()
    curves: tuple[Curve, ...] = ()
    kernels: tuple[KernelRow, ...] = ()


def bandwidth_of(limits: Sequence[Limit]) -> float | None:
    """Bytes a second, read plus written; None where that wasn't measured."""
    return next((limit.bytes_per_second for limit in limits if limit.name == COPY), None)


def fastest_arithmetic(limits: Sequence[Limit], precision: Precision) -> Limit | None:
    """What does most operations a second in a precision; None where nothing was measured."""
    known = [limit for limit in limits if limit.precision == precision and limit.operations_per_second is not None]
    return max(known, key=lambda limit: limit.operations_per_second or 0.0, default=None)


def write_results(results: Results, path: Path) -> None:
    """Atomic: whoever reads meanwhile, or after a crash, has the last whole state."""
    text = json.dumps(asdict(results), indent=1, allow_nan=False)
    with written_whole(path) as partial:
        partial.write_text(text + "\n")


def read_results(path: Path) -> Results:
    """Raises InputError where the file isn't exactly what `write_results` writes, and says where."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"cannot read the results {path}: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); expected a file that `ugatit-fast bench` wrote") from error
    version = document.get("schema") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(f"{path} has results schema {version}; this version reads {SCHEMA_VERSION}: measure again")
    try:
        results: Results = decode(Results, document, "results")
    except TypeError as error:
        raise InputError(f"{path} isn't results of ugatit-fast bench: {error}") from error
    return results


def decode(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as `kind`: dataclass, tuple[x, ...], dict[str, x], Literal, x | None, or a plain type. TypeError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return decode_dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else decode(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise TypeError(f"{where} must be one of {', '.join(arguments)}, got {value!r}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and type(value) in (int, float):
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{where} must be {getattr(kind, '__name__', kind)}, got {value!r}")
    return value


def decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"{where} must be an object, got {value!r}")
    value = {name: getattr(kind, name) for name in getattr(kind, "ADDED", ())} | value
    names = {field.name for field in fields(kind)}
    if wrong := names.symmetric_difference(value):
        raise TypeError(f"{where} has not exactly the keys of {kind.__name__}: {', '.join(sorted(wrong))}")
    hints = get_type_hints(kind)
    return kind(**{name: decode(hints[name], value[name], f"{where}.{name}") for name in names})
