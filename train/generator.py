"""The generator as it is trained: the parameters of the reference network, in a forward pass made for speed.

Three exact rewrites against `ugatit_fast.model.Generator.forward`, gradients included: normalisation, ReLU, residual
addition and the next convolution's border are one operation; the attention is one 1x1 convolution with merged weights;
nearest x2, border and convolution are one transposed convolution at low resolution. Under autocast convolutions run in
half precision; statistics, style and attention logits stay float32.

The paper's ablations are here and nowhere else: what they train has other parameters than a U-GAT-IT generator, and no
engine runs it.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ugatit_fast.fold import (
    LAST_CONVOLUTION,
    UP_STAGES,
    encoder_stages,
    merge_attention,
    phase_kernels,
    transposed_kernel,
)
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.padding import interior
from ugatit_fast.model import EPS, FIRST_BLOCK, ILN, AdaLIN, Generator, GeneratorConfig, ResnetAdaLINBlock, ResnetBlock
from ugatit_fast.train.precision import bordered, wide
from ugatit_fast.train.settings import Norm

GROUPS = 32
"""Of group normalisation, as in its paper (arXiv 1803.08494)."""
Style = tuple[Tensor, Tensor] | None
"""gamma and beta of the residual blocks, float32 (n, c) each; None where every norm has its own."""


class FixedNorm(nn.Module):
    """What an ablation puts in the place of AdaLIN or ILN: one kind of statistics. Scale and shift are learned, except
    that those of adaptive instance normalisation ("adain") come with the style in residual blocks.
    """

    def __init__(self, kind: Norm, channels: int, styled: bool) -> None:
        super().__init__()
        self.kind = kind
        self.groups = min(GROUPS, channels)
        self.gamma = None if styled else nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = None if styled else nn.Parameter(torch.zeros(1, channels, 1, 1))


class TrainingGenerator(Generator):
    """`Generator` with a forward pass for training: the same names, the same results."""

    def __init__(
        self, config: GeneratorConfig, *, norm: Norm = "adalin", cam: bool = True, recompute: bool = False
    ) -> None:
        """config: of PyTorch's flavour, without biases and affine encoder.

        norm: of the decoder. cam: False leaves the attention out: the decoder takes the encoder's features.
        recompute: gradient checkpointing, which keeps only the residual blocks' inputs for the backward pass.
        """
        super().__init__(config)
        self.cam = cam
        self.recompute = recompute
        self.styled = norm in ("adalin", "adain")
        if norm != "adalin":
            self.replace_norms(norm)
        if not self.styled:
            del self.FC, self.gamma, self.beta
        if not cam:
            del self.gap_fc, self.gmp_fc, self.conv1x1

    def replace_norms(self, norm: Norm) -> None:
        for block in self.decoder_blocks():
            for name in ("norm1", "norm2"):
                setattr(block, name, FixedNorm(norm, self.config.bottleneck_channels, self.styled))
        for _, name in UP_STAGES.values():
            channels = cast(ILN, self.get_submodule(name)).rho.shape[1]
            self.set_submodule(name, FixedNorm(norm, channels, styled=False))

    def decoder_blocks(self) -> list[ResnetAdaLINBlock]:
        names = [f"UpBlock1_{i + 1}" for i in range(self.config.n_res)]
        return [cast(ResnetAdaLINBlock, self.get_submodule(name)) for name in names]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:  # type: ignore[override]
        """As `Generator.forward`, fastest on channels-last batches. Without attention there are no logits (None).

        Under autocast the picture is in its dtype; logits and heat map are float32.
        """
        places = encoder_stages(self.config) | UP_STAGES
        x = bordered(image, 3)
        for stage, stride in (("stem", 1), ("down.0", 2), ("down.1", 2)):
            conv, norm = self.modules_at(places[stage])
            x = normalised(F.conv2d(x, weight(conv), stride=stride), norm, relu=True, pad=1)
        for i in range(self.config.n_res):
            x = self.run_block(encoder_block, x, self.DownBlock[FIRST_BLOCK + i], None)

        attended, cam_logit = self.attention(interior(x, 1)) if self.cam else (interior(x, 1), None)
        heatmap = wide(attended).sum(dim=1, keepdim=True)
        style = self.style_of(attended) if self.styled else None
        x = bordered(attended, 1)
        for block in self.decoder_blocks():
            x = self.run_block(decoder_block, x, block, style)
        x = bordered(interior(x, 1), 1, "replicate")
        conv, norm = self.modules_at(places["up.0"])
        x = normalised(doubled(x, weight(conv)), norm, relu=True, pad=1, pad_mode="replicate")
        conv, norm = self.modules_at(places["up.1"])
        x = normalised(doubled(x, weight(conv)), norm, relu=True, pad=3)
        return torch.tanh(F.conv2d(x, weight(self.get_submodule(LAST_CONVOLUTION)))), cam_logit, heatmap

    def modules_at(self, names: tuple[str, str]) -> tuple[nn.Module, nn.Module]:
        """The convolution and the norm of one stage, by their names in the published network."""
        conv, norm = names
        return self.get_submodule(conv), self.get_submodule(norm)

    def run_block(
        self, run: Callable[[Tensor, nn.Module, Style], Tensor], x: Tensor, block: nn.Module, style: Style
    ) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(run, x, block, style, use_reentrant=False, preserve_rng_state=False))
        return run(x, block, style)

    def attention(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`Generator.attend` with one merged convolution; the logits float32."""
        with torch.autocast(features.device.type, enabled=False):
            average, maximum = wide(features).mean(dim=(2, 3)), wide(features).amax(dim=(2, 3))
            cam_logit = torch.cat([self.gap_fc(average), self.gmp_fc(maximum)], dim=1)
            merged = merge_attention(self.conv1x1.weight, self.gap_fc.weight, self.gmp_fc.weight)
        return torch.relu(F.conv2d(features, merged, self.conv1x1.bias)), cam_logit

    def style_of(self, attended: Tensor) -> tuple[Tensor, Tensor]:
        """`Generator.style` in float32: the full generator's first layer sums over a million products."""
        with torch.autocast(attended.device.type, enabled=False):
            return self.style(wide(attended))


