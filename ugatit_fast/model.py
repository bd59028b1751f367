"""The U-GAT-IT generator as the paper states it, in float32: the definition of right.

Smallest block first, whole network last. Parameter names are those of the published PyTorch checkpoints
(github.com/znxlwm/UGATIT-pytorch), so their state dicts load as they are. Where the TensorFlow code of the paper
(github.com/taki0112/UGATIT) differs, the config says which it is. No speed lives here: `fold.py` turns these weights
into the graph that runs.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ugatit_fast.choices import QUARTERED, ArchitectureName, Setting, Sides

EPS = 1e-5
FIRST_BLOCK = 12
"""Where the residual blocks begin in the published `DownBlock`, after three convolutions with what belongs to each."""


# Any generator's ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """What shapes a generator, of whatever architecture: its fields are plain values, each with a default."""

    architecture: ClassVar[ArchitectureName]

    @property
    @abstractmethod
    def training_side(self) -> int:
        """Side of the square training images in pixels, as far as it is known."""

    @property
    def any_size(self) -> bool:
        """Whether it translates pictures of any size that `sides` allows, or those of the training alone."""
        return True

    @property
    def sides(self) -> Sides:
        """Which sizes of pictures it can take."""
        return QUARTERED

    @property
    def heatmap(self) -> bool:
        """Whether it has an attention heat map."""
        return False

    @property
    def by_rows(self) -> bool:
        """Whether rows of pixels are its fastest form on CPUs, or convolutions."""
        return True

    @property
    def partly_by_rows(self) -> bool:
        """Of those that aren't by rows throughout, whether all but hourglasses is."""
        return False

    @property
    def style_length(self) -> int:
        """Numbers in the style that it draws in; 0 where there is only one."""
        return 0

    @property
    @abstractmethod
    def words(self) -> str:
        """The generator in a few words, for people."""

    def settings(self) -> dict[str, Setting]:
        """What an engine of it says, and needs: enough to make the config again for pictures of a size."""
        return {name: value for name, value in asdict(self).items() if name != "img_size"}


class Reference(nn.Module):
    """A generator of whatever architecture as its paper states it, in float32: what engines are measured against."""

    config: Config

    def pictures(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """float (n, 3, h, w) in [-1, 1] -> the translated image, alike; and the heat map (n, h / 4, w / 4) of those
        that have one.

        style: float (style_length,), of those that draw in styles; that of seed 0 unless given.
        """
        return self(image), None


# U-GAT-IT's --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(Config):
    """Everything that shapes a generator (paper, section 5.1; option names of the published repositories)."""

    architecture = "ugatit"
    ch: int = 64
    """Channels after the first convolution; the bottleneck has 4 * ch."""
    n_res: int = 4
    """Residual blocks in the encoder, and as many AdaLIN blocks in the decoder."""
    img_size: int = 256
    """Side of the square training images in pixels. A full generator serves this size and no other."""
    light: bool = False
    """True: gamma and beta come from pooled features (`--light True`). False: from the whole feature map."""
    bias: bool = False
    """Every convolution and linear layer has a bias (TensorFlow); otherwise the attention's convolution alone."""
    affine_encoder: bool = False
    """The encoder's instance norms scale and shift (TensorFlow)."""
    unbiased: bool = True
    """AdaLIN and ILN divide variances by count - 1 (PyTorch), not by count (TensorFlow)."""

    @property
    def training_side(self) -> int:
        return self.img_size

    @property
    def any_size(self) -> bool:
        return self.light

    @property
    def heatmap(self) -> bool:
        return True

    @property
    def words(self) -> str:
        kind = "light" if self.light else f"full {self.img_size}x{self.img_size}"
        return f"{kind}, ch {self.ch}, {self.n_res} blocks"

    def settings(self) -> dict[str, Setting]:
        """Those of its folded graph, which has biases and affine maps where there are tensors for them."""
        return {name: getattr(self, name) for name in ("ch", "n_res", "light", "unbiased")}

    @property
    def bottleneck_channels(self) -> int:
        return 4 * self.ch

    @property
    def style_inputs(self) -> int:
        """Inputs of the first linear layer that makes gamma and beta."""
        pixels = 1 if self.light else (self.img_size // 4) ** 2
        return self.bottleneck_channels * pixels


class AdaLIN(nn.Module):
    """Adaptive layer-instance normalisation (paper, equation 1; `adaILN` in the published code).

    `rho` mixes the instance-normalised and the layer-normalised activation per channel: 1 is instance norm, 0 is layer
    norm. gamma and beta come from the attention features.
    """

    def __init__(self, channels: int, unbiased: bool = True) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), 0.9))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """x (n, c, h, w); gamma, beta (n, c)."""
        mixed = layer_instance_norm(x, self.rho, self.unbiased)
        return mixed * gamma[:, :, None, None] + beta[:, :, None, None]


class ILN(nn.Module):
    """AdaLIN with a gamma and beta of its own, learned per channel (the up-sampling half of the decoder)."""

    def __init__(self, channels: int, unbiased: bool = True) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.rho = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, self.unbiased) * self.gamma + self.beta


