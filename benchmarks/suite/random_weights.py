"""A checkpoint without training: for tests and benchmarks, where only shapes and speed matter."""

from dataclasses import asdict
from pathlib import Path

import torch

from ugatit_fast.checkpoint import DIRECTIONS, NETWORKS
from ugatit_fast.checkpoint.pytorch import TRAINING_FORMAT
from ugatit_fast.files import written_whole
from ugatit_fast.model import Generator, GeneratorConfig


def random_generator(config: GeneratorConfig) -> Generator:
    """One with random weights, by torch's seed; gamma's scaled up, so that the decoder's activations are as large as a
    trained network's.
    """
    generator = Generator(config)
    torch.nn.init.normal_(generator.gamma.weight, std=1.0)
    return generator


def write_random_checkpoint(path: Path, config: GeneratorConfig, seed: int) -> None:
    """A checkpoint that says what it is, as training writes them: it translates nothing, but everything runs on it."""
    torch.manual_seed(seed)
    networks = {NETWORKS[direction]: random_generator(config).state_dict() for direction in DIRECTIONS}
    about = {"format": TRAINING_FORMAT, "format_version": 1, "step": 0, "config": asdict(config)}
    with written_whole(path) as partial:
        torch.save(networks | about, partial)
