"""TensorFlow's checkpoints: which generator is in one, and how to read those whose variables are a network's tensors.

U-GAT-IT's has other conventions than the published PyTorch code (`tensorflow_ugatit`). Of the other families, each
variable is one tensor under another name (`InTensorFlow`):

    convolutions are (h, w, in, out), or (h, w, c, 1) where each channel has its own
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ugatit_fast.architectures import ARCHITECTURES, Architecture
from ugatit_fast.architectures.architecture import InTensorFlow
from ugatit_fast.architectures.foreign import kin
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.search import Candidate, Choice
from ugatit_fast.checkpoint.tensorflow_ugatit import directions_in, from_ugatit
from ugatit_fast.checkpoint.tensorflow_variables import FORMAT, Variables, all_names, number_in, parts_besides
from ugatit_fast.checkpoint.told import Asked, checkpoint_of, refuse_idle
from ugatit_fast.choices import Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Config
from ugatit_fast.tensor_bundle import TensorBundle
from ugatit_fast.tensor_bundle.bundle import AnyArray

READ = tuple(one for one in ARCHITECTURES if one.tensorflow or one.name == "ugatit")
"""The families whose checkpoints are read, U-GAT-IT's as the only one whose variables aren't tensors."""


def from_tensorflow(path: Path, asked: Asked, smoothing: bool | None, verify: bool) -> Checkpoint:
    """One generator of a checkpoint, named in any way that `find_prefix` takes.

    smoothing: of U-GAT-IT's; see there. verify: also compare the checksums of the generator's variables.
    """
    with TensorBundle.open(path) as bundle:
        if asked.network:
            raise CheckpointError(
                f"{bundle.prefix} is TensorFlow's, whose generators are told by --direction; leave --network out"
            )
        architecture = family_in(bundle, asked.hints)
        if architecture.tensorflow is None:
            refuse_idle(bundle.prefix, architecture, "", asked.hints)
            return from_ugatit(bundle, asked, smoothing, verify)
        return from_variables(bundle, architecture, architecture.tensorflow, asked, verify)


def family_in(bundle: TensorBundle, hints: Hints) -> Architecture[Config]:
    """The family that the names of the variables tell. CheckpointError where they tell none, or one not asked for."""
    names = all_names(bundle)
    found = next((one for one in READ if is_of(bundle, names, one)), None)
    if found is None:
        what = kin(names) if names else "there are no variables in it"
        titles = ", ".join(one.title for one in READ)
        raise CheckpointError(f"{bundle.prefix} holds no generator of {titles} as TensorFlow saves it: {what}")
    if hints.architecture not in (None, found.name):
        raise CheckpointError(
            f"{bundle.prefix} holds a generator of {found.title}; leave --architecture {hints.architecture} out"
        )
    return found


def is_of(bundle: TensorBundle, names: Collection[str], architecture: Architecture[Config]) -> bool:
    saved = architecture.tensorflow
    return bool(directions_in(bundle)) if saved is None else f"{saved.scope}/{saved.anchor}" in names


def from_variables(
    bundle: TensorBundle, architecture: Architecture[Config], saved: InTensorFlow, asked: Asked, verify: bool
) -> Checkpoint:
    """The generator of a family whose variables are its tensors."""
    source = Variables(bundle, saved.scope)
    if verify:
        source.verify()
    names = saved.variables(source.names)
    source.check_names(names.values(), f"{architecture.title}'s generator as published")
    found = architecture.understand_variables(bundle.prefix, tensors_of(source, names, saved), asked.hints)
    refuse_idle(bundle.prefix, architecture, found.chosen, asked.hints)
    choice = Choice(Candidate("", {}, architecture), (), parts_besides(saved.scope, all_names(bundle)))
    checkpoint = checkpoint_of(bundle.index_file, FORMAT, choice, asked, found)
    step = number_in(bundle) if saved.counts_steps else None
    return replace(checkpoint, step=step, size_bytes=bundle.size_bytes())


def tensors_of(source: Variables, names: Mapping[str, str], saved: InTensorFlow) -> dict[str, Tensor]:
    return {ours: converted(source.read(theirs), ours in saved.depthwise) for ours, theirs in names.items()}


def converted(array: AnyArray, depthwise: bool) -> Tensor:
    """A variable in PyTorch's conventions: kernels (out, in, h, w), or (c, 1, h, w)."""
    if array.ndim == 4:
        array = array.transpose(2, 3, 0, 1) if depthwise else array.transpose(3, 2, 0, 1)
    return torch.from_numpy(array.copy(order="C"))
