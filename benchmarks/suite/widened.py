"""A trained network of full width, made of a small one: each channel several times, and the same function.

Random weights say nothing about eight bits: a network of them is chaotic, and rounding changes the whole picture. The
shipped pair is trained, but small. Kernels are divided by how often their inputs are repeated, so that sums stay what
they were; the class-activation weights multiply channels one by one and are repeated only. All that differs is what
dividing by count - 1 makes of more channels: a level of 255 here and there.
"""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ugatit_fast.assets import shipped_weights
from ugatit_fast.checkpoint.own_file import save_generator
from ugatit_fast.checkpoint.read import load_generator
from ugatit_fast.choices import Direction
from ugatit_fast.fold import LAST_CONVOLUTION
from ugatit_fast.model import Generator, GeneratorConfig

FIRST_CONVOLUTION = "DownBlock.1"
CLASS_ACTIVATION = ("gap_fc", "gmp_fc")
FIRST_LINEAR = "FC.0"


def write_widened_checkpoint(
    path: Path, times: int, direction: Direction = "A2B", *, img_size: int | None = None
) -> None:
    """The shipped generator of a direction with `times` as many channels, as .safetensors.

    img_size: of the training images that it says it had; those of the shipped one unless given.
    """
    wide = widened(shipped_generator(direction), times)
    wide.config = replace(wide.config, img_size=img_size or wide.config.img_size)
    save_generator(path, wide, direction)


def shipped_generator(direction: Direction) -> Generator:
    """The small one that comes with the package."""
    shipped = load_generator(shipped_weights(direction), direction)
    assert isinstance(shipped, Generator), "the shipped pair is U-GAT-IT's"
    return shipped


def times_shipped(config: GeneratorConfig) -> int | None:
    """How many times as wide as the shipped generator one of this shape is; None where that isn't its shape."""
    shipped = shipped_generator("A2B").config
    times, rest = divmod(config.ch, shipped.ch)
    same = replace(config, ch=shipped.ch, img_size=shipped.img_size) == shipped
    return times if same and times and not rest else None


def widened(generator: Generator, times: int) -> Generator:
    """The same function with each channel repeated `times` times."""
    config = replace(generator.config, ch=times * generator.config.ch)
    wide = Generator(config)
    tensors = generator.state_dict()
    channels = generator.config.bottleneck_channels
    wide.load_state_dict({name: repeated(name, tensor, times, channels) for name, tensor in tensors.items()})
    return wide.eval().requires_grad_(False)


def repeated(name: str, tensor: Tensor, times: int, channels: int) -> Tensor:
    """One tensor of the state dict; channels: of the bottleneck, as it was."""
    module, _, kind = name.rpartition(".")
    if tensor.ndim == 4 and tensor.shape[0] == 1:  # rho, gamma and beta of a norm
        return tensor.repeat_interleave(times, 1)
    if module in CLASS_ACTIVATION:
        return tensor.repeat_interleave(times, 1)
    outputs = tensor if module == LAST_CONVOLUTION else tensor.repeat_interleave(times, 0)
    if kind != "weight" or tensor.ndim == 1 or module == FIRST_CONVOLUTION:
        return outputs
    if module == FIRST_LINEAR:  # a full generator's reads every pixel of every channel
        inputs = outputs.reshape(len(outputs), channels, -1)
        return inputs.repeat_interleave(times, 1).flatten(1) / times
    return outputs.repeat_interleave(times, 1) / times
