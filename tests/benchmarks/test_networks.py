"""A generator of any architecture as results tell of it, and back."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from tests.architectures.published import Published, randomised
from tests.benchmarks.examples import NETWORK
from ugatit_fast.architectures.cyclegan import ResnetConfig
from ugatit_fast.bench.cost import count
from ugatit_fast.bench.networks import config_of, network_of
from ugatit_fast.bench.results import Network, decode
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.model import GeneratorConfig


def test_another_architecture_comes_back(tmp_path: Path) -> None:
    torch.save(randomised(Published(ngf=4, n_blocks=3)).state_dict(), tmp_path / "latest_net_G_A.pth")
    network = network_of(read_checkpoint(tmp_path / "latest_net_G_A.pth"), (32, 48), 2, threads=1, weights="x")
    assert config_of(decode(Network, json.loads(json.dumps(asdict(network))), "network")) == ResnetConfig(
        ngf=4, n_blocks=3, img_size=32
    )
    assert network.label == "cyclegan, ngf 4, 3 blocks at 1/4, norm instance, 32x48, batch 2, A2B"


def test_results_of_before_are_u_gat_its() -> None:
    document = asdict(NETWORK)
    for name in Network.ADDED:
        del document[name]
    assert decode(Network, document, "network") == NETWORK
    assert isinstance(config_of(NETWORK), GeneratorConfig)


def test_the_multiplications_are_counted() -> None:
    """49.55 billion as published; four of the phases' sixteen taps are there in place of nine."""
    macs = sum(work.macs for work in count(ResnetConfig(), 1, 256, 256, "fp32"))
    wasted = 7 * (64 * 64 * 256 * 128 + 128 * 128 * 128 * 64)
    assert abs(macs - wasted - 49.55e9) < 0.02e9
