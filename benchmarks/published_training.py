"""The published training step as github.com/znxlwm/UGATIT-pytorch states it: what ours is measured and tested against.

Plain PyTorch, NCHW, eight passes of the reference generator, PyTorch's own spectral normalisation. No speed here.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from ugatit_fast.model import Generator, GeneratorConfig


class PublishedDiscriminator(nn.Module):
    """`Discriminator` of the published networks.py."""

    def __init__(self, ndf: int, n_layers: int) -> None:
        super().__init__()
        model: list[nn.Module] = []
        inputs, outputs = 3, ndf
        for stride in [2] * (n_layers - 2) + [1]:
            model += [nn.ReflectionPad2d(1), spectral_norm(nn.Conv2d(inputs, outputs, 4, stride)), nn.LeakyReLU(0.2)]
            inputs, outputs = outputs, 2 * outputs
        self.gap_fc = spectral_norm(nn.Linear(inputs, 1, bias=False))
        self.gmp_fc = spectral_norm(nn.Linear(inputs, 1, bias=False))
        self.conv1x1 = nn.Conv2d(2 * inputs, inputs, 1)
        self.conv = spectral_norm(nn.Conv2d(inputs, 1, 4, bias=False))
        self.model = nn.Sequential(*model)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.model(image)
        average = F.adaptive_avg_pool2d(x, 1)
        maximum = F.adaptive_max_pool2d(x, 1)
        cam_logit = torch.cat([self.gap_fc(average.flatten(1)), self.gmp_fc(maximum.flatten(1))], dim=1)
        by_average = x * next(self.gap_fc.parameters())[:, :, None, None]
        by_maximum = x * next(self.gmp_fc.parameters())[:, :, None, None]
        x = F.leaky_relu(self.conv1x1(torch.cat([by_average, by_maximum], dim=1)), 0.2)
        return self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect")), cam_logit


class PublishedTraining:
    """The networks, optimisers and step of the published UGATIT.py, with its default weights."""

    def __init__(self, config: GeneratorConfig, *, lr: float = 1e-4, weight_decay: float = 1e-4) -> None:
        self.genA2B, self.genB2A = Generator(config), Generator(config)
        self.disGA, self.disGB = (PublishedDiscriminator(config.ch, 7) for _ in range(2))
        self.disLA, self.disLB = (PublishedDiscriminator(config.ch, 5) for _ in range(2))
        generators = [*self.genA2B.parameters(), *self.genB2A.parameters()]
        discriminators = [p for dis in (self.disGA, self.disGB, self.disLA, self.disLB) for p in dis.parameters()]
        self.generator_optim, self.discriminator_optim = (
            torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999), weight_decay=weight_decay)
            for parameters in (generators, discriminators)
        )

    def networks(self) -> dict[str, nn.Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, nn.Module)}

    def step(self, real_a: Tensor, real_b: Tensor) -> tuple[Tensor, Tensor]:
        """One iteration. Returns the discriminators' and the generators' loss."""
        self.discriminator_optim.zero_grad()
        discriminator_loss = self.discriminator_loss(real_a, real_b)
        discriminator_loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optim.step()

        self.generator_optim.zero_grad()
        generator_loss = self.generator_loss(real_a, real_b)
        generator_loss.backward()  # type: ignore[no-untyped-call]
        self.generator_optim.step()
        for generator in (self.genA2B, self.genB2A):
            for module in generator.modules():
                if hasattr(module, "rho"):
                    rho = cast(nn.Parameter, module.rho)
                    rho.data = rho.data.clamp(0, 1)
        return discriminator_loss.detach(), generator_loss.detach()

    def discriminator_loss(self, real_a: Tensor, real_b: Tensor) -> Tensor:
        fake_a2b, _, _ = self.genA2B(real_a)
        fake_b2a, _, _ = self.genB2A(real_b)
        loss = real_a.new_zeros(())
        for judge, real, fake in (
            (self.disGA, real_a, fake_b2a),
            (self.disLA, real_a, fake_b2a),
            (self.disGB, real_b, fake_a2b),
            (self.disLB, real_b, fake_a2b),
        ):
            for logit in judge(real):
                loss = loss + F.mse_loss(logit, torch.ones_like(logit))
            for logit in judge(fake):
                loss = loss + F.mse_loss(logit, torch.zeros_like(logit))
        return loss

    def generator_loss(self, real_a: Tensor, real_b: Tensor) -> Tensor:
        fake_a2b, fake_a2b_cam, _ = self.genA2B(real_a)
        fake_b2a, fake_b2a_cam, _ = self.genB2A(real_b)
        fake_a2b2a, _, _ = self.genB2A(fake_a2b)
        fake_b2a2b, _, _ = self.genA2B(fake_b2a)
        fake_a2a, fake_a2a_cam, _ = self.genB2A(real_a)
        fake_b2b, fake_b2b_cam, _ = self.genA2B(real_b)
        adversarial = real_a.new_zeros(())
        for judge, fake in (
            (self.disGA, fake_b2a),
            (self.disLA, fake_b2a),
            (self.disGB, fake_a2b),
            (self.disLB, fake_a2b),
        ):
            for logit in judge(fake):
                adversarial = adversarial + F.mse_loss(logit, torch.ones_like(logit))
        cycle = F.l1_loss(fake_a2b2a, real_a) + F.l1_loss(fake_b2a2b, real_b)
        identity = F.l1_loss(fake_a2a, real_a) + F.l1_loss(fake_b2b, real_b)
        bce = F.binary_cross_entropy_with_logits
        cam = bce(fake_b2a_cam, torch.ones_like(fake_b2a_cam)) + bce(fake_a2a_cam, torch.zeros_like(fake_a2a_cam))
        cam = cam + bce(fake_a2b_cam, torch.ones_like(fake_a2b_cam))
        cam = cam + bce(fake_b2b_cam, torch.zeros_like(fake_b2b_cam))
        return adversarial + 10 * cycle + 10 * identity + 1000 * cam
