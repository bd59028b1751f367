"""CycleGAN's generator as its repository builds it: the layers that dropout and zero borders shift, and the file.

Written from the facts, and apart from `ugatit_fast.architectures.cyclegan`, which it is held against.
"""

from typing import Literal

import torch
from torch import Tensor, nn

NormKind = Literal["instance", "affine", "batch", "none"]


def norm_layer(kind: NormKind, channels: int, tracking: bool) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    return nn.InstanceNorm2d(channels, affine=kind == "affine", track_running_stats=tracking)


class Block(nn.Module):
    def __init__(self, channels: int, kind: NormKind, pad: str, dropout: bool, tracking: bool, bias: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(2):
            reflects = pad == "reflect"
            layers += [nn.ReflectionPad2d(1)] if reflects else []
            layers.append(nn.Conv2d(channels, channels, 3, padding=0 if reflects else 1, bias=bias))
            layers.append(norm_layer(kind, channels, tracking))
            layers += [nn.ReLU(True)] if i == 0 else []
            layers += [nn.Dropout(0.5)] if i == 0 and dropout else []
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def blur(line: list[float], gain: float, channels: int) -> Tensor:
    kernel = torch.tensor(line)[:, None] * torch.tensor(line)[None, :]
    return (kernel / kernel.sum() * gain)[None, None].repeat(channels, 1, 1, 1)


class Downsample(nn.Module):
    """CUT's, whose kernel is in the file."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", blur([1.0, 2.0, 1.0], 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        bordered = nn.ReflectionPad2d(1)(x)
        return nn.functional.conv2d(bordered, self.get_buffer("filt"), stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", blur([1.0, 3.0, 3.0, 1.0], 4, channels))

    def forward(self, x: Tensor) -> Tensor:
        bordered, kernel = nn.ReplicationPad2d(1)(x), self.get_buffer("filt")
        wide = nn.functional.conv_transpose2d(bordered, kernel, stride=2, padding=2, groups=x.shape[1])
        return wide[:, :, 1:, 1:][:, :, :-1, :-1]


class Published(nn.Module):
    """`ResnetGenerator` of the repository; pix2pixHD's global generator with n_down 4 and a bias whatever the norm;
    CUT's with blurs.
    """

    def __init__(
        self,
        *,
        ngf: int = 4,
        n_down: int = 2,
        n_blocks: int = 2,
        kind: NormKind = "instance",
        pad: str = "reflect",
        dropout: bool = False,
        tracking: bool = False,
        colours: tuple[int, int] = (3, 3),
        always_bias: bool = False,
        blur_down: bool = False,
        blur_up: bool = False,
    ) -> None:
        super().__init__()
        bias = kind in ("instance", "affine") or always_bias
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(colours[0], ngf, 7, bias=bias)]
        layers += [norm_layer(kind, ngf, tracking), nn.ReLU(True)]
        for i in range(n_down):
            channels = ngf << i
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride=1 if blur_down else 2, padding=1, bias=bias))
            layers += [norm_layer(kind, 2 * channels, tracking), nn.ReLU(True)]
            layers += [Downsample(2 * channels)] if blur_down else []
        wide = ngf << n_down
        layers += [Block(wide, kind, pad, dropout, tracking, bias) for _ in range(n_blocks)]
        for i in range(n_down):
            channels = wide >> i
            if blur_up:
                layers += [Upsample(channels), nn.Conv2d(channels, channels // 2, 3, 1, 1, bias=bias)]
            else:
                layers.append(nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1, bias=bias))
            layers += [norm_layer(kind, channels // 2, tracking), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, colours[1], 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.model(image)
        return result


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter and statistic matters: scales around 1, shifts around 0, variances away from 1."""
    torch.manual_seed(seed)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.data.uniform_(0.5, 2)
        elif tensor.dim() == 1:
            tensor.data.normal_(0, 0.3).add_(float(name.endswith("weight")))
    return network.eval().requires_grad_(False)
