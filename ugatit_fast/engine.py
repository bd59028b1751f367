"""What an engine file says about itself, and reading it.

An engine is one file. Its description is the JSON of an `EngineSpec`, stored where each format has a place for it: ONNX
`metadata_props`, or the header of a safetensors file, whose tensors are weights (cuda) or TensorRT's plans, byte for
byte. Reading it needs none of the runtimes.
"""

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ugatit_fast.choices import Direction, EngineKind, Kernels, Precision
from ugatit_fast.errors import EngineError
from ugatit_fast.files import METADATA_KEY
from ugatit_fast.version import __version__

if TYPE_CHECKING:
    from ugatit_fast.checkpoint import Checkpoint

ENGINE_FORMAT_VERSION = 1
ANY_SIZE_KINDS: tuple[EngineKind, ...] = ("onnxruntime", "eager")
"""Kinds that serve any image size of a light generator; the others are built for one."""
SUFFIXES: dict[EngineKind, str] = {"onnxruntime": ".onnx", "cuda": ".safetensors", "tensorrt": ".engine"}
METADATA_PROPS = 14
"""Field of ModelProto (onnx/onnx.proto)."""
WIRE_VARINT, WIRE_LENGTH_DELIMITED = 0, 2
SMALLEST_SIDE = 8
"""Pixels; below it the reflected border at a quarter of the resolution has nothing to reflect."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What an engine serves and what it was made from."""

    kind: EngineKind
    precision: Precision
    direction: Direction
    ch: int
    n_res: int
    light: bool
    height: int
    """Pixels. The only height served, unless `any_size`."""
    width: int
    any_size: bool
    """True: height and width are a default; any multiple of 4 from 8 on is served."""
    batch_sizes: tuple[int, ...]
    """Batch sizes served as one call; empty means any."""
    heatmap: bool
    """Whether the attention heat map is a second output."""
    unbiased: bool
    """Whether AdaLIN and ILN divide by count - 1 (PyTorch's checkpoints) or by count (TensorFlow's)."""
    checkpoint_sha256: str
    ugatit_fast_version: str
    dynamic_batch: bool = False
    """Whether one TensorRT plan serves all batch sizes, instead of one plan each."""
    gpu_architecture: str = ""
    """Of the GPU that a TensorRT engine was built on, and runs on: sm_90. Empty where it doesn't matter."""
    tensorrt_version: str = ""
    """Of the TensorRT that built the engine, and runs it."""
    kernels: tuple[Kernels, ...] = ()
    """What normalises in the plan of each batch size."""
    format_version: int = ENGINE_FORMAT_VERSION

    @classmethod
    def of(
        cls,
        checkpoint: "Checkpoint",
        *,
        kind: EngineKind,
        precision: Precision = "fp32",
        size: tuple[int, int] | None = None,
        batch_sizes: tuple[int, ...] = (),
        heatmap: bool = False,
    ) -> "EngineSpec":
        """The description of an engine made from `checkpoint`; size (height, width) is the training size unless
        given.
        """
        config = checkpoint.config
        height, width = size or (config.img_size, config.img_size)
        return cls(
            kind=kind,
            precision=precision,
            direction=checkpoint.direction,
            ch=config.ch,
            n_res=config.n_res,
            light=config.light,
            height=height,
            width=width,
            any_size=config.light and kind in ANY_SIZE_KINDS,
            batch_sizes=batch_sizes,
            heatmap=heatmap,
            unbiased=config.unbiased,
            checkpoint_sha256=checkpoint.sha256,
            ugatit_fast_version=__version__,
        )

    def to_json(self) -> str:
        return json.dumps({"kind": "engine", "engine": asdict(self)})

    @classmethod
    def from_json(cls, path: Path, text: str) -> "EngineSpec":
        """Raises EngineError where the text isn't the description of an engine that this version can read."""
        try:
            document = json.loads(text)
            if document["kind"] != "engine":
                raise EngineError(
                    f"{path} is a {document['kind']}, not an engine; build one from it: ugatit-fast build-engine {path}"
                )
            values: dict[str, Any] = document["engine"]
            version = int(values["format_version"])
            if version > ENGINE_FORMAT_VERSION:
                raise EngineError(
                    f"{path} has engine format {version}; this ugatit-fast reads up to {ENGINE_FORMAT_VERSION}: "
                    "upgrade it (pip install -U ugatit-fast) or build the engine again"
                )
            known = {field.name for field in fields(cls)}
            values = {name: value for name, value in values.items() if name in known}
            lists = {name: tuple(values.get(name, ())) for name in ("batch_sizes", "kernels")}
            return cls(**values | lists)
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{path} has a damaged description ({error!r}); build the engine again") from error

    def check_size(self, height: int, width: int) -> str | None:
        """None where images of this size are served, else the reason why not."""
        if not self.any_size:
            if (height, width) == (self.height, self.width):
                return None
            return f"this engine serves {self.height}x{self.width} images only"
        if height % 4 or width % 4 or min(height, width) < SMALLEST_SIDE:
            return f"height and width must be multiples of 4, at least {SMALLEST_SIDE}"
        return None


