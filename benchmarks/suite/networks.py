"""A checkpoint's generator as results tell of it, and back."""

import json

from ugatit_fast.architectures import architecture_called
from ugatit_fast.bench.results import Network
from ugatit_fast.checkpoint import Checkpoint
from ugatit_fast.model import Config, GeneratorConfig


def network_of(checkpoint: Checkpoint, size: tuple[int, int], batch: int, *, threads: int, weights: str) -> Network:
    """For batches of pictures of (height, width)."""
    config = checkpoint.config
    ch, n_res = (config.ch, config.n_res) if isinstance(config, GeneratorConfig) else (0, 0)
    others = not isinstance(config, GeneratorConfig)
    return Network(
        ch=ch,
        n_res=n_res,
        light=config.any_size,
        direction=checkpoint.direction,
        height=size[0],
        width=size[1],
        batch=batch,
        threads=threads,
        weights=weights,
        architecture=config.architecture,
        settings=json.dumps(config.settings()) if others else "",
        words=config.words if others else "",
    )


def config_of(network: Network) -> Config:
    """Of its generator, for pictures of its size."""
    if not network.settings:
        return GeneratorConfig(ch=network.ch, n_res=network.n_res, light=network.light, img_size=network.height)
    config: Config = architecture_called(network.architecture).configured(json.loads(network.settings), network.height)
    return config
