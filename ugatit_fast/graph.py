"""The folded network: the graph that all engines are made from.

`FoldedGenerator.graph` states it once, against the seven verbs of `Operations`; PyTorch runs it (`TorchOperations`),
the exporters write it down, the cost model counts it. Its tensors come from `ugatit_fast.fold`.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.bias_relu import bias_relu
from ugatit_fast.kernels.image import normalise_image, rows_to_image
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.style import style
from ugatit_fast.model import EPS, GeneratorConfig

Value = TypeVar("Value")
Style = TypeVar("Style")
Picture = TypeVar("Picture")
NORM_TENSORS = ("gamma", "beta", "rho", "bias")
STYLE_TENSORS = ("first", "second", "heads", "bias1", "bias2", "bias3")
HALF_TENSORS = ("weight", "first")
"""Tensors that a half-precision engine stores as float16, by the last part of their name; all others stay float32."""


class Weights(nn.Module):
    """Named tensors of one place in the network; a tensor that a checkpoint doesn't have is None.

    A stage (convolution and normalisation) has `weight` and what of gamma, beta, rho and bias applies; see
    `ugatit_fast.kernels.adalin`. `bias` is the convolution's, which moves the statistics instead of the pixels.
    """

    weight: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    first: Tensor
    second: Tensor
    heads: Tensor
    bias1: Tensor | None
    bias2: Tensor | None
    bias3: Tensor | None

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str, names: tuple[str, ...]) -> None:
        super().__init__()
        for name in names:
            self.register_buffer(name, tensors.get(f"{prefix}.{name}"))


class Operations(Protocol[Picture, Value, Style]):
    """The verbs that the folded network is written in. A Picture is a batch of images or heat
    maps, a Value a batch of activations (n, c, h, w), a Style its gamma and beta.

    Convolutions take inputs that already have their border: whoever stores an activation also stores the `pad` pixels
    around it that its reader wants.
    """

    def normalise(self, image: Picture, pad: int) -> Value:
        """uint8 (n, h, w, 3) -> [-1, 1], with a reflected border."""

    def stage(
        self,
        x: Value,
        weights: Weights,
        *,
        stride: int = 1,
        style: Style | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: Value | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
    ) -> Value:
        """Convolution, normalisation, ReLU, addition of the interior of `residual` (which has a border of 1),
        border.
        """

    def up_stage(self, x: Value, weights: Weights, *, unbiased: bool, pad: int, pad_mode: str) -> Value:
        """Up-sampling convolution of x (with a replicated border of 1), ILN, ReLU, border."""

    def attend(self, x: Value, weights: Weights, pad_mode: str) -> Value:
        """1x1 convolution, bias, ReLU, border of 1."""

    def style(self, attended: Value, weights: Weights) -> Style:
        """gamma and beta from the interior of the attended features."""

    def heatmap(self, attended: Value) -> Picture:
        """float32 (n, h, w): the sum of the attended features' interior over channels."""

    def to_image(self, x: Value, weights: Weights) -> Picture:
        """The last convolution in its row form, tanh, uint8 (n, h, w, 3)."""


