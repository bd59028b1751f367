"""What an engine file says about itself, and reading it.

An engine is one file. Its description is the JSON of an `EngineSpec`, stored where each format has a place for it (see
`files`). Reading it needs none of the runtimes. What any engine says stands in `EngineSpec`; what shapes its generator
in `Network`; what is TensorRT's in `TensorRTFacts`, and what is TensorRT for RTX's in `RtxFacts`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugatit_fast.choices import QUARTERED, Direction, EngineKind, Kernels, Precision, Setting, Sides
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.files import description_of, parse_description
from ugatit_fast.version import __version__

if TYPE_CHECKING:
    from ugatit_fast.checkpoint import Checkpoint

ENGINE_FORMAT_VERSION = 3
"""3 names the architecture; 2 groups the facts; 1 had all of them side by side, with zeros and empty texts where they
meant nothing. U-GAT-IT's engines say the same in 2 as in 3, and are written as 2, which older versions read too.
"""
UGATIT = "ugatit"
"""The architecture of engines that name none."""
UGATIT_SETTINGS = ("ch", "n_res", "light", "unbiased")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The generator that an engine was made from."""

    direction: Direction
    architecture: str = UGATIT
    """One of `choices.ArchitectureName`; of an engine of a newer version it may be another."""
    sides: Sides = QUARTERED
    """Which sizes of pictures it can take."""
    settings: Mapping[str, Setting]
    """What shapes it, beyond the size of its pictures: `Config.settings`."""

    @classmethod
    def of(cls, checkpoint: "Checkpoint") -> "Network":
        config = checkpoint.config
        return cls(
            direction=checkpoint.direction,
            architecture=config.architecture,
            sides=config.sides,
            settings=config.settings(),
        )

    def plain(self) -> dict[str, object]:
        """For the description. U-GAT-IT's settings stand beside the direction, as before there were others."""
        if self.architecture == UGATIT:
            return {"direction": self.direction, **self.settings}
        return asdict(self) | {"sides": list(self.sides)}

    @classmethod
    def from_plain(cls, facts: Mapping[str, Any]) -> "Network":
        """KeyError, TypeError where a fact is missing or of another type."""
        if "architecture" in facts:
            named = {"sides": Sides(*map(int, facts["sides"])), "settings": dict(facts["settings"])}
            return cls(**known(cls, facts) | named)
        return cls(direction=facts["direction"], settings={name: facts[name] for name in UGATIT_SETTINGS})


# Any engine's -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TensorRTFacts:
    """What a TensorRT engine says besides."""

    gpu_architecture: str
    """Of the GPU that it was built on, and runs on: sm_90."""
    tensorrt_version: str
    """Of the TensorRT that built it, and runs it."""
    kernels: tuple[Kernels, ...]
    """What normalises in the plan of each batch size."""
    dynamic_batch: bool
    """Whether one plan serves all batch sizes, instead of one plan each."""


@dataclass(frozen=True, kw_only=True)
class RtxFacts:
    """What an engine for TensorRT for RTX says besides."""

    gpu_architectures: tuple[str, ...]
    """Of the GPUs that it was built for: ("sm_86", "sm_89")."""
    tensorrt_rtx_version: str
    """Of the TensorRT for RTX that built it, and runs it."""
    largest_side: int
    """Of the pictures that its plans take, in pixels."""


