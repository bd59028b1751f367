"""What the tensors themselves say: which generator they are of, and whether they are all there."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.search import FIRST_TENSOR, kin, some
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Generator, GeneratorConfig

SMALLEST_FULL = 96
"""Pixels. The published global discriminator halves its input five times, and its last two layers need 3 pixels."""
MAX_CH, MAX_BLOCKS = 1024, 64
"""Far beyond any generator: larger numbers come from damage, and would cost memory before they are found out."""


def infer_config(path: Path, tensors: Mapping[str, Tensor], *, described: bool = False) -> GeneratorConfig:
    """ch, n_res, light or full and image size from the shapes. A light generator doesn't know its image size: 256.

    described: whether the file says what it holds; else what only a fork's code can have written is refused.
    """
    for name in (FIRST_TENSOR, "FC.0.weight"):
        if name not in tensors or tensors[name].dim() < 2:
            raise CheckpointError(f"{path} is not a U-GAT-IT generator: {name} is missing; {kin(list(tensors))}")
    ch = tensors[FIRST_TENSOR].shape[0]
    n_res = len({name.split(".")[0] for name in tensors if name.startswith("UpBlock1_")})
    light, img_size = infer_style_inputs(path, "FC.0.weight", tensors["FC.0.weight"].shape[1], ch)
    check_size(path, ch, n_res)
    if not (light or described):
        refuse_pooled(path, ch, img_size)
    return GeneratorConfig(ch=ch, n_res=n_res, light=light, img_size=img_size)


def refuse_pooled(path: Path, ch: int, img_size: int) -> None:
    """A fork's `--light N` pools the style's input to N x N, under the published names: FC.0 is as that of a full
    generator of 4 N x 4 N images. The published code trains none of those below 96: its discriminator has no pixels
    left there.
    """
    side = img_size // 4
    if img_size < SMALLEST_FULL:
        raise CheckpointError(
            f"{path}: FC.0.weight takes {side}x{side} pixels of {4 * ch} channels: it is a fork's light generator, "
            f"whose style pools to {side}x{side}, which isn't served; expected a published one, light or full. A full "
            f"one of {img_size}x{img_size} images, which the published code can't train, is read once it is saved with "
            "ugatit_fast.checkpoint.save_generator, whose file says so"
        )


def infer_style_inputs(path: Path, name: str, inputs: int, ch: int) -> tuple[bool, int]:
    """Light or full, and the image size in pixels, from the inputs of the first style layer, called `name`."""
    if inputs == 4 * ch:
        return True, GeneratorConfig.img_size
    side = math.isqrt(inputs // (4 * ch)) if ch else 0
    if side < 2 or inputs != 4 * ch * side**2:
        raise CheckpointError(
            f"{path}: {name} takes {inputs} features; expected {4 * ch} (light) or {4 * ch} times a square (full)"
        )
    return False, 4 * side


def check_size(path: Path, ch: int, n_res: int) -> None:
    if not (1 <= ch <= MAX_CH and n_res <= MAX_BLOCKS):
        raise CheckpointError(
            f"{path} has {ch} channels and {n_res} blocks; expected at most {MAX_CH} and {MAX_BLOCKS}: "
            "it isn't a U-GAT-IT generator, or it is damaged"
        )


def check_layout(checkpoint: Checkpoint) -> None:
    """Every tensor of the generator there, none besides, each floating point and of the right shape."""
    path, tensors = checkpoint.path, checkpoint.tensors
    if "FC.1.weight" in tensors and "FC.2.weight" not in tensors:
        raise CheckpointError(
            f"{path} was written by the published code of before 2019-08-07 (FC.1, not FC.2): a network without ReLUs "
            "between the style layers, without residual addition in the decoder and with variances of variances, which "
            "no engine computes; train again with today's published code"
        )
    with torch.device("meta"):
        wanted = Generator(checkpoint.config).state_dict()
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    if missing or unexpected:
        parts = [f"{kind} {some(names)}" for kind, names in (("lacks", missing), ("also has", unexpected)) if names]
        raise CheckpointError(
            f"{path} is not a U-GAT-IT generator as published: it {' and '.join(parts)}; {kin(list(tensors))}"
        )
    for name, expected in wanted.items():
        tensor = tensors[name]
        if tensor.shape != expected.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensor.shape)}; expected {tuple(expected.shape)} "
                f"in a generator of {checkpoint.config.ch} channels"
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
