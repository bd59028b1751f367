"""Safetensors: one generator that describes itself, in and out; and a bare state dict in that format."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint
from ugatit_fast.checkpoint.layout import infer_config
from ugatit_fast.checkpoint.pytorch import without_prefix
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.files import METADATA_KEY, parse_description, safetensors_errors, written_whole
from ugatit_fast.model import Generator, GeneratorConfig

FORMAT_VERSION = 1


def from_safetensors(path: Path, direction: Direction | None) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            description = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or download it again") from error
    if description is not None:
        return from_own_file(path, direction, description, tensors)
    tensors = dict(without_prefix(path, tensors))
    named = direction or "A2B"
    return Checkpoint(
        path=path,
        format="generator state dict (.safetensors)",
        direction=named,
        directions=(named,),
        config=infer_config(path, tensors),
        tensors=tensors,
        size_bytes=path.stat().st_size,
    )


def from_own_file(
    path: Path, direction: Direction | None, description: str, tensors: Mapping[str, Tensor]
) -> Checkpoint:
    """A generator that `write_generator` wrote."""
    try:
        metadata = parse_description(path, description, "generator", CheckpointError)
        version = int(metadata["format_version"])
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has format version {version}; this ugatit-fast reads up to {FORMAT_VERSION}: "
                "upgrade it with pip install -U ugatit-fast"
            )
        config = GeneratorConfig(**metadata["config"])
        stored, step, notes = metadata["direction"], metadata.get("step"), tuple(map(str, metadata.get("notes", ())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} has a damaged description ({error!r}); copy it again or convert again"
        ) from error
    if stored not in DIRECTIONS or any(type(v) not in (int, bool) for v in asdict(config).values()):
        raise CheckpointError(f"{path} has a damaged description; copy it again or convert it again")
    if direction not in (None, stored):
        raise CheckpointError(f"{path} translates {stored}; {direction} was asked for")
    return Checkpoint(
        path=path,
        format="ugatit-fast generator (.safetensors)",
        direction=stored,
        directions=(stored,),
        config=config,
        tensors=tensors,
        step=step,
        notes=notes,
        size_bytes=path.stat().st_size,
    )


def save_generator(path: str | Path, generator: Generator, direction: Direction) -> None:
    """Write one generator as safetensors that describes itself; `read_checkpoint` gives it back. Atomic.

    Raises InputError where it can't be written.
    """
    description = describe(generator.config, direction)
    write_safetensors(path, {name: t.contiguous() for name, t in generator.state_dict().items()}, description)


def describe(
    config: GeneratorConfig, direction: Direction, step: int | None = None, notes: tuple[str, ...] = ()
) -> str:
    """The JSON in the header of our own files."""
    metadata = {
        "kind": "generator",
        "format_version": FORMAT_VERSION,
        "config": asdict(config),
        "direction": direction,
        "step": step,
        "notes": notes,
    }
    return json.dumps(metadata)


def write_safetensors(path: str | Path, tensors: Mapping[str, Tensor], description: str) -> None:
    """Atomic; `description` is our JSON for the header. Raises InputError where it can't be written."""
    with written_whole(path) as partial:
        serialise(partial, tensors, description)


def serialise(path: Path, tensors: Mapping[str, Tensor], description: str) -> None:
    """`write_safetensors` for use within `written_whole`. Raises OSError."""
    with safetensors_errors():
        save_file(dict(tensors), path, metadata={METADATA_KEY: description})
