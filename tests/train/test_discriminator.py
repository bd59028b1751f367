"""The discriminators against the published ones, in float64."""

import pytest
import torch

from benchmarks.published_training import PublishedDiscriminator
from ugatit_fast.train.discriminator import GLOBAL_LAYERS, LOCAL_LAYERS, Discriminator


@pytest.mark.parametrize("layers", [GLOBAL_LAYERS, LOCAL_LAYERS], ids=["global", "local"])
def test_equals_the_published_discriminator(layers: int) -> None:
    """Logits, attention logits, gradients and the power iterations' state, over two passes in training mode."""
    torch.manual_seed(layers)
    published = PublishedDiscriminator(2, layers).double()
    ours = Discriminator(2, layers).double()
    ours.load_state_dict(published.state_dict())
    for _ in range(2):
        image = torch.rand(2, 3, 96, 104, dtype=torch.float64) * 2 - 1
        totals = []
        for network in (published, ours):
            patches, cam_logit = network(image)
            totals.append(patches.square().sum() + (cam_logit + 1).square().sum())
        torch.testing.assert_close(totals[1], totals[0], rtol=1e-10, atol=0)
        for total in totals:
            total.backward()
    expected = dict(published.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-9)
    published.load_state_dict(ours.state_dict())  # raises where a name differs
    state = published.state_dict()
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=1e-12)


def test_batches_that_share_a_call_are_judged_as_in_calls_of_their_own() -> None:
    torch.manual_seed(0)
    together, apart = (Discriminator(2, LOCAL_LAYERS).double() for _ in range(2))
    apart.load_state_dict(together.state_dict())
    images = torch.rand(2, 3, 3, 96, 96, dtype=torch.float64)
    patches, cam_logit = together(torch.cat(list(images)), batches=2)
    expected = [apart(batch) for batch in images]
    torch.testing.assert_close(patches, torch.cat([verdict[0] for verdict in expected]), rtol=0, atol=1e-12)
    torch.testing.assert_close(cam_logit, torch.cat([verdict[1] for verdict in expected]), rtol=0, atol=1e-12)
    for mine, theirs in zip(together.buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_evaluation_leaves_the_power_iteration_alone() -> None:
    network = Discriminator(2, LOCAL_LAYERS).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.rand(1, 3, 96, 96))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_singular_value_is_float32_under_autocast() -> None:
    torch.manual_seed(0)
    network = Discriminator(2, LOCAL_LAYERS)
    twin = Discriminator(2, LOCAL_LAYERS)
    twin.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 96, 96)
    network(image)
    with torch.autocast("cpu", torch.bfloat16):
        twin(image)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], tensor, rtol=0, atol=0)


def test_without_attention_it_has_fewer_parameters_and_no_attention_logits() -> None:
    network = Discriminator(2, LOCAL_LAYERS, cam=False)
    patches, cam_logit = network(torch.rand(1, 3, 96, 96))
    assert cam_logit is None
    assert patches.shape == (1, 1, 10, 10)
    assert not any("fc" in name or "conv1x1" in name for name in network.state_dict())
