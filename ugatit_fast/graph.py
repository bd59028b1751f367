"""The folded network: the graph that all engines are made from.

A `FoldedNetwork.graph` states it once, against the verbs of `Operations`; PyTorch runs it (`TorchOperations`), the
exporters write it down, the cost model counts it. `FoldedGenerator` is U-GAT-IT's, whose tensors come from
`ugatit_fast.fold`; those of other architectures are in `ugatit_fast.architectures`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.choices import Upsampling
from ugatit_fast.files import STYLE_ENCODER
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.bias_relu import bias_relu
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


class Weights(nn.Module):
    """The tensors of one place in the network, and the prefix of their names in the whole of it."""

    required: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]]
    """A tensor that a checkpoint doesn't have is None."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        """KeyError where a required tensor is missing."""
        super().__init__()
        self.prefix = prefix
        for name in self.required:
            self.register_buffer(name, tensors[self.name(name)])
        for name in self.optional:
            self.register_buffer(name, tensors.get(self.name(name)))

    def name(self, tensor: str) -> str:
        """What one of the tensors is called in `FoldedGenerator.tensors`."""
        return f"{self.prefix}.{tensor}"

    def has(self, tensor: str) -> bool:
        """Whether this checkpoint has it."""
        return self._buffers[tensor] is not None


class ConvolutionWeights(Weights):
    """A convolution, and its bias where it has one."""

    weight: Tensor
    bias: Tensor | None
    required: ClassVar[tuple[str, ...]] = ("weight",)
    optional: ClassVar[tuple[str, ...]] = ("bias",)


class StageWeights(ConvolutionWeights):
    """Convolution and normalisation, with what of gamma, beta and rho applies; see `ugatit_fast.kernels.adalin`.

    `bias` is the convolution's, which moves the statistics instead of the pixels.
    """

    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    optional = ("gamma", "beta", "rho", "bias")


class WideUpWeights(StageWeights):
    """Of a stage that doubles the picture with a 5x5 convolution, its 3x3 phases and what their outermost lines lack;
    see `ugatit_fast.architectures.unit`.
    """

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor
    required = ("weight", "top", "bottom", "left", "right")


class AttentionWeights(Weights):
    """A convolution that always has a bias."""

    weight: Tensor
    bias: Tensor
    heat: Tensor | None
    """What each channel adds to the heat map by the unit, where channels were scaled; 1 where it is None."""
    required = ("weight", "bias")
    optional: ClassVar[tuple[str, ...]] = ("heat",)


class StyleWeights(Weights):
    """The linear layers that make gamma and beta; see `ugatit_fast.kernels.style`."""

    first: Tensor
    second: Tensor
    heads: Tensor
    bias1: Tensor | None
    bias2: Tensor | None
    bias3: Tensor | None
    required = ("first", "second", "heads")
    optional = ("bias1", "bias2", "bias3")


class MlpWeights(Weights):
    """Three linear layers that make scales and shifts of a style that is given."""

    layer1: Tensor
    layer2: Tensor
    layer3: Tensor
    bias1: Tensor
    bias2: Tensor
    bias3: Tensor
    required = ("layer1", "layer2", "layer3", "bias1", "bias2", "bias3")
    optional = ()


