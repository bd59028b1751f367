"""The folded network: the graph that all engines are made from.

A `FoldedNetwork.graph` states it once, against the verbs of `Operations`; PyTorch runs it (`TorchOperations`), the
exporters write it down, the cost model counts it. `FoldedGenerator` is U-GAT-IT's, whose tensors come from
`ugatit_fast.fold`; those of other architectures are in `ugatit_fast.architectures`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.choices import Upsampling
from ugatit_fast.files import STYLE_ENCODER
from ugatit_fast.folded_weights import (
    AttentionWeights,
    ConvolutionWeights,
    MlpWeights,
    SoftStyleWeights,
    StageWeights,
    StyleWeights,
    WideUpWeights,
)
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.bias_relu import bias_relu
from ugatit_fast.kernels.guided import guided_rows_to_image
from ugatit_fast.kernels.image import COLOURS, normalise_image, rows_to_image
from ugatit_fast.kernels.padding import interior, pad_reference
from ugatit_fast.kernels.phases import interleave_phases
from ugatit_fast.kernels.style import style
from ugatit_fast.model import EPS, Config, GeneratorConfig

Value = TypeVar("Value")
Style = TypeVar("Style")
Picture = TypeVar("Picture")
CHANNEL_MULTIPLE = 8
"""Of float16 channels: what tensor cores take at once, and 16 bytes."""
HALF_TENSORS = ("weight", "first", "top", "bottom", "left", "right")
"""Tensors that a half-precision engine stores as float16, by the last part of their name; all others stay float32."""


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """What a stage does besides multiplying by its weights."""

    stride: int = 1
    depthwise: bool = False
    """Whether each channel is convolved by itself."""
    norm: bool = True
    """Whether there is a normalisation that isn't folded into the convolution; else the bias is added."""
    unbiased: bool = False
    """Whether variances are divided by count - 1."""
    eps: float = EPS
    """Added to variances."""
    relu: bool = False
    slope: float = 0.0
    """Of the ReLU below zero."""
    residual_border: int = 1
    """Pixels around what is added, which stay out."""
    pad: int = 0
    pad_mode: str = "reflect"
    """Of the result's border: "reflect", "replicate" or "zero"."""


