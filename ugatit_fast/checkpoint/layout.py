"""Whether the tensors of a generator are all there, and sound."""

import torch

from ugatit_fast.architectures.foreign import kin, some
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.errors import CheckpointError


def check_layout(checkpoint: Checkpoint) -> None:
    """Every tensor of the generator there, none besides, each floating point and of the right shape."""
    path, tensors, architecture = checkpoint.path, checkpoint.tensors, checkpoint.architecture
    with torch.device("meta"):
        wanted = architecture.reference(checkpoint.config).state_dict()
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    if missing or unexpected:
        parts = [f"{kind} {some(names)}" for kind, names in (("lacks", missing), ("also has", unexpected)) if names]
        raise CheckpointError(
            f"{path} is not {architecture.title}'s generator as published: it {' and '.join(parts)}; "
            f"{kin(list(tensors))}"
        )
    for name, expected in wanted.items():
        tensor = tensors[name]
        if tensor.shape != expected.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensor.shape)}; expected {tuple(expected.shape)} "
                f"in this generator ({checkpoint.config.words})"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{path}: {name} is {tensor.dtype}; expected floating point weights")


def check_finite(checkpoint: Checkpoint) -> None:
    for name, tensor in checkpoint.tensors.items():
        low, high = torch.aminmax(tensor.float() if tensor.dtype.itemsize == 1 else tensor)
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise CheckpointError(
                f"{checkpoint.path}: {name} has NaN or infinite weights; take one from before the training diverged"
            )