def read_spec(path: str | Path) -> EngineSpec:
    """The description of an engine file, told by content. Needs no runtime and reads little of the file.

    Raises EngineError for a missing, foreign or damaged file, or one of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        raise EngineError(f"{path} is a folder; expected an engine file")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise EngineError(f"cannot read the engine {path}: {error.strerror or error}; check the path") from error
    text = spec_of_safetensors(path) if start[8:9] == b"{" else spec_of_onnx(path)
    if text is None:
        raise EngineError(
            f"{path} is not an engine of ugatit-fast; build one from a checkpoint: ugatit-fast build-engine CHECKPOINT "
            "(a bare TensorRT plan, which can carry code, loads with --trust-plan)"
        )
    return EngineSpec.from_json(path, text)


def spec_of_safetensors(path: Path) -> str | None:
    """Our metadata in a safetensors header (eight bytes of length, JSON), or None."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size - 8:
            raise EngineError(f"{path} is truncated: its header is {length} bytes long; copy it again")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise EngineError(f"{path} has a damaged header ({error}); copy it again or build it again") from error
    metadata = header.get("__metadata__", {})
    return metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None


def spec_of_onnx(path: Path) -> str | None:
    """Our entry of a ModelProto's metadata_props, or None where there isn't one or this is no ONNX file.

    Skips the graph unread, so that a gigabyte of weights costs nothing.
    """
    with path.open("rb") as file:
        for field, length in protobuf_fields(file, path.stat().st_size):
            if field != METADATA_PROPS:
                continue
            payload = file.read(length)
            entry = io.BytesIO(payload)
            texts = {key: entry.read(size).decode() for key, size in protobuf_fields(entry, length)}
            if texts.get(1) == METADATA_KEY:
                return texts.get(2)
    return None


def protobuf_fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Field number and length of each length-delimited field of a protobuf message, the file standing at its payload.

    Ends quietly at whatever isn't protobuf. (https://protobuf.dev/programming-guides/encoding)
    """
    while file.tell() < end:
        tag = read_varint(file)
        field, wire = tag >> 3, tag & 7
        if wire == WIRE_VARINT:
            read_varint(file)
        elif wire == WIRE_LENGTH_DELIMITED:
            length = read_varint(file)
            payload = file.tell()
            if payload + length > end:
                return
            yield field, length
            file.seek(payload + length)
        else:
            return


def read_varint(file: BinaryIO) -> int:
    """Seven bits a byte, lowest first, at most ten bytes; the end of the file ends the number."""
    value = 0
    for i in range(10):
        byte = file.read(1)
        value |= (byte[0] & 0x7F) << (7 * i) if byte else 0
        if not byte or byte[0] < 0x80:
            break
    return value
