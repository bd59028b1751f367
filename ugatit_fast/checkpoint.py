"""Weights that people have -> a generator and what is known about it.

Read here: the published `.pt` files (github.com/znxlwm/UGATIT-pytorch; six networks in one file), a bare generator
state dict, either with the `module.` prefixes of DataParallel, and our own safetensors. A file is told by its
content, never by its name, and nothing in it is ever executed. Everything about the network is inferred from the
shapes of its tensors.
"""

import hashlib
import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.files import METADATA_KEY, written_whole
from ugatit_fast.model import Generator, GeneratorConfig

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
FORMAT_VERSION = 1
NETWORKS: dict[Direction, str] = {"A2B": "genA2B", "B2A": "genB2A"}
NAMED_IN_MESSAGES = 3
"""How many offending keys an error lists."""


@dataclass(frozen=True)
class Checkpoint:
    """One generator's weights, not yet in a network. Tensors may still be mapped from the file."""

    path: Path
    format: str
    """In words, for people: `inspect` prints it."""
    direction: Direction
    config: GeneratorConfig
    tensors: Mapping[str, Tensor]
    """State dict of `Generator`, any float dtype."""
    dropped: tuple[str, ...]
    """What else was in the file."""

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def generator(self) -> Generator:
        """The reference network with these weights, float32, without copying those that are float32 already."""
        with torch.device("meta"):
            generator = Generator(self.config)
        generator.load_state_dict({name: t.float() for name, t in self.tensors.items()}, assign=True)
        return generator.eval().requires_grad_(False)


def load_generator(path: str | Path, direction: Direction | None = None) -> Generator:
    """The reference generator (float32, CPU, eval mode) from any checkpoint that `read_checkpoint` reads."""
    return read_checkpoint(path, direction).generator()


def read_checkpoint(path: str | Path, direction: Direction | None = None) -> Checkpoint:
    """Read one generator's weights.

    direction: which of the two to take from a file that holds both (A2B unless said); what a bare generator is
    called; for our own files, which say it themselves, it must agree. Raises CheckpointError with what the file looks
    like instead where it isn't a U-GAT-IT generator, is damaged, holds objects that could run code, or has weights
    that are NaN or infinite.
    """
    path = Path(path)
    if direction is not None and direction not in DIRECTIONS:
        raise CheckpointError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    checkpoint = open_checkpoint(path, direction)
    check_layout(checkpoint)
    check_finite(checkpoint)
    return checkpoint


def open_checkpoint(path: Path, direction: Direction | None) -> Checkpoint:
    """Tell the format by content and find the generator's tensors; nothing is checked yet but that they are there."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; expected a checkpoint file, such as {path}/..._params_latest.pt")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise CheckpointError(
            f"cannot read the checkpoint {path}: {error.strerror or error}; check the path"
        ) from error
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        return from_torch_file(path, direction)
    if start[8:9] == b"{":
        return from_safetensors(path, direction)
    raise CheckpointError(f"{path} is no checkpoint: {looks_like(start)}; expected a U-GAT-IT .pt or .safetensors file")


def looks_like(start: bytes) -> str:
    """A guess, for an error message, at what a file is from its first bytes."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the real file with `git lfs pull`"
    if start.lstrip()[:1] == b"<":
        return "it is a web page, probably a download that failed"
    for name, magic in (("a JPEG picture", b"\xff\xd8\xff"), ("a PNG picture", b"\x89PNG"), ("a zip file", b"PK")):
        if start.startswith(magic):
            return f"it is {name}"
    return f"it starts with {start[:8]!r}"


def facts_of(checkpoint: Checkpoint) -> dict[str, object]:
    """What `inspect` prints of a checkpoint."""
    stored = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    return {
        "format": checkpoint.format,
        "direction": checkpoint.direction,
        **asdict(checkpoint.config),
        "parameters": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "generator_megabytes": round(stored / 1e6, 1),
        "file_megabytes": round(checkpoint.path.stat().st_size / 1e6, 1),
        "would_be_dropped": ", ".join(checkpoint.dropped) or "nothing",
        "sha256": checkpoint.sha256,
    }


# The formats ------------------------------------------------------------------------------------------------------


def from_torch_file(path: Path, direction: Direction | None) -> Checkpoint:
    content = load_torch_file(path)
    tree = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} holds a {type(tree).__name__}; expected a dict of state dicts or of tensors")
    name = NETWORKS[direction or "A2B"]
    if name in tree:
        state, dropped = tree[name], tuple(str(key) for key in tree if key != name)
        described = "published file of networks (.pt)"
    elif any(network in tree for network in NETWORKS.values()):
        present = ", ".join(str(key) for key in tree)
        raise CheckpointError(f"{path} has no {name}, only {present}; ask for the other --direction")
    else:
        state, dropped, described = tree, (), "generator state dict (.pt)"
    tensors = without_prefix(path, state)
    return Checkpoint(path, described, direction or "A2B", infer_config(path, tensors), tensors, dropped)


