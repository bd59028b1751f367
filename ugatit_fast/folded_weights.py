"""The tensors of the folded network, place by place: what the verbs of `ugatit_fast.graph.Operations` are given."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn


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
    required: ClassVar[tuple[str, ...]] = ("first", "second", "heads")
    optional = ("bias1", "bias2", "bias3")


class SoftStyleWeights(StyleWeights):
    """The same for many normalisations, `heads` one after the other, each gamma's rows and then beta's; and what each
    adds that it makes of the mean of other features: see `ugatit_fast.architectures.photo2cartoon`.
    """

    content_first: Tensor
    """(k c, c) for k heads of c rows."""
    content_bias: Tensor
    content_second: Tensor
    """(k, c, c): a matrix for each head's part of the layer before."""
    required = ("first", "second", "heads", "content_first", "content_bias", "content_second")


class MlpWeights(Weights):
    """Linear layers, a ReLU between one and the next, that make scales and shifts of a style that is given."""

    required = ()
    optional = ()

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        """As many as there are tensors for: `layer1` and `bias1`, `layer2` and `bias2`, ..."""
        super().__init__(tensors, prefix)
        self.count = sum(name.startswith(f"{prefix}.layer") for name in tensors)
        for name in (f"{kind}{i + 1}" for i in range(self.count) for kind in ("layer", "bias")):
            self.register_buffer(name, tensors[self.name(name)])

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight (outputs, inputs) and bias (outputs,) of each."""
        numbers = range(1, self.count + 1)
        return [(self.get_buffer(f"layer{i}"), self.get_buffer(f"bias{i}")) for i in numbers]


class StyleEncoderWeights(Weights):
    """A layer of what sees the style in a picture, which is no part of the graph: `ugatit_fast.backends.styles`."""

    kernel: Tensor
    bias: Tensor
    shortcut: Tensor | None
    """(o, c, 1, 1): adds the means of four pixels of what the layer before it took, before its ReLU."""
    slope: Tensor | None
    """(), of the ReLU after it, below zero; 0 where it is None."""
    required = ("kernel", "bias")
    optional = ("shortcut", "slope")
