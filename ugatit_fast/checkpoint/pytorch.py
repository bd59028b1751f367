"""PyTorch's files: six networks in one, one generator's state dict, or either inside a framework's record of a run.

Since 1.6 PyTorch writes zip archives (`zip_torch_file`), before that files of its own kind (`old_torch_file`), nearly
all of 2019's weights. Either way only tensors and plain containers are ever made (`torch_pickle`), and the generator is
searched for in them (`search`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ugatit_fast.architectures import Understood
from ugatit_fast.architectures.ugatit import infer_config
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.old_torch_file import read_old_torch_file
from ugatit_fast.checkpoint.search import find_generator
from ugatit_fast.checkpoint.told import Asked, checkpoint_of, step_in, understood
from ugatit_fast.checkpoint.torch_pickle import StoredTensor
from ugatit_fast.checkpoint.zip_torch_file import find_unpacked, read_unpacked, read_zip_torch_file
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Config, GeneratorConfig

TRAINING_FORMAT = "ugatit-fast training"
"""What the files of our own trainer, which describe themselves, have under "format"."""
RESUMING = "training"
"""What there is in them for --resume alone; at first without a tensor."""


def from_torch_file(path: Path, asked: Asked, verify: bool) -> Checkpoint:
    """verify: also compare the checksums that a zip archive has; older files have none."""
    tree, in_zip = read_torch_file(path, verify)
    choice = find_generator(path, tree, asked.direction, asked.network, asked.hints.architecture)
    if isinstance(tree, dict) and tree.get("format") == TRAINING_FORMAT:
        tensors = {name: leaf.read() for name, leaf in choice.candidate.tensors.items()}
        config, step = described(path, tree, infer_config(path, tensors, described=True))
        told = Understood[Config](config=config, tensors=tensors)
        found = checkpoint_of(path, "checkpoint of ugatit-fast train (.pt)", choice, asked, told)
        beside = dict.fromkeys([*found.dropped, *(name for name in tree if name == RESUMING)])
        return replace(found, step=step, notes=(), dropped=tuple(beside))
    kind = "generator state dict" if choice.candidate.way is None else "published file of networks"
    if not choice.candidate.published and choice.candidate.name:
        kind = f"generator {choice.candidate.name}"
    found = checkpoint_of(path, f"{kind} ({suffix_of(path)})", choice, asked, understood(path, choice, asked))
    doubt = "" if in_zip else found.architecture.about_old_files
    notes = (f"saved by PyTorch older than 1.6; {doubt}", *found.notes) if doubt else found.notes
    return replace(found, step=step_in(path.name), notes=notes)


def read_torch_file(path: Path, verify: bool = False) -> tuple[Any, bool]:
    """The saved object, every tensor in it a StoredTensor, and whether it was saved by PyTorch 1.6 or later.

    path: a file, or what unpacking one has left. Raises CheckpointError for a damaged one, OSError for none.
    """
    root = find_unpacked(path)
    if root is not None:
        return read_unpacked(path, root), True
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    return (read_zip_torch_file(path, verify) if is_zip else read_old_torch_file(path)), is_zip


def in_memory(tree: Any) -> Any:
    """The same containers, every tensor in them read. Raises CheckpointError."""
    if isinstance(tree, StoredTensor):
        return tree.read()
    if isinstance(tree, dict):
        return {key: in_memory(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(in_memory, tree))
    return tree


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


def suffix_of(path: Path) -> str:
    """What a file is called, for people: `.pt`, or that it's none."""
    return "unpacked .pt" if path.is_dir() else path.suffix or "no suffix"
