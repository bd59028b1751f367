"""The discriminators (paper, section 3.1.2), smallest block first. Parameter names are those of the published code.

Two for each domain: a global one of seven layers, which sees nearly the whole picture, and a local one of five. Every
convolution but the attention's is divided by its largest singular value, estimated by one power iteration a forward
pass in training mode; the estimate is float32 under autocast too. Real and translated pictures can share a call.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.fold import merge_attention
from ugatit_fast.train.precision import bordered, wide

GLOBAL_LAYERS, LOCAL_LAYERS = 7, 5
SLOPE = 0.2
NORM_EPS = 1e-12


class SpectralWeight(nn.Module):
    """A weight that is used divided by its largest singular value (spectral normalisation, arXiv 1802.05957)."""

    def __init__(self, weight: Tensor) -> None:
        """weight: as its layer initialises it; rows are outputs."""
        super().__init__()
        rows = weight.flatten(1)
        self.weight_orig = nn.Parameter(weight.detach().clone())
        self.weight_u: Tensor
        self.weight_v: Tensor
        self.register_buffer("weight_u", F.normalize(torch.randn(rows.shape[0]), dim=0, eps=NORM_EPS))
        self.register_buffer("weight_v", F.normalize(torch.randn(rows.shape[1]), dim=0, eps=NORM_EPS))

    def singular_value(self) -> Tensor:
        """The estimate. In training mode it is refined first, which replaces both buffers."""
        rows = self.weight_orig.flatten(1)
        if self.training:
            with torch.no_grad():
                self.weight_v = F.normalize(rows.T @ self.weight_u, dim=0, eps=NORM_EPS)
        stretched = rows @ self.weight_v
        if self.training:
            self.weight_u = F.normalize(stretched.detach(), dim=0, eps=NORM_EPS)
        return self.weight_u @ stretched

    def scales(self, batches: int, images: int) -> Tensor:
        """By what the products of the weight with each of all `images` are to be multiplied, float32 (images,): the
        inverse of the estimate, of which each of the `batches` passes has its own. Products are fewer than weights
        where the weights are many, so this is cheaper than dividing those, above all in the backward pass.
        """
        with torch.autocast(self.weight_orig.device.type, enabled=False):
            values = torch.stack([self.singular_value() for _ in range(batches)])
            return values.reciprocal().repeat_interleave(images // batches)


class SpectralConv2d(SpectralWeight):
    """Convolution 4x4 with a reflected border of 1."""

    def __init__(self, channels: int, outputs: int, stride: int, bias: bool) -> None:
        conv = nn.Conv2d(channels, outputs, 4, stride, bias=bias)
        super().__init__(conv.weight)
        self.stride = stride
        self.bias = conv.bias

    def forward(self, x: Tensor, batches: int = 1) -> Tensor:
        scale = self.scales(batches, len(x))[:, None, None, None]
        products = F.conv2d(bordered(x, 1), self.weight_orig, stride=self.stride)
        if self.bias is None:
            return (products * scale).to(products.dtype)
        return torch.addcmul(self.bias[:, None, None], products, scale).to(products.dtype)


class SpectralLinear(SpectralWeight):
    """Linear layer without bias, float32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, outputs, bias=False).weight)

    def forward(self, x: Tensor, batches: int = 1) -> Tensor:
        return F.linear(x, self.weight_orig) * self.scales(batches, len(x))[:, None]


class Discriminator(nn.Module):
    """Real or not, per patch, with a class activation map of its own."""

    def __init__(self, ch: int, layers: int, cam: bool = True) -> None:
        """ch: channels after the first layer, doubled by each that follows. cam: False leaves the attention out."""
        super().__init__()
        model: list[nn.Module] = []
        inputs, outputs = 3, ch
        for stride in [2] * (layers - 2) + [1]:
            # where the published network pads; it keeps the numbering
            model += [nn.Identity(), SpectralConv2d(inputs, outputs, stride, bias=True), nn.LeakyReLU(SLOPE)]
            inputs, outputs = outputs, 2 * outputs
        self.model = nn.Sequential(*model)
        self.cam = cam
        if cam:
            self.gap_fc = SpectralLinear(inputs, 1)
            self.gmp_fc = SpectralLinear(inputs, 1)
            self.conv1x1 = nn.Conv2d(2 * inputs, inputs, 1)
        self.conv = SpectralConv2d(inputs, 1, 1, bias=False)

    def forward(self, image: Tensor, batches: int = 1) -> tuple[Tensor, Tensor | None]:
        """Judge pictures.

        image: (n, 3, h, w) in [-1, 1], both sides at least 96 pixels.
        batches: how many of equal size it is made of; each is judged as in a pass of its own, in that order.
        Returns logits per patch (n, 1, h', w') and, with attention, its two logits (n, 2), float32.
        """
        x = image
        for layer in self.model:
            x = layer(x, batches) if isinstance(layer, SpectralConv2d) else layer(x)
        if not self.cam:
            return self.conv(x, batches), None
        attended, cam_logit = self.attend(x, batches)
        return self.conv(attended, batches), cam_logit

    def attend(self, features: Tensor, batches: int) -> tuple[Tensor, Tensor]:
        """Features weighed by attention, and the logits. As published, the weights are those before normalisation."""
        with torch.autocast(features.device.type, enabled=False):
            average, maximum = wide(features).mean(dim=(2, 3)), wide(features).amax(dim=(2, 3))
            cam_logit = torch.cat([self.gap_fc(average, batches), self.gmp_fc(maximum, batches)], dim=1)
            weight = merge_attention(self.conv1x1.weight, self.gap_fc.weight_orig, self.gmp_fc.weight_orig)
        return F.leaky_relu(F.conv2d(features, weight, self.conv1x1.bias), SLOPE), cam_logit
