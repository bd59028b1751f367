"""A checkpoint without training: for tests and benchmarks, where only shapes and speed matter."""

from pathlib import Path

import torch

from ugatit_fast.checkpoint import DIRECTIONS, NETWORKS
from ugatit_fast.files import written_whole
from ugatit_fast.model import Generator, GeneratorConfig


def write_random_checkpoint(path: Path, config: GeneratorConfig, seed: int) -> None:
    """A checkpoint in the published format whose weights are random: it translates nothing, but everything runs on it.

    The weights that make gamma are scaled up so that the decoder's activations are as large as a trained network's.
    """
    torch.manual_seed(seed)
    networks = {}
    for direction in DIRECTIONS:
        generator = Generator(config)
        torch.nn.init.normal_(generator.gamma.weight, std=1.0)
        networks[NETWORKS[direction]] = generator.state_dict()
    with written_whole(path) as partial:
        torch.save(networks, partial)
