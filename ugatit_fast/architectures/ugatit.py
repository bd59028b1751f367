"""U-GAT-IT among the architectures: which generator tensors are of, as the published PyTorch code names them.

Its reference is `ugatit_fast.model`, which the trainer shares; its graph and its folds are `ugatit_fast.graph` and
`ugatit_fast.fold`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ugatit_fast.architectures.architecture import Architecture, Understood
from ugatit_fast.architectures.foreign import kin
from ugatit_fast.choices import Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.fold import fold
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import Generator, GeneratorConfig, Reference

FIRST_TENSOR = "DownBlock.1.weight"
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


def about_size(config: GeneratorConfig) -> list[str]:
    if not config.light:
        small = (
            f"a full generator of {config.img_size}x{config.img_size} images, smaller than the published code trains"
        )
        return [small] if config.img_size < SMALLEST_FULL else []
    unless = f"{config.img_size}x{config.img_size} unless given"
    return [f"a light generator doesn't say the size of its training images: {unless}"]


class Ugatit(Architecture[GeneratorConfig]):
    """The published generator, light or full."""

    name = "ugatit"
    title = "U-GAT-IT"
    config = GeneratorConfig
    anchors = (FIRST_TENSOR,)
    about_old_files = (
        "if trained with the published code of before 2019-08-27, it is of another network (no residual addition in "
        "the decoder, variances of variances), not supported and not to be told apart"
    )

    def understand(self, path: Path, tensors: Mapping[str, Tensor], hints: Hints) -> Understood[GeneratorConfig]:
        if "FC.1.weight" in tensors and "FC.2.weight" not in tensors:
            raise CheckpointError(
                f"{path} was written by the published code of before 2019-08-07 (FC.1, not FC.2): a network without "
                "ReLUs between the style layers, without residual addition in the decoder and with variances of "
                "variances, which no engine computes; train again with today's published code"
            )
        config = infer_config(path, tensors)
        return Understood(config=config, tensors=tensors, notes=tuple(about_size(config)))

    def configured(self, settings: Mapping[str, Any], side: int) -> GeneratorConfig:
        return GeneratorConfig(**dict(settings) | {"img_size": side})

    def reference(self, config: GeneratorConfig) -> Generator:
        return Generator(config)

    def fold(self, reference: Reference) -> FoldedGenerator:
        assert isinstance(reference, Generator), "its config is U-GAT-IT's"
        return fold(reference)

    def folded(self, config: GeneratorConfig, tensors: Mapping[str, Tensor]) -> FoldedGenerator:
        return FoldedGenerator(config, tensors)
