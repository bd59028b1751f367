from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import FULL, LIGHT, random_generator, random_pictures
from ugatit_fast.bench.widened import widened, write_widened_checkpoint
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.model import GeneratorConfig

BIASED = replace(LIGHT, bias=True, affine_encoder=True, unbiased=False)


@pytest.mark.parametrize("config", [LIGHT, FULL, BIASED], ids=["light", "full", "biased"])
def test_it_is_the_same_function(config: GeneratorConfig) -> None:
    generator = random_generator(config)
    wide = widened(generator, 3)
    assert wide.config == replace(config, ch=3 * config.ch)
    pictures = torch.from_numpy(random_pictures(1, 32, 32)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        (image, _, heat), (again, _, heat_again) = generator(pictures), wide(pictures)
    exact = 0.02 if config.unbiased else 1e-4  # count - 1 of more channels is another share of the count
    np.testing.assert_allclose(again, image, atol=exact)
    np.testing.assert_allclose(heat_again, 3 * heat, rtol=1e-4)


def test_the_shipped_pair_widened_is_a_checkpoint(tmp_path: Path) -> None:
    write_widened_checkpoint(tmp_path / "wide.safetensors", 2, "B2A")
    source = read_checkpoint(tmp_path / "wide.safetensors")
    assert (source.direction, source.config.ch, source.config.light) == ("B2A", 32, True)
