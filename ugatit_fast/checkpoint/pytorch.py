"""The published PyTorch files: six networks in one, or one generator's state dict.

Since 1.6 PyTorch writes zip archives, which are memory-mapped. What it wrote before, nearly all of 2019's weights, is
read by `old_torch_file`. Either way only tensors and plain containers are ever made: no class or function that a
file names is called.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.layout import infer_config
from ugatit_fast.checkpoint.old_torch_file import StoredTensor, read_old_torch_file, read_stored
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError, first_line
from ugatit_fast.model import GeneratorConfig

TRAINING_FORMAT = "ugatit-fast training"
"""What the files of our own trainer, which describe themselves, have under "format"."""
DESCRIPTION = ("format", "format_version", "step", "config", "settings")
"""What there is in them for that."""
NETWORKS: dict[Direction, str] = {"A2B": "genA2B", "B2A": "genB2A"}
PICKLED_MODULE = re.compile(r"GLOBAL (\S+)")
OF_2019 = (
    "saved by PyTorch older than 1.6; if trained with the published code of before 2019-08-27, it is of another "
    "network (no residual addition in the decoder, variances of variances), not supported and not to be told apart"
)
STEP_IN_NAME = re.compile(r"_params_(\d+)\.pt")


def from_torch_file(path: Path, direction: Direction | None, verify: bool) -> Checkpoint:
    """verify: also compare the checksums that a zip archive has; older files have none."""
    is_zip = starts_zip(path)
    content = load_zip(path, verify) if is_zip else load_old(path)
    tree = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} holds a {type(tree).__name__}; expected a dict of state dicts or of tensors")
    name = NETWORKS[direction or "A2B"]
    directions = tuple(d for d, network in NETWORKS.items() if network in tree)
    if directions and name not in tree:
        present = ", ".join(str(key) for key in tree)
        raise CheckpointError(f"{path} has no {name}, only {present}; ask for the other --direction")
    tensors = without_prefix(path, tree[name] if directions else tree)
    config = infer_config(path, tensors)
    step_in_name = STEP_IN_NAME.search(path.name)
    step = int(step_in_name[1]) if step_in_name else None
    kind = "published file of networks" if directions else "generator state dict"
    others = [str(key) for key in tree if key != name] if directions else []
    if tree.get("format") == TRAINING_FORMAT:
        config, step = described(path, tree, config)
        kind = "checkpoint of ugatit-fast train"
        others = [key for key in others if key not in DESCRIPTION]
    return Checkpoint(
        path=path,
        format=f"{kind} (.pt)",
        direction=direction or "A2B",
        directions=directions or (direction or "A2B",),
        config=config,
        tensors=tensors,
        dropped=tuple(others),
        step=step,
        notes=() if is_zip else (OF_2019,),
        size_bytes=path.stat().st_size,
    )


def described(path: Path, content: Mapping[str, Any], inferred: GeneratorConfig) -> tuple[GeneratorConfig, int]:
    """The config and the step that a file of our trainer tells, as far as its tensors bear them out.

    A light generator's tensors don't show the size of its training images: for it, the file's word is taken.
    """
    try:
        config, step = GeneratorConfig(**content["config"]), int(content["step"])
        size = int(config.img_size)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged description ({error!r}); take another checkpoint") from error
    expected = replace(inferred, img_size=size) if inferred.light else inferred
    if config != expected or size < 1:
        raise CheckpointError(f"{path} says that it holds {config}, but its tensors are of {inferred}; take another")
    return expected, step


def starts_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def load_zip(path: Path, verify: bool) -> Any:
    """torch.load, memory-mapped, never running code."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = archive.testzip() if verify else None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(
            f"{path} is truncated or damaged ({error}); copy or download it again "
            "(a TensorFlow checkpoint's archive: unpack it with 7-Zip, and name its folder)"
        ) from error
    if damaged:
        raise CheckpointError(f"{path} is damaged: {damaged} has a wrong checksum; copy or download it again")
    if any("/code/" in name for name in names):
        raise CheckpointError(f"{path} is a TorchScript program, not weights; save the network's state_dict() instead")
    if not any(name.endswith("/data.pkl") for name in names):
        cure = "unpack it and name its folder" if any(n.endswith(".index") for n in names) else "name the weights' file"
        raise CheckpointError(f"{path} is an archive with {names[0] if names else 'nothing'} in it, no weights; {cure}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(code_or_damage(path, error)) from error
    except Exception as error:  # on damaged bytes torch raises whatever its parsers stumble over
        raise CheckpointError(
            f"{path} is truncated or damaged ({first_line(error)}); copy or download it again"
        ) from error


def load_old(path: Path) -> Any:
    try:
        return read_old_torch_file(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(code_or_damage(path, error)) from error


def code_or_damage(path: Path, error: pickle.UnpicklingError) -> str:
    named = PICKLED_MODULE.search(str(error))
    if named is None:
        return f"{path} is truncated or damaged ({first_line(error)}); copy or download it again"
    return (
        f"{path} holds Python objects ({named[1]}) that could run code when loaded; expected tensors only: "
        "load it where you trust it and save its state_dict()"
    )


def without_prefix(path: Path, state: Any) -> Mapping[str, Tensor]:
    """The tensors of a state dict, without DataParallel's `module.`; CheckpointError where there are none."""
    tensors = {}
    if isinstance(state, dict):
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[str(name)] = value
            elif isinstance(value, StoredTensor):
                tensors[str(name)] = read_stored(path, value)
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; expected a U-GAT-IT generator or six networks")
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors
