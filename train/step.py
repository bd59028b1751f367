"""One training step of U-GAT-IT: the discriminators, then the generators, on the same images.

The published step runs the generators eight times: twice for the discriminators' update, whose backward pass then goes
through them for nothing, and six times for their own. They don't change in between, so here those six passes (in four
calls) serve both updates, and each update's gradients stop at what it trains. Discriminators judge real and translated
pictures in one call. The gradients are the published ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ugatit_fast.model import GeneratorConfig
from ugatit_fast.train import losses
from ugatit_fast.train.discriminator import GLOBAL_LAYERS, LOCAL_LAYERS, Discriminator
from ugatit_fast.train.distributed import average_gradients
from ugatit_fast.train.generator import TrainingGenerator
from ugatit_fast.train.settings import TrainSettings

BETAS = (0.5, 0.999)
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Networks(nn.Module):
    """The six networks under their published names, channels-last."""

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__()
        config = generator_config(settings)
        generator_cam, discriminator_cam = (settings.cam in ("both", which) for which in ("generator", "discriminator"))
        self.genA2B, self.genB2A = (
            TrainingGenerator(config, norm=settings.norm, cam=generator_cam, recompute=settings.recompute)
            for _ in range(2)
        )
        self.disGA, self.disGB, self.disLA, self.disLB = (
            Discriminator(settings.ch, layers, discriminator_cam)
            for layers in (GLOBAL_LAYERS, GLOBAL_LAYERS, LOCAL_LAYERS, LOCAL_LAYERS)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def generators(self) -> list[TrainingGenerator]:
        return [self.genA2B, self.genB2A]

    def discriminators(self) -> list[Discriminator]:
        return [self.disGA, self.disGB, self.disLA, self.disLB]


def generator_config(settings: TrainSettings) -> GeneratorConfig:
    return GeneratorConfig(ch=settings.ch, n_res=settings.n_res, img_size=settings.img_size, light=settings.light)


def parameters_of(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters()]


@dataclass(frozen=True)
class Translations:
    """What the generators make of one batch. Pictures (n, 3, h, w) in [-1, 1]; logits (n, 2), None without attention.

    A name says the domain that a picture shows: `fake_b` is real_a translated, `same_b` what genA2B makes of real_b,
    `cycled_a` real_a there and back.
    """

    fake_a: Tensor
    fake_b: Tensor
    same_a: Tensor
    same_b: Tensor
    cycled_a: Tensor
    cycled_b: Tensor
    logits_a2b: Tensor | None
    """Of genA2B: first for real_a, its source, then for real_b."""
    logits_b2a: Tensor | None


def translate(networks: Networks, real_a: Tensor, real_b: Tensor) -> Translations:
    """Six passes in four calls: no normalisation sees beyond its image, so images can share a call."""
    images = len(real_a)
    made_b, logits_a2b, _ = networks.genA2B(torch.cat([real_a, real_b]))
    made_a, logits_b2a, _ = networks.genB2A(torch.cat([real_b, real_a]))
    fake_b, same_b = made_b.split(images)
    fake_a, same_a = made_a.split(images)
    cycled_a, cycled_b = networks.genB2A(fake_b)[0], networks.genA2B(fake_a)[0]
    return Translations(fake_a, fake_b, same_a, same_b, cycled_a, cycled_b, logits_a2b, logits_b2a)


def discriminator_loss(networks: Networks, real_a: Tensor, real_b: Tensor, made: Translations) -> Tensor:
    """Real pictures are real, translations are not; nothing flows into the generators."""
    of_real, of_fake = [], []
    for judges, real, fake in (
        ((networks.disGA, networks.disLA), real_a, made.fake_a.detach()),
        ((networks.disGB, networks.disLB), real_b, made.fake_b.detach()),
    ):
        for judge in judges:
            patches, cam_logit = judge(torch.cat([real, fake.to(real.dtype)]), batches=2)
            for logits in (patches, cam_logit):
                if logits is not None:
                    first, second = logits.chunk(2)
                    of_real.append(losses.judged(first, real=True))
                    of_fake.append(losses.judged(second, real=False))
    return torch.stack(of_real + of_fake).sum()


def generator_losses(networks: Networks, real_a: Tensor, real_b: Tensor, made: Translations) -> dict[str, Tensor]:
    """The unweighted losses of both generators, each summed over the two directions."""
    verdicts = [judge(made.fake_a) for judge in (networks.disGA, networks.disLA)]
    verdicts += [judge(made.fake_b) for judge in (networks.disGB, networks.disLB)]
    logits = [part for verdict in verdicts for part in verdict if part is not None]
    found = {
        "adv": torch.stack([losses.judged(part, real=True) for part in logits]).sum(),
        "cycle": losses.reconstruction(made.cycled_a, real_a) + losses.reconstruction(made.cycled_b, real_b),
        "identity": losses.reconstruction(made.same_a, real_a) + losses.reconstruction(made.same_b, real_b),
    }
    if made.logits_a2b is not None and made.logits_b2a is not None:
        of_each = [losses.attention(*both.chunk(2)) for both in (made.logits_a2b, made.logits_b2a)]
        found["cam"] = torch.stack(of_each).sum()
    return found


class Trainer:
    """Networks, optimisers and averaged weights: everything that a step changes."""

    def __init__(self, settings: TrainSettings, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.device = device
        self.networks = Networks(settings).to(device)
        self.optimizer_generators, self.optimizer_discriminators = (
            torch.optim.Adam(
                parameters_of(networks), settings.lr, BETAS, weight_decay=settings.weight_decay, fused=True
            )
            for networks in (self.networks.generators(), self.networks.discriminators())
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.averaged = AveragedGenerators(self.networks, settings) if settings.ema else None
        self.step = 0
        """Steps done."""

    def translators(self) -> list[TrainingGenerator]:
        """The generators to translate with, A2B and B2A: the averaged ones where there are any."""
        return (self.averaged or self.networks).generators()

    def autocast(self) -> torch.autocast:
        dtype = AUTOCAST[self.settings.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def train_step(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        """Take one step. real_a, real_b: float32 (n, 3, h, w) in [-1, 1], on the device, channels-last.

        Returns the step's losses, scalars that stay on the device: "discriminator", unweighted "adv", "cycle",
        "identity" and "cam", and "generator", their weighted sum.
        """
        self.set_rates()
        networks, settings = self.networks, self.settings
        discriminators = parameters_of(networks.discriminators())
        with self.autocast():
            made = translate(networks, real_a, real_b)
            of_discriminators = settings.adv_weight * discriminator_loss(networks, real_a, real_b, made)
        self.update(of_discriminators, self.optimizer_discriminators)

        for parameter in discriminators:  # the generators' backward pass goes through them, not into them
            parameter.requires_grad_(False)
        with self.autocast():
            parts = generator_losses(networks, real_a, real_b, made)
            of_generators = torch.stack([getattr(settings, f"{name}_weight") * parts[name] for name in parts]).sum()
        self.update(of_generators, self.optimizer_generators)
        for parameter in discriminators:
            parameter.requires_grad_(True)

        self.scaler.update()
        clip_rho(networks.generators())
        self.step += 1
        if self.averaged is not None:
            self.averaged.follow(networks, self.step)
        of_step = {"discriminator": of_discriminators, "generator": of_generators, **parts}
        return {name: loss.detach() for name, loss in of_step.items()}

    def update(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(self.scaler.scale(loss))
        average_gradients(parameter for group in optimizer.param_groups for parameter in group["params"])
        self.scaler.step(optimizer)

    def set_rates(self) -> None:
        """From the settings, not from a checkpoint's optimiser: a run can be resumed with others."""
        rate = learning_rate(self.settings, self.step + 1)
        for optimizer in (self.optimizer_generators, self.optimizer_discriminators):
            for group in optimizer.param_groups:
                group |= {"lr": rate, "weight_decay": self.settings.weight_decay}


