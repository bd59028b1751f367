"""One generator's weights with everything that is known about them."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from ugatit_fast.architectures import Architecture, architecture_of
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.model import Config, GeneratorConfig, Reference

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One generator's weights, not yet in a network. Tensors may still be mapped from the file."""

    path: Path
    """The file; of a TensorFlow checkpoint, its index; of an unpacked archive, its folder."""
    format: str
    """In words, for people: `inspect` prints it."""
    direction: Direction
    directions: tuple[Direction, ...]
    """Those that the file has a generator for."""
    config: Config
    """What shapes it, by which its architecture is known."""
    tensors: Mapping[str, Tensor]
    """State dict of the reference network, any float dtype."""
    network: str = ""
    """What it is called in a file with several, where that isn't a published name."""
    dropped: tuple[str, ...] = ()
    """What else was in the file."""
    step: int | None = None
    """Training step, where the file or its name says it."""
    notes: tuple[str, ...] = ()
    """What was inferred about the network and from what, one sentence each; every command that reads weights shows
    them.
    """
    chosen: str = ""
    """What people chose, or nobody did, of what the tensors don't say; see `Understood.chosen`."""
    smoothing: bool | None = None
    """Of a TensorFlow checkpoint: whether 0.1 was taken off rho. None where the question doesn't arise."""
    size_bytes: int
    """Of all files."""
    in_cache: bool = False
    """Whether `path` lies in a cache or in the package, where nothing that people make belongs."""

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the file's bytes and of how they were understood.

        A TensorFlow index stands for its data files, whose checksums it holds: eight gigabytes needn't be read.
        """
        digest = hashlib.sha256()
        for part in files_of(self.path):
            with part.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        if self.smoothing is not None:
            digest.update(f"smoothing={self.smoothing}".encode())
        if self.network:
            digest.update(f"network={self.network}".encode())
        digest.update(self.chosen.encode())
        return digest.hexdigest()

    @property
    def architecture(self) -> Architecture[Config]:
        return architecture_of(self.config)

    def folded(self) -> FoldedNetwork:
        """The inference graph, in float32."""
        return self.architecture.fold(self.generator())

    def generator(self, dtype: torch.dtype = torch.float32) -> Reference:
        """The reference network with these weights, without copying those that are of that dtype already."""
        with torch.device("meta"):
            generator = self.architecture.reference(self.config)
        generator.load_state_dict({name: t.to(dtype) for name, t in self.tensors.items()}, assign=True)
        return generator.eval().requires_grad_(False)

    def product(self, suffix: str) -> Path:
        """Where something made from this goes unless told otherwise: beside it, or in the current folder when it lies
        in a cache.
        """
        folder = Path() if self.in_cache else self.path.parent
        return folder / f"{self.path.stem}-{self.direction}{suffix}"


def ugatit_config(checkpoint: Checkpoint, user: str) -> GeneratorConfig:
    """What shapes a U-GAT-IT generator. CheckpointError for another's, of which `user` takes no weights."""
    if not isinstance(checkpoint.config, GeneratorConfig):
        raise CheckpointError(
            f"{checkpoint.path} is a {checkpoint.architecture.title} generator; {user} takes U-GAT-IT's only"
        )
    return checkpoint.config


def files_of(path: Path) -> list[Path]:
    """The files of a checkpoint: itself, or all in an unpacked archive, in an order that is always the same."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def size_of(path: Path) -> int:
    """Bytes of a checkpoint's files."""
    return sum(file.stat().st_size for file in files_of(path))


def facts_of(checkpoint: Checkpoint) -> dict[str, object]:
    """What `inspect` prints of a checkpoint, as far as it says it."""
    stored = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    config = checkpoint.config
    sizes = {"img_size": f"any ({config.training_side} unless given)"} if config.any_size else {}
    return {
        "architecture": checkpoint.architecture.title,
        "format": checkpoint.format,
        "direction": checkpoint.direction,
        "directions_in_it": ", ".join(checkpoint.directions),
        "step": checkpoint.step,
        **asdict(config),
        **sizes,
        **{f"note_{i}": note for i, note in enumerate(checkpoint.notes, start=1)},
        "parameters": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "generator_megabytes": round(stored / 1e6, 1),
        "file_megabytes": round(checkpoint.size_bytes / 1e6, 1),
        "would_be_dropped": ", ".join(checkpoint.dropped),
        "sha256": checkpoint.sha256,
    }
