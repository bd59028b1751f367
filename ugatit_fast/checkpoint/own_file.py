"""Safetensors: one generator that describes itself, in and out; and a bare state dict in that format."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

from ugatit_fast.architectures import architecture_called
from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint
from ugatit_fast.checkpoint.search import find_generator
from ugatit_fast.checkpoint.told import Asked, checkpoint_of, understood
from ugatit_fast.choices import DECIDING, Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.files import METADATA_KEY, is_text, parse_description, safetensors_errors, written_whole
from ugatit_fast.model import Config, GeneratorConfig, Reference

FORMAT_VERSION = 2
"""2 says which architecture a generator is of. U-GAT-IT's are written as 1, which older versions read too."""


class SafetensorsFile(Protocol):
    """What the library gives for an open file."""

    def keys(self) -> list[str]: ...

    def metadata(self) -> dict[str, str] | None: ...

    def get_slice(self, name: str) -> Any: ...

    def get_tensor(self, name: str) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class SafetensorsLeaf:
    """A tensor in an open file."""

    file: SafetensorsFile
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.file.get_slice(self.name).get_shape())

    def read(self) -> Tensor:
        """Mapped."""
        return self.file.get_tensor(self.name)


def from_safetensors(path: Path, asked: Asked) -> Checkpoint:
    """Ours, which describes itself, or any other with a generator somewhere in it."""
    try:
        with opened(path) as file:
            description = (file.metadata() or {}).get(METADATA_KEY)
            if description is not None:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return from_own_file(path, asked, description, tensors)
            tree = {name: SafetensorsLeaf(file, name) for name in file.keys()}  # noqa: SIM118
            choice = find_generator(path, tree, asked.direction, asked.network, asked.hints.architecture)
            found = understood(path, choice, asked)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or download it again") from error
    kind = f"generator {choice.candidate.name}" if choice.candidate.name else "generator state dict"
    return checkpoint_of(path, f"{kind} (.safetensors)", choice, asked, found)


@contextmanager
def opened(path: Path) -> Iterator[SafetensorsFile]:
    """The library takes a name that is text, which a name on Linux need not be: such a file is opened by number."""
    if is_text(path):
        with safe_open(path, framework="pt") as found:
            yield found
        return
    with path.open("rb") as file, safe_open(f"/proc/self/fd/{file.fileno()}", framework="pt") as found:
        yield found


def from_own_file(path: Path, asked: Asked, description: str, tensors: Mapping[str, Tensor]) -> Checkpoint:
    """A generator that `write_generator` wrote."""
    try:
        metadata = parse_description(path, description, "generator", CheckpointError)
        version = int(metadata["format_version"])
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has format version {version}; this ugatit-fast reads up to {FORMAT_VERSION}: "
                "upgrade it with pip install -U ugatit-fast"
            )
        name = str(metadata.get("architecture", GeneratorConfig.architecture))
        config: Config = architecture_called(name).config(**metadata["config"])
        stored, step, notes = metadata["direction"], metadata.get("step"), tuple(map(str, metadata.get("notes", ())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} has a damaged description ({error!r}); copy it again or convert again"
        ) from error
    if stored not in DIRECTIONS or not all(type(getattr(config, f.name)) is type(f.default) for f in fields(config)):
        raise CheckpointError(f"{path} has a damaged description; copy it again or convert it again")
    if asked.direction not in (None, stored):
        raise CheckpointError(f"{path} translates {stored}; {asked.direction} was asked for")
    if asked.network:
        raise CheckpointError(f"{path} holds one generator, which has no name there; leave --network out")
    if asked.hints.architecture not in (None, config.architecture):
        raise CheckpointError(f"{path} says that it is {config.architecture}; leave --architecture out")
    for name in DECIDING:
        wanted, has = getattr(asked.hints, name), config.settings().get(name, "none")
        if wanted not in (None, has):
            raise CheckpointError(f"{path} says that its {name} is {has}, got {wanted}; leave --{name} out")
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


def save_generator(path: str | Path, generator: Reference, direction: Direction) -> None:
    """Write one generator as safetensors that describes itself; `read_checkpoint` gives it back. Atomic.

    Raises InputError where it can't be written.
    """
    description = describe(generator.config, direction)
    write_safetensors(path, {name: t.contiguous() for name, t in generator.state_dict().items()}, description)


def describe(config: Config, direction: Direction, step: int | None = None, notes: tuple[str, ...] = ()) -> str:
    """The JSON in the header of our own files."""
    first = config.architecture == GeneratorConfig.architecture
    metadata = {
        "kind": "generator",
        "format_version": 1 if first else FORMAT_VERSION,
        **({} if first else {"architecture": config.architecture}),
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
        if is_text(path):
            save_file(apart(tensors), path, metadata={METADATA_KEY: description})
        else:
            path.write_bytes(save(apart(tensors), metadata={METADATA_KEY: description}))


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, none of which shares memory with another or lies in it with gaps, which the format has no way
    to say.
    """
    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        alone = storage.data_ptr() not in seen and storage.nbytes() == tensor.nbytes and tensor.is_contiguous()
        seen.add(storage.data_ptr())
        own[name] = tensor if alone else tensor.clone(memory_format=torch.contiguous_format)
    return own