@dataclass(frozen=True, kw_only=True)
class EightBitFacts:
    """What an engine in eight bits says besides."""

    calibration_photos: int
    """That its scales are from."""
    layers_of_two_bytes: tuple[str, ...]
    """Places of the folded network that read two bytes a value instead of one, for the picture's sake."""
    layers_in_float32: tuple[str, ...]
    """Places that have no eight bits, for the picture's sake."""
    layers_in_float16: tuple[str, ...] = ()
    """The same of an engine whose other half is float16; for TensorRT the ends and the attention are always among them.
    """

    @property
    def rest(self) -> str:
        """The layers that aren't in one byte, in words."""
        words = self.in_words()
        if self.layers_in_float16:
            return f"float16: {words['layers_in_float16']}"
        return f"two bytes: {words['layers_of_two_bytes']}; float32: {words['layers_in_float32']}"

    def in_words(self) -> dict[str, object]:
        """By name, for people."""
        return {
            name: ", ".join(value) or "none" if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What an engine serves and what it was made from."""

    kind: EngineKind
    precision: Precision
    """Of a bare plan, which doesn't say, that whose tolerances it is held to."""
    height: int
    """Pixels. The only height served, unless `any_size`."""
    width: int
    any_size: bool
    """True: height and width are a default; any size that the network's `sides` allow is served."""
    batch_sizes: tuple[int, ...]
    """Batch sizes served as one call; empty means any."""
    heatmap: bool
    """Whether the attention heat map is a second output."""
    checkpoint_sha256: str
    """Empty for a bare plan."""
    ugatit_fast_version: str
    """Empty for a bare plan."""
    network: Network | None
    """None for a bare plan."""
    tensorrt: TensorRTFacts | None = None
    """None for engines of other kinds, and for a bare plan."""
    tensorrt_rtx: RtxFacts | None = None
    """None for engines of other kinds."""
    eight_bits: EightBitFacts | None = None
    """None for engines of other precisions than int8 and fp8."""
    format_version: int = field(default=ENGINE_FORMAT_VERSION, compare=False)
    """Of the file that this was read from."""

    @property
    def is_bare(self) -> bool:
        """Whether this is a TensorRT plan without a description: TensorRT told its shapes, and nobody the rest."""
        return self.network is None

    @property
    def style_length(self) -> int:
        """Numbers in the style that it takes with pictures; 0 where it draws in one style only."""
        return int((self.network.settings.get("style_dim") if self.network else None) or 0)

    @property
    def sides(self) -> Sides:
        """Which pictures it takes where it takes any size."""
        return self.network.sides if self.network else QUARTERED

    @property
    def direction(self) -> Direction:
        """What people call it by. A2B for a bare plan, as for a bare state dict."""
        return self.network.direction if self.network else "A2B"

    @classmethod
    def of(
        cls,
        checkpoint: "Checkpoint",
        *,
        kind: EngineKind,
        any_size: bool,
        precision: Precision = "fp32",
        size: tuple[int, int] | None = None,
        batch_sizes: tuple[int, ...] = (),
        heatmap: bool = False,
    ) -> "EngineSpec":
        """The description of an engine made from `checkpoint`.

        any_size: whether its runtime serves any size; the engine then does where the generator does.
        size: (height, width), the training size unless given.
        Raises InputError for heat maps of a generator that has none.
        """
        config = checkpoint.config
        if heatmap and not config.heatmap:
            raise InputError(f"a {checkpoint.architecture.title} generator has no attention heat map; leave it out")
        height, width = size or (config.training_side, config.training_side)
        return cls(
            kind=kind,
            precision=precision,
            height=height,
            width=width,
            any_size=any_size and config.any_size,
            batch_sizes=batch_sizes,
            heatmap=heatmap,
            checkpoint_sha256=checkpoint.sha256,
            ugatit_fast_version=__version__,
            network=Network.of(checkpoint),
        )

    def to_json(self) -> str:
        """In the format that says all of it, whatever this was read from."""
        assert self.network is not None, "a bare plan has no place for it"
        version = 2 if self.network.architecture == UGATIT else ENGINE_FORMAT_VERSION
        facts = asdict(self) | {"network": self.network.plain(), "format_version": version}
        if self.eight_bits is None:
            del facts["eight_bits"]
        return json.dumps({"kind": "engine", "engine": facts})

    @classmethod
    def from_json(cls, path: Path, text: str) -> "EngineSpec":
        """Raises EngineError where the text isn't the description of an engine that this version can read."""
        try:
            facts: dict[str, Any] = parse_description(path, text, "engine", EngineError)["engine"]
            version = int(facts["format_version"])
            if version > ENGINE_FORMAT_VERSION:
                raise EngineError(
                    f"{path} has engine format {version}; this ugatit-fast reads up to {ENGINE_FORMAT_VERSION}: "
                    "upgrade it (pip install -U ugatit-fast) or build the engine again"
                )
            return cls.from_facts(grouped(facts) if version == 1 else facts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"{path} has a damaged description ({error!r}); build the engine again") from error

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "EngineSpec":
        """From plain data, grouped as in the newest format; facts that this version doesn't know are left out."""
        tensorrt = facts["tensorrt"]
        if tensorrt is not None:
            tensorrt = TensorRTFacts(**known(TensorRTFacts, tensorrt) | {"kernels": tuple(tensorrt["kernels"])})
        rtx = facts.get("tensorrt_rtx")
        if rtx is not None:
            rtx = RtxFacts(**known(RtxFacts, rtx) | {"gpu_architectures": tuple(rtx["gpu_architectures"])})
        eight = facts.get("eight_bits")
        if eight is not None:
            lists = {name: tuple(value) for name, value in eight.items() if isinstance(value, list)}
            eight = EightBitFacts(**known(EightBitFacts, eight | lists))
        groups = {
            "network": Network.from_plain(facts["network"]),
            "tensorrt": tensorrt,
            "tensorrt_rtx": rtx,
            "eight_bits": eight,
            "batch_sizes": tuple(facts["batch_sizes"]),
        }
        return cls(**known(cls, facts) | groups)

    def facts(self) -> dict[str, object]:
        """Every fact by its name, for people; those of a group beside the others."""
        groups = ("network", "tensorrt", "tensorrt_rtx", "eight_bits")
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in groups}
        own |= {"batch_sizes": self.batch_sizes or "any"}
        if self.network:
            own |= {"direction": self.network.direction, "architecture": self.network.architecture}
            own |= self.network.settings
        for group in (self.tensorrt, self.tensorrt_rtx):
            own |= vars(group) if group else {}
        return own | (self.eight_bits.in_words() if self.eight_bits else {})

    def check_size(self, height: int, width: int) -> str | None:
        """None where images of this size are served, else the reason why not."""
        if self.any_size:
            return self.sides.refusal(height, width) or self.side_refusal(height, width)
        if (height, width) == (self.height, self.width):
            return None
        return f"this engine serves {self.height}x{self.width} images only"

    def side_refusal(self, height: int, width: int) -> str | None:
        """Why the plans don't take pictures that large; None where they do."""
        most = self.tensorrt_rtx.largest_side if self.tensorrt_rtx else None
        if most is None or max(height, width) <= most:
            return None
        return f"this engine's plan takes sides up to {most} pixels; translate smaller pictures (--size)"


def known(group: type, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the facts that are fields of a dataclass."""
    return {one.name: facts[one.name] for one in fields(group) if one.name in facts}


def grouped(facts: Mapping[str, object]) -> dict[str, object]:
    """The facts of format 1 as format 2 has them."""
    from_tensorrt = facts.get("tensorrt_version")
    tensorrt = known(TensorRTFacts, {"dynamic_batch": False, "kernels": (), **facts}) if from_tensorrt else None
    return {**facts, "network": facts, "tensorrt": tensorrt}


def read_spec(path: str | Path) -> EngineSpec:
    """The description of an engine file. Needs no runtime and reads little of the file.

    Raises EngineError for a missing, foreign or damaged file, or one of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        raise EngineError(f"{path} is a folder; expected an engine file")
    try:
        text = description_of(path)
    except OSError as error:
        raise EngineError(f"cannot read the engine {path}: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise EngineError(f"{path} {error}; copy it again or build it again") from error
    if text is None:
        raise EngineError(
            f"{path} is not an engine of ugatit-fast; build one from a checkpoint: ugatit-fast build-engine CHECKPOINT "
            "(a bare TensorRT plan, which can carry code, loads with --trust-plan)"
        )
    return EngineSpec.from_json(path, text)