def load_torch_file(path: Path) -> Any:
    """torch.load without ever running code; memory-mapped where the file's format permits (torch 1.6 and later)."""
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                raise CheckpointError(
                    f"{path} is a TorchScript program, not weights; save the network's state_dict() instead"
                )
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"Python objects ({named[1]})" if named else "Python objects"
        raise CheckpointError(
            f"{path} holds {what} that could run code when loaded, or is damaged; "
            "expected tensors only: load it where you trust it and save its state_dict()"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is truncated or damaged ({reason}); copy or download it again") from error


def from_safetensors(path: Path, direction: Direction | None) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or download it again") from error
    if metadata is None:
        tensors = dict(without_prefix(path, tensors))
        named = direction or "A2B"
        return Checkpoint(path, "generator state dict (.safetensors)", named, infer_config(path, tensors), tensors, ())
    return from_own_file(path, direction, json.loads(metadata), tensors)


def from_own_file(
    path: Path, direction: Direction | None, metadata: dict[str, Any], tensors: dict[str, Tensor]
) -> Checkpoint:
    """A generator that `save_generator` wrote."""
    if metadata.get("kind") != "generator":
        raise CheckpointError(f"{path} is an engine, not a checkpoint; it can be run as it is: ugatit-fast translate")
    if metadata["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {metadata['format_version']}; this ugatit-fast reads up to {FORMAT_VERSION}: "
            "upgrade it with pip install -U ugatit-fast"
        )
    if direction is not None and direction != metadata["direction"]:
        raise CheckpointError(f"{path} translates {metadata['direction']}; {direction} was asked for")
    config = GeneratorConfig(**metadata["config"])
    return Checkpoint(path, "ugatit-fast generator (.safetensors)", metadata["direction"], config, tensors, ())


def save_generator(path: str | Path, generator: Generator, direction: Direction) -> None:
    """Write one generator as safetensors that describes itself; `read_checkpoint` gives it back. Atomic."""
    metadata = {
        "kind": "generator",
        "format_version": FORMAT_VERSION,
        "config": asdict(generator.config),
        "direction": direction,
    }
    tensors = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    write_safetensors(path, tensors, json.dumps(metadata))


def write_safetensors(path: str | Path, tensors: dict[str, Tensor], description: str) -> None:
    """Atomic; `description` is our JSON for the header. Raises InputError where it can't be written."""
    with written_whole(path) as partial:
        try:
            save_file(tensors, partial, metadata={METADATA_KEY: description})
        except SafetensorError as error:  # carries the operating system's error as text only
            raise InputError(f"cannot write {path}: {error}; choose another place or free some space") from error


# What the tensors say ---------------------------------------------------------------------------------------------


def without_prefix(path: Path, state: Any) -> Mapping[str, Tensor]:
    """The tensors of a state dict, without DataParallel's `module.`; CheckpointError where there are none."""
    tensors = (
        {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
        if isinstance(state, dict)
        else {}
    )
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; expected a U-GAT-IT generator or six networks")
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def infer_config(path: Path, tensors: Mapping[str, Tensor]) -> GeneratorConfig:
    """ch, n_res, light or full and image size from the shapes. A light generator doesn't know its image size: 256."""
    for name in ("DownBlock.1.weight", "FC.0.weight"):
        if name not in tensors or tensors[name].dim() < 2:
            raise CheckpointError(f"{path} is not a U-GAT-IT generator: {name} is missing; {kin(tensors)}")
    ch = tensors["DownBlock.1.weight"].shape[0]
    n_res = len({name.split(".")[0] for name in tensors if name.startswith("UpBlock1_")})
    inputs = tensors["FC.0.weight"].shape[1]
    if inputs == 4 * ch:
        return GeneratorConfig(ch=ch, n_res=n_res, light=True)
    side = 4 * math.isqrt(inputs // (4 * ch))
    config = GeneratorConfig(ch=ch, n_res=n_res, light=False, img_size=side)
    if config.style_inputs != inputs:
        raise CheckpointError(
            f"{path}: FC.0.weight takes {inputs} features; expected {4 * ch} (light) or {4 * ch} times a square (full)"
        )
    return config


def kin(tensors: Mapping[str, Tensor]) -> str:
    """What a state dict that isn't ours looks like, for an error message."""
    names = list(tensors)
    if any(name.endswith("weight_orig") for name in names):
        return "it looks like a discriminator; expected genA2B or genB2A"
    if any(name.startswith("generator_") for name in names):
        return "it looks like the TensorFlow network"
    if any(re.match(r"model\.\d+\.", name) for name in names):
        return "it looks like a CycleGAN generator"
    return f"its first tensors are {', '.join(names[:NAMED_IN_MESSAGES])}"


def check_layout(checkpoint: Checkpoint) -> None:
    """Every tensor of the generator there, none besides, each of the right shape."""
    path, tensors = checkpoint.path, checkpoint.tensors
    if "FC.1.weight" in tensors and "FC.2.weight" not in tensors:
        raise CheckpointError(
            f"{path} was written before 2019-08-07, without a ReLU between the style layers (FC.1, not FC.2); "
            "that network is not supported: train again with today's published code"
        )
    with torch.device("meta"):
        wanted = Generator(checkpoint.config).state_dict()
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    if missing or unexpected:
        parts = [f"{kind} {some(names)}" for kind, names in (("lacks", missing), ("also has", unexpected)) if names]
        raise CheckpointError(
            f"{path} is not a U-GAT-IT generator as published: it {' and '.join(parts)}; {kin(tensors)}"
        )
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensors[name].shape)}; expected {tuple(tensor.shape)} "
                f"in a generator of {checkpoint.config.ch} channels"
            )


def check_finite(checkpoint: Checkpoint) -> None:
    for name, tensor in checkpoint.tensors.items():
        low, high = torch.aminmax(tensor)
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise CheckpointError(
                f"{checkpoint.path}: {name} has NaN or infinite weights; take one from before the training diverged"
            )


def some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED_IN_MESSAGES])
    rest = len(names) - NAMED_IN_MESSAGES
    return f"{shown} and {rest} more" if rest > 0 else shown