class StyleEncoderWeights(Weights):
    """A layer of what sees the style in a picture, which is no part of the graph: `ugatit_fast.backends.styles`."""

    kernel: Tensor
    bias: Tensor
    required = ("kernel", "bias")
    optional = ()


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
        *,
        stride: int = 1,
        style: Style | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: Value | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
        norm: bool = True,
        slope: float = 0.0,
        depthwise: bool = False,
        residual_border: int = 1,
    ) -> Value:
        """Convolution, normalisation, ReLU, addition of the interior of `residual`, border: "reflect", "replicate" or
        "zero".

        norm: False where there is no normalisation, or it is folded into the convolution: the bias is added. slope: of
        the ReLU below zero. depthwise: each channel is convolved by itself. residual_border: that `residual` has.
        """

    def up_stage(
        self,
        x: Value,
        weights: StageWeights,
        *,
        unbiased: bool,
        pad: int,
        pad_mode: str,
        norm: bool = True,
        relu: bool = True,
    ) -> Value:
        """Convolution of x (with a border of 1) to four phases, normalisation, ReLU, border."""

    def joined(self, skipped: Value, x: Value) -> Value:
        """The channels of `skipped`, rectified, before those of x; both have a border of one zero."""

    def wide_up_stage(self, x: Value, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Value:
        """nearest x2, 5x5 convolution with a reflected border, in phases of x (with a replicated border of 1);
        normalisation by unbiased deviations to which the epsilon is added, ReLU, border.
        """

    def halve(self, x: Value, *, pad: int, pad_mode: str) -> Value:
        """Blur of x (with a border of 1) by [1, 2, 1] / 4 both ways, of which every second pixel is kept; border."""

    def double(self, x: Value, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel") -> Value:
        """Bilinear x2 of x (without a border); border."""

    def attend(self, x: Value, weights: AttentionWeights, pad_mode: str) -> Value:
        """1x1 convolution, bias, ReLU, border of 1."""

    def style(self, attended: Value, weights: StyleWeights) -> Style:
        """gamma and beta from the interior of the attended features."""

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[Style]:
        """gamma and beta of `count` normalisations from the style that comes with the pictures, the same for all."""

    def heatmap(self, attended: Value, weights: AttentionWeights) -> Picture:
        """float32 (n, h, w): the sum of the attended features' interior over channels, each by its `heat`."""

    def to_image(self, x: Value, weights: ConvolutionWeights) -> Picture:
        """The last convolution in its row form, tanh, uint8 (n, h, w, 3)."""


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
        x = ops.stage(x, self.stem, relu=True, pad=1)
        x = ops.stage(x, self.down_stages[0], stride=2, relu=True, pad=1)
        x = ops.stage(x, self.down_stages[1], stride=2, relu=True, pad=0 if last < 0 else 1)
        for i, (first, second) in enumerate(self.encoder_blocks):
            hidden = ops.stage(x, first, relu=True, pad=1)
            x = ops.stage(hidden, second, residual=x, pad=0 if i == last else 1)

        x = ops.attend(x, self.attention, pad_mode="replicate" if last < 0 else "reflect")
        heatmap = ops.heatmap(x, self.attention)
        style = ops.style(x, self.style)

        for i, (first, second) in enumerate(self.decoder_blocks):
            hidden = ops.stage(x, first, style=style, unbiased=self.unbiased, relu=True, pad=1)
            pad_mode = "replicate" if i == last else "reflect"
            x = ops.stage(hidden, second, style=style, unbiased=self.unbiased, residual=x, pad=1, pad_mode=pad_mode)
        x = ops.up_stage(x, self.up_stages[0], unbiased=self.unbiased, pad=1, pad_mode="replicate")
        x = ops.up_stage(x, self.up_stages[1], unbiased=self.unbiased, pad=3, pad_mode="reflect")
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
        *,
        stride: int = 1,
        style: Tensor | None = None,
        unbiased: bool = False,
        relu: bool = False,
        residual: Tensor | None = None,
        pad: int = 0,
        pad_mode: str = "reflect",
        norm: bool = True,
        slope: float = 0.0,
        depthwise: bool = False,
        residual_border: int = 1,
    ) -> Tensor:
        convolved = self.convolved(x, weights, stride)
        added = None if residual is None else interior(residual, residual_border)
        if not norm:
            return moved(convolved, weights, slope if relu else 1.0, added, pad, pad_mode)
        style = None if style is None else self.ready(style)
        return normalised(
            convolved, weights, style=style, unbiased=unbiased, relu=relu, added=added, pad=pad, pad_mode=pad_mode,
            slope=slope,
        )  # fmt: skip

    def up_stage(
        self,
        x: Tensor,
        weights: StageWeights,
        *,
        unbiased: bool,
        pad: int,
        pad_mode: str,
        norm: bool = True,
        relu: bool = True,
    ) -> Tensor:
        phases = self.convolved(x, weights)
        if not norm:
            return moved(interleave_phases(phases), weights, 0.0 if relu else 1.0, None, pad, pad_mode)
        return normalised(phases, weights, unbiased=unbiased, relu=relu, pad=pad, pad_mode=pad_mode, phases=True)

    def joined(self, skipped: Tensor, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(skipped), x], dim=1)

    def wide_up_stage(self, x: Tensor, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Tensor:
        image = woven(F.conv2d(x, weights.weight))
        add_edges(image, interior(x, 1), weights)
        return normalised(image, weights, unbiased=True, relu=True, pad=pad, pad_mode=pad_mode, eps_outside=True)

    def halve(self, x: Tensor, *, pad: int, pad_mode: str) -> Tensor:
        pairs = F.avg_pool2d(x, 2, 1)  # [1, 2, 1] / 4 is [1, 1] / 2 twice
        return pad_reference(F.avg_pool2d(pairs, 2, 2), pad, pad_mode)

    def double(self, x: Tensor, *, pad: int, pad_mode: str, grid: Upsampling = "half-pixel") -> Tensor:
        return pad_reference(doubled(x, grid), pad, pad_mode)

    def attend(self, x: Tensor, weights: AttentionWeights, pad_mode: str) -> Tensor:
        return bias_relu(self.convolved(x, weights), weights.bias, 1, pad_mode)

    def heatmap(self, attended: Tensor, weights: AttentionWeights) -> Tensor:
        inside = interior(attended, 1)
        heated = inside if weights.heat is None else inside * weights.heat[:, None, None]
        return heated.sum(dim=1, dtype=torch.promote_types(attended.dtype, torch.float32))

    def style(self, attended: Tensor, weights: StyleWeights) -> Tensor:
        biases = (weights.bias1, weights.bias2, weights.bias3)
        return style(interior(attended, 1), weights.first, weights.second, weights.heads, *biases)

    def convolved(self, x: Tensor, weights: ConvolutionWeights | AttentionWeights, stride: int = 1) -> Tensor:
        """The convolution of one place, without its bias, of an activation with its border."""
        groups = x.shape[1] // weights.weight.shape[1]
        return F.conv2d(x, weights.weight, stride=stride, groups=groups)

    def given_styles(self, weights: MlpWeights, count: int) -> Sequence[Tensor]:
        mean = weights.layer1.new_zeros(weights.layer1.shape[1])
        x = (mean if self.given is None else self.given.to(mean))[None]
        x = torch.relu(F.linear(x, weights.layer1, weights.bias1))
        x = torch.relu(F.linear(x, weights.layer2, weights.bias2))
        numbers = F.linear(x, weights.layer3, weights.bias3)
        return list(numbers.view(count, 2, 1, -1))

    def ready(self, style: Tensor) -> Tensor:
        """The style, when a normalisation needs it."""
        return style

    def to_image(self, x: Tensor, weights: ConvolutionWeights) -> Tensor:
        kernel_rows = weights.weight.shape[3]  # the kernel was square before its rows were laid side by side
        return rows_to_image(self.convolved(x, weights), weights.bias, kernel_rows)


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
    *,
    style: Tensor | None = None,
    unbiased: bool,
    relu: bool,
    added: Tensor | None = None,
    pad: int,
    pad_mode: str,
    phases: bool = False,
    slope: float = 0.0,
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
        relu,
        pad,
        pad_mode,
        unbiased,
        EPS,
        phases,
        slope,
        eps_outside,
    )


def moved(x: Tensor, weights: StageWeights, slope: float, added: Tensor | None, pad: int, pad_mode: str) -> Tensor:
    """What follows the convolution of a stage without a normalisation; slope: of the ReLU below zero, 1 for none."""
    bias = x.new_zeros(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    return bias_relu(x, bias if weights.bias is None else weights.bias, pad, pad_mode, slope, added)


def own_style(weights: StageWeights) -> tuple[Tensor | None, Tensor | None]:
    """gamma and beta that the weights themselves have, (1, c) for all images alike."""
    gamma, beta = weights.gamma, weights.beta
    return None if gamma is None else gamma[None], None if beta is None else beta[None]
