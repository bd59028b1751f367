"""The generator as it is trained against the reference generator, in float64: outputs, logits, maps and gradients."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.train.generator import FixedNorm, TrainingGenerator, normalised
from ugatit_fast.train.settings import Norm

TOLERANCE = 1e-10
"""Of float64 results of the order of 1, computed in another order."""
LIGHT = GeneratorConfig(ch=4, n_res=2, light=True)
FULL = GeneratorConfig(ch=4, n_res=1, img_size=16)
NO_BLOCKS = GeneratorConfig(ch=4, n_res=0, light=True)


def random_weights(network: nn.Module, seed: int = 0) -> None:
    """Every parameter matters: rho anywhere in [0, 1], the norms' own scales and shifts far from their beginnings."""
    torch.manual_seed(seed)
    for name, parameter in network.named_parameters():
        with torch.no_grad():
            if name.endswith("rho"):
                parameter.uniform_(0, 1)
            elif name.endswith(("norm1.gamma", "norm2.gamma", "3.gamma", "8.gamma", ".beta")):
                parameter.normal_()


def gradients(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Of a scalar that all three results go into, each with weights of its own."""
    network.zero_grad()
    image = image.clone().requires_grad_()
    total = torch.zeros((), dtype=image.dtype)
    for i, result in enumerate(network(image)):
        torch.manual_seed(i)
        total = total + (result * torch.randn(result.shape, dtype=result.dtype)).sum()
    total.backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert image.grad is not None
    return found | {"image": image.grad}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("config", [LIGHT, FULL, NO_BLOCKS], ids=["light", "full", "no blocks"])
def test_equals_the_reference_generator(config: GeneratorConfig, recompute: bool) -> None:
    reference = Generator(config).double()
    random_weights(reference)
    ours = TrainingGenerator(config, recompute=recompute).double()
    ours.load_state_dict(reference.state_dict())
    ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64) * 2 - 1

    for expected, got in zip(reference(image), ours(image), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCE)
    expected_gradients, found = gradients(reference, image), gradients(ours, image)
    assert set(found) == set(expected_gradients)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-8, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )


def plain_norm(kind: Norm, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """What the ablations' papers say, by PyTorch's own functions; gamma and beta (c,)."""
    if kind == "ln":
        scaled = F.layer_norm(x, x.shape[1:]) * gamma[:, None, None]
        return scaled + beta[:, None, None]
    if kind == "gn":
        return F.group_norm(x, min(32, x.shape[1]), gamma, beta)
    return F.instance_norm(x, weight=gamma, bias=beta)


@pytest.mark.parametrize("kind", ["in", "ln", "gn"])
def test_ablated_norms_are_the_textbook_ones(kind: Norm) -> None:
    torch.manual_seed(0)
    x, residual = torch.randn(2, 2, 64, 6, 5, dtype=torch.float64).unbind()
    norm = FixedNorm(kind, 64, styled=False).double()
    assert norm.gamma is not None
    assert norm.beta is not None
    nn.init.normal_(norm.gamma)
    nn.init.normal_(norm.beta)
    plain = torch.relu(plain_norm(kind, x, norm.gamma.flatten(), norm.beta.flatten())) + residual
    got = normalised(x, norm, relu=True, residual=residual, pad=1)
    torch.testing.assert_close(got, F.pad(plain, (1, 1, 1, 1), mode="reflect"), rtol=0, atol=TOLERANCE)


def test_adain_takes_the_style() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 5, dtype=torch.float64)
    gamma, beta = torch.randn(2, 1, 8, dtype=torch.float64).unbind()
    got = normalised(x, FixedNorm("adain", 8, styled=True), (gamma, beta), pad=0)
    torch.testing.assert_close(got, F.instance_norm(x, weight=gamma[0], bias=beta[0]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("cam", [True, False])
@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_parameter_of_an_ablation_is_trained(norm: Norm, cam: bool) -> None:
    network = TrainingGenerator(LIGHT, norm=norm, cam=cam)
    image, cam_logit, heatmap = network(torch.rand(2, 3, 16, 16) * 2 - 1)
    assert (cam_logit is not None) == cam
    total = image.square().sum() + heatmap.sum() + (cam_logit.sum() if cam_logit is not None else 0)
    total.backward()
    untrained = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert untrained == []


def test_statistics_stay_float32_under_autocast() -> None:
    """The picture is off by the rounding of the convolutions alone."""
    torch.manual_seed(0)
    network = TrainingGenerator(LIGHT)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    expected, expected_logit, _ = network(image)
    with torch.autocast("cpu", torch.bfloat16):
        got, logit, heatmap = network(image)
    assert got.dtype == torch.bfloat16
    assert logit.dtype == heatmap.dtype == torch.float32
    assert (got.float() - expected).abs().mean() < 0.02
    torch.testing.assert_close(logit, expected_logit, rtol=0.05, atol=0.02)
