"""Generators whose every convolution has the same kind of norm after it: CycleGAN's and pix2pix's."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.architectures.rewrites import folded_batch_norm
from ugatit_fast.model import EPS, Config

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class NormedConfig(Config):
    """What they have in common; the option names of the published code."""

    ngf: int = 64
    """Channels after the first convolution."""
    norm: str = "instance"
    """`instance`; `batch-image`, batch norm with the statistics of the picture itself, as the published test.py runs
    it; `batch-running`, with those of the training; `none`.
    """
    affine: bool = False
    """The norms scale and shift."""
    bias: bool = True
    """Every convolution has a bias; the last always has."""
    img_size: int = 256
    """Side of the square training images in pixels, as far as it is known."""

    def __post_init__(self) -> None:
        """ValueError for what is none of a field's choices."""
        if self.norm not in ("instance", "batch-image", "batch-running", "none"):
            raise ValueError(f"norm {self.norm!r}")

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def normalises(self) -> bool:
        """Whether a picture's own statistics matter: otherwise convolutions are all there is."""
        return self.norm in ("instance", "batch-image")


class RunningNorm(nn.Module):
    """Batch norm in evaluation: with the mean and variance that the training gathered."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=EPS)


def norm_of(config: NormedConfig, channels: int) -> nn.Module:
    """Batch norm over one picture is instance norm: both divide by the count, and have the same epsilon."""
    if config.normalises:
        return nn.InstanceNorm2d(channels, affine=config.affine)
    return RunningNorm(channels) if config.norm == "batch-running" else nn.Identity()


def folded_stage(
    config: NormedConfig, weight: Tensor, bias: Tensor | None, norm: Tensors | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weight, and what is beside it: a bias, or the scale and shift of an instance norm, where the bias cancels
    (rewrite 5). norm: its tensors; None where no norm follows.
    """
    if norm is None:
        return weight, {} if bias is None else {"bias": bias}
    if config.normalises:
        return weight, {"gamma": norm["weight"], "beta": norm["bias"]} if config.affine else {}
    if config.norm == "batch-running":
        statistics = norm["running_mean"], norm["running_var"]
        weight, bias = folded_batch_norm(weight, bias, norm["weight"], norm["bias"], *statistics, EPS)
    return weight, {} if bias is None else {"bias": bias}


def within(tensors: Tensors, module: str) -> dict[str, Tensor]:
    """The tensors of a module, by the last part of their names."""
    return {name.removeprefix(f"{module}."): t for name, t in tensors.items() if name.startswith(f"{module}.")}