class AveragedGenerators(nn.Module):
    """Exponential moving averages of both generators' weights, which translate more steadily than any one step's."""

    def __init__(self, networks: Networks, settings: TrainSettings) -> None:
        super().__init__()
        self.decay = settings.ema
        self.genA2B, self.genB2A = (
            TrainingGenerator(generator.config, norm=settings.norm, cam=generator.cam)
            for generator in networks.generators()
        )
        self.to(parameters_of([networks])[0].device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False)
        for mine, theirs in zip(self.generators(), networks.generators(), strict=True):
            mine.load_state_dict(theirs.state_dict())

    def generators(self) -> list[TrainingGenerator]:
        return [self.genA2B, self.genB2A]

    def follow(self, networks: Networks, step: int) -> None:
        """Move towards the weights after `step` steps; early on faster, so that the beginnings are soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), parameters_of(networks.generators()), strict=True):
                mine.lerp_(theirs, 1 - decay)


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Of step 1, 2, ...: constant to the half of all iterations, then linear to 0 (unless decay is off)."""
    half = settings.iterations // 2
    if not settings.decay or step <= half:
        return settings.lr
    return settings.lr * max(0, settings.iterations - step) / (settings.iterations - half)


def clip_rho(generators: Iterable[nn.Module]) -> None:
    """Keep every rho in [0, 1]."""
    with torch.no_grad():
        for generator in generators:
            for name, parameter in generator.named_parameters():
                if name.endswith(".rho"):
                    parameter.clamp_(0, 1)