class FoldedGenerator(nn.Module):
    """The inference graph: uint8 pictures in, uint8 pictures out; all engines are made from this.

    Its buffers are the folded tensors under their flat names (`stem.weight`, `decoder.0.1.rho`, ...).
    """

    def __init__(self, config: GeneratorConfig, tensors: Mapping[str, Tensor], *, unbiased: bool = True) -> None:
        """tensors: as from `fold_tensors`; unbiased: whether AdaLIN and ILN divide by count - 1."""
        super().__init__()
        self.config = config
        self.unbiased = unbiased
        stage = ("weight", *NORM_TENSORS)
        self.stem = Weights(tensors, "stem", stage)
        self.down = nn.ModuleList(Weights(tensors, f"down.{i}", stage) for i in range(2))
        self.encoder, self.decoder = (
            nn.ModuleList(
                nn.ModuleList(Weights(tensors, f"{part}.{i}.{j}", stage) for j in range(2)) for i in range(config.n_res)
            )
            for part in ("encoder", "decoder")
        )
        self.attention = Weights(tensors, "attention", ("weight", "bias"))
        self.style = Weights(tensors, "style", STYLE_TENSORS)
        self.up = nn.ModuleList(Weights(tensors, f"up.{i}", stage) for i in range(2))
        self.out = Weights(tensors, "out", ("weight", "bias"))

    def tensors(self) -> dict[str, Tensor]:
        """The folded tensors by name."""
        return dict(self.named_buffers())

    def half_precision(self) -> "FoldedGenerator":
        """The same network with float16 convolutions and activations; statistics and affine maps stay float32."""
        halved = {
            name: tensor.half() if name.rsplit(".", 1)[1] in HALF_TENSORS else tensor
            for name, tensor in self.tensors().items()
        }
        return FoldedGenerator(self.config, halved, unbiased=self.unbiased)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """image: uint8 (n, h, w, 3) RGB; h and w multiples of 4, at least 8 (light), or config.img_size (full).

        Returns the translated image, alike, and the attention heat map, float32 (n, h / 4, w / 4), non-negative.
        """
        return self.graph(TorchOperations(self.stem.weight.dtype), image)

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture]:
        """The folded network, in order. Returns the image and the heat map."""
        last = self.config.n_res - 1
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, relu=True, pad=1)
        x = ops.stage(x, self.down_stages[0], stride=2, relu=True, pad=1)
        x = ops.stage(x, self.down_stages[1], stride=2, relu=True, pad=0 if last < 0 else 1)
        for i, (first, second) in enumerate(self.encoder_blocks):
            hidden = ops.stage(x, first, relu=True, pad=1)
            x = ops.stage(hidden, second, residual=x, pad=0 if i == last else 1)

        x = ops.attend(x, self.attention, pad_mode="replicate" if last < 0 else "reflect")
        heatmap = ops.heatmap(x)
        style = ops.style(x, self.style)

        for i, (first, second) in enumerate(self.decoder_blocks):
            hidden = ops.stage(x, first, style=style, unbiased=self.unbiased, relu=True, pad=1)
            pad_mode = "replicate" if i == last else "reflect"
            x = ops.stage(hidden, second, style=style, unbiased=self.unbiased, residual=x, pad=1, pad_mode=pad_mode)
        x = ops.up_stage(x, self.up_stages[0], unbiased=self.unbiased, pad=1, pad_mode="replicate")
        x = ops.up_stage(x, self.up_stages[1], unbiased=self.unbiased, pad=3, pad_mode="reflect")
        return ops.to_image(x, self.out), heatmap

    @property
    def down_stages(self) -> list[Weights]:
        return cast(list[Weights], list(self.down))

    @property
    def up_stages(self) -> list[Weights]:
        return cast(list[Weights], list(self.up))

    @property
    def encoder_blocks(self) -> list[tuple[Weights, Weights]]:
        return [cast(tuple[Weights, Weights], tuple(cast(nn.ModuleList, block))) for block in self.encoder]

    @property
    def decoder_blocks(self) -> list[tuple[Weights, Weights]]:
        return [cast(tuple[Weights, Weights], tuple(cast(nn.ModuleList, block))) for block in self.decoder]


class TorchOperations:
    """The folded network in PyTorch: its own convolutions and the project's operations."""

    def __init__(self, dtype: torch.dtype) -> None:
        """dtype: of the activations."""
        self.dtype = dtype

    def normalise(self, image: Tensor, pad: int) -> Tensor:
        return normalise_image(image, pad, self.dtype)

    def stage(
        self,
        x: Tensor,
        weights: Weights,
        *,
        stride: int = 1,
        style: Tensor | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: Tensor | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
    ) -> Tensor:
        x = F.conv2d(x, weights.weight, stride=stride)
        gamma, beta = (weights.gamma, weights.beta) if style is None else style.unbind()
        added = None if residual is None else interior(residual, 1)
        return normalised(x, gamma, beta, weights, unbiased, relu, added, pad, pad_mode)

    def up_stage(self, x: Tensor, weights: Weights, *, unbiased: bool, pad: int, pad_mode: str) -> Tensor:
        phases = F.conv2d(x, weights.weight)
        gamma, beta = cast(Tensor, weights.gamma), cast(Tensor, weights.beta)
        return normalised(phases, gamma, beta, weights, unbiased, True, None, pad, pad_mode, phases=True)

    def attend(self, x: Tensor, weights: Weights, pad_mode: str) -> Tensor:
        return bias_relu(F.conv2d(x, weights.weight), cast(Tensor, weights.bias), 1, pad_mode)

    def heatmap(self, attended: Tensor) -> Tensor:
        return interior(attended, 1).sum(dim=1, dtype=torch.promote_types(attended.dtype, torch.float32))

    def style(self, attended: Tensor, weights: Weights) -> Tensor:
        return style(interior(attended, 1), *[getattr(weights, name) for name in STYLE_TENSORS])

    def to_image(self, x: Tensor, weights: Weights) -> Tensor:
        return rows_to_image(F.conv2d(x, weights.weight), weights.bias)


def normalised(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    weights: Weights,
    unbiased: bool,
    relu: bool,
    residual: Tensor | None,
    pad: int,
    pad_mode: str,
    phases: bool = False,
) -> Tensor:
    gamma, beta = (g.unsqueeze(0) if g is not None and g.dim() == 1 else g for g in (gamma, beta))
    return adalin(x, gamma, beta, weights.rho, weights.bias, residual, relu, pad, pad_mode, unbiased, EPS, phases)