def encoder_block(x: Tensor, block: nn.Module, style: Style) -> Tensor:
    """Residual block; x and the result have a border of 1."""
    layers = cast(ResnetBlock, block).conv_block
    hidden = normalised(F.conv2d(x, weight(layers[1])), layers[2], style, relu=True, pad=1)
    return normalised(F.conv2d(hidden, weight(layers[5])), layers[6], style, residual=interior(x, 1), pad=1)


def decoder_block(x: Tensor, block: nn.Module, style: Style) -> Tensor:
    """Residual block; x and the result have a border of 1."""
    block = cast(ResnetAdaLINBlock, block)
    hidden = normalised(F.conv2d(x, block.conv1.weight), block.norm1, style, relu=True, pad=1)
    return normalised(F.conv2d(hidden, block.conv2.weight), block.norm2, style, residual=interior(x, 1), pad=1)


def weight(conv: nn.Module) -> Tensor:
    return cast(nn.Conv2d, conv).weight


def doubled(x: Tensor, kernel: Tensor) -> Tensor:
    """Nearest x2, border and convolution 3x3 as one transposed convolution; x has a replicated border of 1."""
    with torch.autocast(x.device.type, enabled=False):
        transposed = transposed_kernel(phase_kernels(kernel))
    return F.conv_transpose2d(x, transposed, stride=2, padding=3)


def normalised(
    x: Tensor,
    norm: nn.Module,
    style: Style = None,
    *,
    relu: bool = False,
    residual: Tensor | None = None,
    pad: int,
    pad_mode: str = "reflect",
) -> Tensor:
    """Normalise, then ReLU, residual addition and border. A norm without scale and shift takes the style's."""
    gamma, beta = style or (None, None)
    if isinstance(norm, (ILN, FixedNorm)) and norm.gamma is not None and norm.beta is not None:
        gamma, beta = norm.gamma.flatten(1), norm.beta.flatten(1)
    if isinstance(norm, FixedNorm) and norm.kind == "gn":
        return group_normalised(x, norm, relu, residual, pad, pad_mode)
    rho, unbiased = None, False  # instance norm
    if isinstance(norm, (AdaLIN, ILN)):
        rho, unbiased = norm.rho.flatten(), norm.unbiased
    elif isinstance(norm, FixedNorm) and norm.kind == "ln" and gamma is not None:
        rho = gamma.new_zeros(x.shape[1])
    with torch.autocast(x.device.type, enabled=False):  # it keeps x's dtype and has float32 inside
        return cast(Tensor, adalin(x, gamma, beta, rho, None, residual, relu, pad, pad_mode, unbiased, EPS))


def group_normalised(
    x: Tensor, norm: FixedNorm, relu: bool, residual: Tensor | None, pad: int, pad_mode: str
) -> Tensor:
    """Group normalisation by PyTorch, the rest as `adalin` does it."""
    assert norm.gamma is not None
    assert norm.beta is not None
    y = F.group_norm(wide(x), norm.groups, norm.gamma.flatten(), norm.beta.flatten(), EPS)
    y = torch.relu(y) if relu else y
    return bordered((y if residual is None else y + residual).to(x.dtype), pad, pad_mode)