def layer_instance_norm(x: Tensor, rho: Tensor, unbiased: bool = True) -> Tensor:
    """rho * IN(x) + (1 - rho) * LN(x); x (n, c, h, w), rho (1, c, 1, 1), in [0, 1]."""
    instance_var, instance_mean = torch.var_mean(x, dim=(2, 3), correction=int(unbiased), keepdim=True)
    layer_var, layer_mean = torch.var_mean(x, dim=(1, 2, 3), correction=int(unbiased), keepdim=True)
    instance = (x - instance_mean) / torch.sqrt(instance_var + EPS)
    layer = (x - layer_mean) / torch.sqrt(layer_var + EPS)
    return rho * instance + (1 - rho) * layer


class ResnetBlock(nn.Module):
    """Residual block of the encoder. There is no ReLU after the addition."""

    def __init__(self, channels: int, bias: bool, affine: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            nn.InstanceNorm2d(channels, affine=affine),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            nn.InstanceNorm2d(channels, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResnetAdaLINBlock(nn.Module):
    """Residual block of the decoder; both normalisations take the same gamma and beta."""

    def __init__(self, channels: int, bias: bool, unbiased: bool) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=bias)
        self.norm1 = AdaLIN(channels, unbiased)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=bias)
        self.norm2 = AdaLIN(channels, unbiased)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        out = torch.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta))
        return x + self.norm2(self.conv2(self.pad(out)), gamma, beta)


class Generator(Reference):
    """One direction of U-GAT-IT (paper, figure 2): encoder, class activation map, decoder steered by AdaLIN."""

    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        ch, wide = config.ch, config.bottleneck_channels
        bias, affine, unbiased = config.bias, config.affine_encoder, config.unbiased

        encoder: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, ch, 7, bias=bias)]
        encoder += [nn.InstanceNorm2d(ch, affine=affine), nn.ReLU()]
        for channels in (ch, 2 * ch):
            encoder += [nn.ReflectionPad2d(1), nn.Conv2d(channels, 2 * channels, 3, stride=2, bias=bias)]
            encoder += [nn.InstanceNorm2d(2 * channels, affine=affine), nn.ReLU()]
        encoder += [ResnetBlock(wide, bias, affine) for _ in range(config.n_res)]
        self.DownBlock = nn.Sequential(*encoder)

        self.gap_fc = nn.Linear(wide, 1, bias=False)
        self.gmp_fc = nn.Linear(wide, 1, bias=False)
        self.conv1x1 = nn.Conv2d(2 * wide, wide, 1)

        self.FC = nn.Sequential(
            nn.Linear(config.style_inputs, wide, bias=bias),
            nn.ReLU(),
            nn.Linear(wide, wide, bias=bias),
            nn.ReLU(),
        )
        self.gamma = nn.Linear(wide, wide, bias=bias)
        self.beta = nn.Linear(wide, wide, bias=bias)

        for i in range(config.n_res):
            self.add_module(f"UpBlock1_{i + 1}", ResnetAdaLINBlock(wide, bias, unbiased))
        decoder: list[nn.Module] = []
        for channels in (wide, wide // 2):
            decoder += [nn.Upsample(scale_factor=2, mode="nearest"), nn.ReflectionPad2d(1)]
            decoder += [nn.Conv2d(channels, channels // 2, 3, bias=bias), ILN(channels // 2, unbiased), nn.ReLU()]
        decoder += [nn.ReflectionPad2d(3), nn.Conv2d(ch, 3, 7, bias=bias), nn.Tanh()]
        self.UpBlock2 = nn.Sequential(*decoder)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Translate a batch.

        image: float32 (n, 3, h, w) RGB in [-1, 1]; h and w multiples of 4 (light) or config.img_size (full).
        Returns the translated image, alike; the class-activation logits (n, 2) of average and max pooling; and the
        attention heat map (n, 1, h / 4, w / 4), non-negative and unscaled.
        """
        features = self.DownBlock(image)  # (n, 4 ch, h/4, w/4)
        attended, cam_logit = self.attend(features)
        heatmap = attended.sum(dim=1, keepdim=True)
        gamma, beta = self.style(attended)
        x = attended
        for i in range(self.config.n_res):
            x = self.get_submodule(f"UpBlock1_{i + 1}")(x, gamma, beta)
        return self.UpBlock2(x), cam_logit, heatmap

    def pictures(self, image: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        translated, _, heatmap = self(image)
        return translated, heatmap[:, 0]

    def attend(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Class activation map: weigh the features by how much each speaks for its domain (paper, section 3.1.1)."""
        average = features.mean(dim=(2, 3))
        maximum = features.amax(dim=(2, 3))
        cam_logit = torch.cat([self.gap_fc(average), self.gmp_fc(maximum)], dim=1)
        by_average = features * self.gap_fc.weight[0][:, None, None]
        by_maximum = features * self.gmp_fc.weight[0][:, None, None]
        return torch.relu(self.conv1x1(torch.cat([by_average, by_maximum], dim=1))), cam_logit

    def style(self, attended: Tensor) -> tuple[Tensor, Tensor]:
        """gamma and beta (n, 4 ch) of every AdaLIN from the attended features."""
        features = attended.mean(dim=(2, 3)) if self.config.light else attended.flatten(1)
        hidden = self.FC(features)
        return self.gamma(hidden), self.beta(hidden)