class Operations(Protocol[Picture, Value, Style]):
    """The verbs that the folded network is written in. A Picture is a batch of images or heat
    maps, a Value a batch of activations (n, c, h, w), a Style its gamma and beta.

    Convolutions take inputs that already have their border: whoever stores an activation also stores the `pad` pixels
    around it that its reader wants.
    """

    def normalise(self, image: Picture, pad: int, pad_mode: str = "reflect") -> Value:
        """uint8 (n, h, w, 3) -> [-1, 1], with a border."""

    def stage(
        self,
        x: Value,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: Style | None = None,
        residual: Value | None = None,
    ) -> Value:
        """Convolution, normalisation, ReLU, addition of the interior of `residual`, border.

        style: of a stage without a normalisation, a shift in place of its bias.
        """

    def up_stage(self, x: Value, weights: StageWeights, options: StageOptions) -> Value:
        """Convolution of x (with a border of 1) to four phases, normalisation, ReLU, border."""

    def joined(self, skipped: Value, x: Value) -> Value:
        """The channels of `skipped`, rectified, before those of x; both have a border of one zero."""

    def with_constants(self, x: Value, more: int, shift: Style | None = None, *, pad_mode: str) -> Value:
        """x with so many constant channels after its own: zeros, or a shift. pad_mode: of the border of 1 that x has,
        and of theirs.
        """

    def preactivated(self, x: Value, weights: StageWeights) -> Value:
        """Instance norm of x (without a border), ReLU, a reflected border of 1, and then the convolution."""

    def joined_onto(self, x: Value, parts: Sequence[Value]) -> Value:
        """x, to whose channels the parts' are added, one part after the other; none has a border."""

    def pooled(self, x: Value) -> Value:
        """The means of 2x2 pixels of x; no borders."""

    def doubled_onto(self, x: Value, skipped: Value) -> Value:
        """nearest x2 of x, and `skipped` added; no borders."""

    def wide_up_stage(self, x: Value, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Value:
        """nearest x2, 5x5 convolution with a reflected border, in phases of x (with a replicated border of 1);
        normalisation by unbiased deviations to which the epsilon is added, ReLU, border.
        """

    def halve(self, x: Value, *, pad: int, pad_mode: str) -> Value:
        """Blur of x (with a border of 1) by [1, 2, 1] / 4 both ways, of which every second pixel is kept; border."""

    def double(
        self, x: Value, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel", residual: Value | None = None
    ) -> Value:
        """Bilinear x2 of x (without a border), addition of the interior of `residual` (with a border of 1), border."""

    def attend(self, x: Value, weights: AttentionWeights, pad_mode: str) -> Value:
        """1x1 convolution, bias, ReLU, border of 1."""

    def style(self, attended: Value, weights: StyleWeights) -> Style:
        """gamma and beta from the interior of the attended features."""

    def soft_styles(self, attended: Value, content: Value, weights: SoftStyleWeights) -> Sequence[Style]:
        """gamma and beta of every normalisation, in order, from the interiors of the attended features and of others,
        which are pooled.
        """

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[Style]:
        """gamma and beta of `count` normalisations from the style that comes with the pictures, the same for all."""

    def given_shifts(self, weights: MlpWeights, count: int) -> Sequence[Style]:
        """What `count` stages without a normalisation add, from the same."""

    def heatmap(self, attended: Value, weights: AttentionWeights) -> Picture:
        """float32 (n, h, w): the sum of the attended features' interior over channels, each by its `heat`."""

    def to_image(self, x: Value, weights: ConvolutionWeights, shift: Style | None = None) -> Picture:
        """The last convolution in its row form, with a shift or its bias, tanh, uint8 (n, h, w, 3)."""

    def to_guided_image(self, x: Value, weights: ConvolutionWeights, image: Picture) -> Picture:
        """The last convolution in its row form, smoothed but for the edges of the image that the network was given,
        uint8 (n, h, w, 3); see `ugatit_fast.kernels.guided`.
        """


class FoldedNetwork(nn.Module, ABC):
    """The inference graph of a generator: uint8 pictures in, uint8 pictures out; all engines are made from this.

    Its buffers are the folded tensors under their flat names (`stem.weight`, `decoder.0.1.rho`, ...).
    """

    config: Config
    stem: StageWeights
    """The first convolution, of the picture."""
    out: ConvolutionWeights
    """The last, in its row form."""

    @abstractmethod
    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture | None]:
        """The folded network, in order. Returns the image, and the heat map where the architecture has one."""

    @abstractmethod
    def with_tensors(self, tensors: Mapping[str, Tensor]) -> Self:
        """The same network with others."""

    @property
    @abstractmethod
    def widths(self) -> tuple[int, ...]:
        """Channels of the activations of a picture's size, of half its sides, of a quarter, ..."""

    @property
    def decoder_widths(self) -> tuple[int, ...]:
        """The same of what the decoder normalises, where they are others."""
        return self.widths

    def tensors(self) -> dict[str, Tensor]:
        """The folded tensors by name."""
        return dict(self.named_buffers())

    def style_encoder_tensors(self) -> dict[str, Tensor]:
        """Those that see the style in a picture, of a network that draws in styles: beside the graph."""
        return {name: tensor for name, tensor in self.tensors().items() if name.startswith(STYLE_ENCODER)}

    def half_precision(self) -> Self:
        """The same network with float16 convolutions and activations; statistics and affine maps stay float32."""
        return self.with_tensors(
            {
                name: tensor.half() if name.rsplit(".", 1)[1] in HALF_TENSORS else tensor
                for name, tensor in self.tensors().items()
            }
        )

    def aligned(self) -> Self:
        """The same network with both ends as wide as tensor cores want them: zeros up to a multiple of eight channels.

        The first convolution reads 8 channels instead of 3, the last writes 24 instead of 21.
        """
        inputs = -self.stem.weight.shape[1] % CHANNEL_MULTIPLE
        outputs = -self.out.weight.shape[0] % CHANNEL_MULTIPLE
        return self.with_tensors(
            {
                **self.tensors(),
                "stem.weight": F.pad(self.stem.weight, (0, 0, 0, 0, 0, inputs)),
                "out.weight": F.pad(self.out.weight, (0, 0, 0, 0, 0, 0, 0, outputs)),
            }
        )

    def forward(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """image: uint8 (n, h, w, 3) RGB, of a size that the config takes; style: float32 (style_length,), where it
        draws in styles.

        Returns the translated image, alike, and the attention heat map where there is one, float32 (n, h / 4, w / 4),
        non-negative.
        """
        operations = TorchOperations.of(self.stem)
        operations.given = style
        return self.graph(operations, image)


class FoldedGenerator(FoldedNetwork):
    """U-GAT-IT's."""

    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig, tensors: Mapping[str, Tensor]) -> None:
        """tensors: as from `fold_tensors`."""
        super().__init__()
        self.config = config
        self.unbiased = config.unbiased
        self.down_stages = [StageWeights(tensors, f"down.{i}") for i in range(2)]
        self.encoder_blocks, self.decoder_blocks = (
            [
                (StageWeights(tensors, f"{part}.{i}.0"), StageWeights(tensors, f"{part}.{i}.1"))
                for i in range(config.n_res)
            ]
            for part in ("encoder", "decoder")
        )
        self.up_stages = [StageWeights(tensors, f"up.{i}") for i in range(2)]
        # In the order of the network. PyTorch finds buffers in modules, not in lists: each under its flat name.
        self.stem = StageWeights(tensors, "stem")
        self.down = nn.ModuleList(self.down_stages)
        self.encoder, self.decoder = (
            nn.ModuleList(nn.ModuleList(block) for block in blocks)
            for blocks in (self.encoder_blocks, self.decoder_blocks)
        )
        self.attention = AttentionWeights(tensors, "attention")
        self.style = StyleWeights(tensors, "style")
        self.up = nn.ModuleList(self.up_stages)
        self.out = ConvolutionWeights(tensors, "out")

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> Self:
        return type(self)(self.config, tensors)

    @property
    def widths(self) -> tuple[int, ...]:
        return self.config.ch, 2 * self.config.ch, self.config.bottleneck_channels

    def graph(self, ops: Operations[Picture, Value, Style], image: Picture) -> tuple[Picture, Picture]:
        last = self.config.n_res - 1
        x = ops.normalise(image, pad=3)
        x = ops.stage(x, self.stem, StageOptions(relu=True, pad=1))
        x = ops.stage(x, self.down_stages[0], StageOptions(stride=2, relu=True, pad=1))
        x = ops.stage(x, self.down_stages[1], StageOptions(stride=2, relu=True, pad=0 if last < 0 else 1))
        for i, (first, second) in enumerate(self.encoder_blocks):
            hidden = ops.stage(x, first, StageOptions(relu=True, pad=1))
            x = ops.stage(hidden, second, StageOptions(pad=0 if i == last else 1), residual=x)

        x = ops.attend(x, self.attention, pad_mode="replicate" if last < 0 else "reflect")
        heatmap = ops.heatmap(x, self.attention)
        style = ops.style(x, self.style)

        for i, (first, second) in enumerate(self.decoder_blocks):
            hidden = ops.stage(x, first, StageOptions(unbiased=self.unbiased, relu=True, pad=1), style=style)
            pad_mode = "replicate" if i == last else "reflect"
            x = ops.stage(
                hidden, second, StageOptions(unbiased=self.unbiased, pad=1, pad_mode=pad_mode), style=style, residual=x
            )
        x = ops.up_stage(
            x, self.up_stages[0], StageOptions(relu=True, unbiased=self.unbiased, pad=1, pad_mode="replicate")
        )
        x = ops.up_stage(x, self.up_stages[1], StageOptions(relu=True, unbiased=self.unbiased, pad=3))
        return ops.to_image(x, self.out), heatmap


