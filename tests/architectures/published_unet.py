"""pix2pix's U-Net as its repository nests it, dropout and activations in place included; written from the facts."""

from typing import Literal

import torch
from torch import Tensor, nn


class SkipBlock(nn.Module):
    """One level: the submodule is the level below, None at the innermost."""

    def __init__(
        self, outer: int, inner: int, below: nn.Module | None, kind: str, dropout: bool, colours: int | None
    ) -> None:
        super().__init__()
        self.outermost = colours is not None
        biased = kind == "instance"
        new_norm = nn.BatchNorm2d if kind == "batch" else nn.InstanceNorm2d
        down = nn.Conv2d(colours or outer, inner, 4, stride=2, padding=1, bias=biased)
        read = inner if below is None else 2 * inner
        up = nn.ConvTranspose2d(read, 3 if self.outermost else outer, 4, 2, 1, bias=biased or self.outermost)
        if self.outermost:
            assert below is not None
            layers: list[nn.Module] = [down, below, nn.ReLU(True), up, nn.Tanh()]
        elif below is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, new_norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, new_norm(inner), below, nn.ReLU(True), up, new_norm(outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.model(x)
        return made if self.outermost else torch.cat([x, made], 1)  # x, which the LeakyReLU has changed in place


class PublishedUnet(nn.Module):
    """`UnetGenerator`, of at least five levels there; here of any from three on."""

    def __init__(
        self,
        num_downs: int = 4,
        ngf: int = 4,
        kind: Literal["batch", "instance"] = "batch",
        dropout: bool = True,
        colours: int = 3,
    ) -> None:
        super().__init__()
        widths = [ngf * min(2**i, 8) for i in range(num_downs)]
        block = SkipBlock(widths[-2], widths[-1], None, kind, False, None)
        for at in range(num_downs - 2, 0, -1):
            block = SkipBlock(widths[at - 1], widths[at], block, kind, dropout and widths[at] == widths[at - 1], None)
        self.model = SkipBlock(3, ngf, block, kind, False, colours)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.model(image)
        return result
