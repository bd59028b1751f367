"""One step against the published one, kept in benchmarks/published_training.py."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.published_training import PublishedTraining
from tests.train.conftest import tiny
from ugatit_fast.train.settings import Cam, TrainPrecision
from ugatit_fast.train.step import Trainer, generator_config, learning_rate

CPU = torch.device("cpu")


def random_batch(seed: int, images: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(2, images, 3, 96, 96, generator=random, dtype=dtype) * 2 - 1).unbind()
    return a.contiguous(memory_format=torch.channels_last), b.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("light", [True, False], ids=["light", "full"])
@pytest.mark.parametrize("images", [1, 2])
def test_gradients_and_losses_are_the_published_ones(light: bool, images: int) -> None:
    """Two steps in float64, after which optimisers, rho and power iterations have all had their say."""
    settings = tiny(light=light, iterations=100)
    ours = Trainer(settings, CPU)
    ours.networks.double()
    published = PublishedTraining(generator_config(settings))
    for name, network in published.networks().items():
        network.double().load_state_dict(getattr(ours.networks, name).state_dict())
    ours.averaged = None
    for step in range(2):
        a, b = random_batch(step, images, torch.float64)
        losses = ours.train_step(a, b)
        expected = published.step(a, b)
        torch.testing.assert_close((losses["discriminator"], losses["generator"]), expected, rtol=1e-9, atol=0)
        for name, network in published.networks().items():
            got = dict(getattr(ours.networks, name).named_parameters())
            for of, parameter in network.named_parameters():
                if name.startswith("gen"):  # the published discriminators also gather gradients of the other update
                    torch.testing.assert_close(got[of].grad, parameter.grad, rtol=1e-7, atol=1e-10)
                torch.testing.assert_close(got[of], parameter, rtol=0, atol=1e-8)


def test_discriminator_gradients_are_the_published_ones() -> None:
    settings = tiny()
    ours = Trainer(settings, CPU)
    ours.networks.double()
    ours.averaged = None
    published = PublishedTraining(generator_config(settings))
    for name, network in published.networks().items():
        network.double().load_state_dict(getattr(ours.networks, name).state_dict())
    a, b = random_batch(0, 2, torch.float64)
    published.discriminator_loss(a, b).backward()
    ours.train_step(a, b)
    for name in ("disGA", "disGB", "disLA", "disLB"):
        got = dict(getattr(ours.networks, name).named_parameters())
        for of, parameter in published.networks()[name].named_parameters():
            torch.testing.assert_close(got[of].grad, parameter.grad, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("precision", get_args(TrainPrecision))
def test_every_precision_trains_in_float32_losses(precision: TrainPrecision) -> None:
    trainer = Trainer(tiny(precision=precision), CPU)
    before = {name: p.detach().clone() for name, p in trainer.networks.named_parameters()}
    losses = [trainer.train_step(*random_batch(i)) for i in range(2)]
    for of_step in losses:
        assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in of_step.values())
    if precision != "fp16":  # whose first steps look for a scale and may be left out
        assert all(not torch.equal(p, before[name]) for name, p in trainer.networks.named_parameters() if p.dim() == 4)


@pytest.mark.parametrize("cam", get_args(Cam))
def test_attention_can_be_left_out_of_either_kind_of_network(cam: Cam) -> None:
    trainer = Trainer(tiny(cam=cam), CPU)
    losses = trainer.train_step(*random_batch(0))
    assert ("cam" in losses) == (cam in ("both", "generator"))
    assert any("conv1x1" in name for name in trainer.networks.disGA.state_dict()) == (cam in ("both", "discriminator"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputing_changes_nothing(precision: TrainPrecision) -> None:
    plain, recomputing = (Trainer(tiny(precision=precision, recompute=recompute), CPU) for recompute in (False, True))
    assert plain.train_step(*random_batch(0)) == recomputing.train_step(*random_batch(0))
    for mine, theirs in zip(plain.networks.parameters(), recomputing.networks.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-7)


def test_rho_stays_within_0_and_1() -> None:
    trainer = Trainer(tiny(lr=0.5), CPU)
    for i in range(2):
        trainer.train_step(*random_batch(i))
    rho = torch.cat([p.flatten() for name, p in trainer.networks.named_parameters() if name.endswith("rho")])
    assert rho.min() >= 0
    assert rho.max() <= 1
    assert ((rho == 0) | (rho == 1)).any()


def test_averaged_weights_follow() -> None:
    trainer = Trainer(tiny(ema=0.9), CPU)
    start = trainer.networks.genA2B.conv1x1.bias.detach().clone()
    trainer.train_step(*random_batch(0))
    now = trainer.networks.genA2B.conv1x1.bias
    expected = torch.lerp(now, start, (1 + 1) / (10 + 1))  # the first steps are forgotten faster than 0.9
    torch.testing.assert_close(trainer.translators()[0].conv1x1.bias, expected)
    assert Trainer(tiny(ema=0), CPU).averaged is None


def published_rates(lr: float, iterations: int) -> list[float]:
    """The published loop: after the half, every step takes lr / half off."""
    rates, rate = [], lr
    for step in range(1, iterations + 1):
        if step > iterations // 2:
            rate -= lr / (iterations // 2)
        rates.append(rate)
    return rates


@given(half=st.integers(1, 200))
def test_learning_rate_is_the_published_one(half: int) -> None:
    settings = tiny(iterations=2 * half)
    rates = [learning_rate(settings, step) for step in range(1, 2 * half + 1)]
    assert rates == pytest.approx(published_rates(settings.lr, 2 * half), abs=1e-12)
    assert learning_rate(replace(settings, decay=False), 2 * half) == settings.lr