class TorchOperations:
    """The folded network in PyTorch: its own convolutions and the project's operations."""

    def __init__(self, dtype: torch.dtype, channels: int = COLOURS) -> None:
        """dtype: of the activations; channels: of the first convolution's input, colours and zeros."""
        self.dtype, self.channels = dtype, channels
        self.given: Tensor | None = None
        """The style (style_length,), of a network that draws in styles; the mean of all where there is none."""

    @classmethod
    def of(cls, stem: StageWeights) -> Self:
        """Those that the first convolution asks for."""
        return cls(stem.weight.dtype, stem.weight.shape[1])

    def normalise(self, image: Tensor, pad: int, pad_mode: str = "reflect") -> Tensor:
        return normalise_image(image, pad, self.dtype, self.channels, pad_mode)

    def stage(
        self,
        x: Tensor,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: Tensor | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        convolved = self.convolved(x, weights, options.stride)
        added = None if residual is None else interior(residual, options.residual_border)
        style = None if style is None else self.ready(style)
        if not options.norm:
            return moved(convolved, weights, options, added, style)
        return normalised(convolved, weights, options, style=style, added=added)

    def up_stage(self, x: Tensor, weights: StageWeights, options: StageOptions) -> Tensor:
        phases = self.convolved(x, weights)
        if not options.norm:
            return moved(interleave_phases(phases), weights, options)
        return normalised(phases, weights, options, phases=True)

    def joined(self, skipped: Tensor, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(skipped), x], dim=1)

    def with_constants(self, x: Tensor, more: int, shift: Tensor | None = None, *, pad_mode: str) -> Tensor:
        wide = F.pad(x, (0, 0, 0, 0, 0, more))
        if shift is not None:
            shifted = interior(wide, 1) if pad_mode == "zero" else wide
            shifted[:, -more:] = self.ready(shift)[0][:, None, None]
        return wide

    def preactivated(self, x: Tensor, weights: StageWeights) -> Tensor:
        return self.convolved(adalin(x, relu=True, pad=1, unbiased=False, eps=EPS), weights)

    def joined_onto(self, x: Tensor, parts: Sequence[Tensor]) -> Tensor:
        return x + torch.cat(list(parts), dim=1)

    def pooled(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def doubled_onto(self, x: Tensor, skipped: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest") + skipped

    def wide_up_stage(self, x: Tensor, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Tensor:
        image = woven(F.conv2d(x, weights.weight))
        add_edges(image, interior(x, 1), weights)
        options = StageOptions(unbiased=True, relu=True, pad=pad, pad_mode=pad_mode)
        return normalised(image, weights, options, eps_outside=True)

    def halve(self, x: Tensor, *, pad: int, pad_mode: str) -> Tensor:
        pairs = F.avg_pool2d(x, 2, 1)  # [1, 2, 1] / 4 is [1, 1] / 2 twice
        return pad_reference(F.avg_pool2d(pairs, 2, 2), pad, pad_mode)

    def double(
        self, x: Tensor, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel", residual: Tensor | None = None
    ) -> Tensor:
        y = doubled(x, grid)
        return pad_reference(y if residual is None else y + interior(residual, 1), pad, pad_mode)

    def attend(self, x: Tensor, weights: AttentionWeights, pad_mode: str) -> Tensor:
        return bias_relu(self.convolved(x, weights), weights.bias, 1, pad_mode)

    def heatmap(self, attended: Tensor, weights: AttentionWeights) -> Tensor:
        inside = interior(attended, 1)
        heated = inside if weights.heat is None else inside * weights.heat[:, None, None]
        return heated.sum(dim=1, dtype=torch.promote_types(attended.dtype, torch.float32))

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        biases = (weights.bias1, weights.bias2, weights.bias3)
        return style(interior(attended, 1), weights.first, weights.second, weights.heads, *biases)

    def soft_styles(self, attended: Tensor, content: Tensor, weights: SoftStyleWeights) -> Sequence[Tensor]:
        work = weights.second.dtype  # the sums over a plane are too long for half precision
        inside, mean = (interior(x, 1).to(work) for x in (attended, content))
        channels, inputs = weights.first.shape
        features = inside.mean(dim=(2, 3)) if inputs == channels else inside.flatten(1)
        hidden = torch.relu(F.linear(features, weights.first.to(work), weights.bias1))
        hidden = torch.relu(F.linear(hidden, weights.second, weights.bias2))
        by_style = F.linear(hidden, weights.heads, weights.bias3)
        inner = torch.relu(F.linear(mean.mean(dim=(2, 3)), weights.content_first, weights.content_bias))
        heads = weights.content_second
        by_content = torch.einsum("nki,koi->nko", inner.view(-1, len(heads), channels), heads)
        both = by_style.view_as(by_content) + by_content
        return list(both.view(-1, len(heads) // 2, 2, channels).permute(1, 2, 0, 3))

    def convolved(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> Tensor:
        """The convolution of one place, without its bias, of an activation with its border."""
        groups = x.shape[1] // weights.weight.shape[1]
        return F.conv2d(x, weights.weight, stride=stride, groups=groups)

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[Tensor]:
        return list(self.given_numbers(weights).view(count, 2, 1, -1))

    def given_shifts(self, weights: MlpWeights, count: int) -> Sequence[Tensor]:
        return list(self.given_numbers(weights).view(count, 1, -1))

    def given_numbers(self, weights: MlpWeights) -> Tensor:
        """(numbers,)"""
        (first, bias), *others = weights.layers
        mean = first.new_zeros(first.shape[1])
        x = F.linear(mean if self.given is None else self.given.to(mean), first, bias)
        for layer, bias in others:
            x = F.linear(torch.relu(x), layer, bias)
        return x

    def ready(self, style: Tensor) -> Tensor:
        """The style, when a normalisation needs it."""
        return style

    def to_image(self, x: Tensor, weights: ConvolutionWeights, shift: Tensor | None = None) -> Tensor:
        kernel_rows = weights.weight.shape[3]  # the kernel was square before its rows were laid side by side
        bias = weights.bias if shift is None else self.ready(shift)[0]
        return rows_to_image(self.convolved(x, weights), bias, kernel_rows)

    def to_guided_image(self, x: Tensor, weights: ConvolutionWeights, image: Tensor) -> Tensor:
        kernel_rows = weights.weight.shape[3]
        return guided_rows_to_image(self.convolved(x, weights), weights.bias, kernel_rows, image)


def doubled(x: Tensor, grid: Upsampling) -> Tensor:
    """Bilinear x2, (n, c, h, w) -> (n, c, 2 h, 2 w)."""
    if grid == "half-pixel":
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    height, width = 2 * x.shape[2], 2 * x.shape[3]
    if grid == "align-corners":
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)
    repeated = F.pad(x, (0, 1, 0, 1), mode="replicate")  # then corners onto corners is half a pixel a step
    return F.interpolate(repeated, (height + 1, width + 1), mode="bilinear", align_corners=True)[:, :, :-1, :-1]


def woven(phases: Tensor) -> Tensor:
    """Aligned phases (n, 4 k, h, w), phase (a, b) the 2 a + b'th -> the image (n, k, 2 h, 2 w), channels last."""
    n, channels, h, w = phases.shape
    apart = phases.view(n, 2, 2, channels // 4, h, w)
    rows_first = apart.permute(0, 4, 1, 5, 2, 3)  # n, h, 2, w, 2, k
    return rows_first.reshape(n, 2 * h, 2 * w, channels // 4).permute(0, 3, 1, 2)


def add_edges(image: Tensor, low: Tensor, weights: WideUpWeights) -> None:
    """Add what the outermost lines of an image of replicated borders lack of reflected ones, which those differ in by
    the lines next to the last of `low`, the input, less its last.
    """
    above, below = low[:, :, 1] - low[:, :, 0], low[:, :, -2] - low[:, :, -1]
    before, after = low[:, :, :, 1] - low[:, :, :, 0], low[:, :, :, -2] - low[:, :, :, -1]
    image[:, :, 0] += edge(above, weights.top, "reflect")
    image[:, :, -1] += edge(below, weights.bottom, "reflect")
    image[:, :, :, 0] += edge(before, weights.left, "replicate")
    image[:, :, :, -1] += edge(after, weights.right, "replicate")


def edge(line: Tensor, kernel: Tensor, pad_mode: str) -> Tensor:
    """The convolution of a doubled line: (n, c, length) -> (n, k, 2 length)."""
    return F.conv1d(F.pad(line.repeat_interleave(2, dim=2), (2, 2), mode=pad_mode), kernel)


def normalised(
    x: Tensor,
    weights: StageWeights,
    options: StageOptions,
    *,
    style: Tensor | None = None,
    added: Tensor | None = None,
    phases: bool = False,
    eps_outside: bool = False,
) -> Tensor:
    """What follows the convolution of a stage; phases: of an up-sampling one, whose result these are."""
    gamma, beta = own_style(weights) if style is None else style
    return adalin(
        x,
        gamma,
        beta,
        weights.rho,
        weights.bias,
        added,
        options.relu,
        options.pad,
        options.pad_mode,
        options.unbiased,
        options.eps,
        phases,
        options.slope,
        eps_outside,
    )


def moved(
    x: Tensor,
    weights: StageWeights,
    options: StageOptions,
    added: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """What follows the convolution of a stage without a normalisation. shift: (1, c), in place of its bias."""
    slope = options.slope if options.relu else 1.0
    bias = weights.bias if shift is None else shift[0]
    if bias is None:
        bias = x.new_zeros(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    return bias_relu(x, bias, options.pad, options.pad_mode, slope, added)


def own_style(weights: StageWeights) -> tuple[Tensor | None, Tensor | None]:
    """gamma and beta that the weights themselves have, (1, c) for all images alike."""
    gamma, beta = weights.gamma, weights.beta
    return None if gamma is None else gamma[None], None if beta is None else beta[None]
