"""Small generators and what is made from them, built once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.export.build import build_engine
from ugatit_fast.model import Generator, GeneratorConfig

# What is small goes no faster on more; OMP_NUM_THREADS may ask for fewer, and threads without a core spin.
torch.set_num_threads(min(2, torch.get_num_threads()))

LIGHT = GeneratorConfig(ch=8, n_res=2, light=True)
FULL = replace(LIGHT, light=False, img_size=32)


def random_generator(config: GeneratorConfig, seed: int = 0) -> Generator:
    """A generator whose every parameter matters: rho anywhere in [0, 1], gamma and beta far from their beginnings."""
    torch.manual_seed(seed)
    generator = Generator(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith("rho"):
            parameter.uniform_(0, 1)
        elif name.endswith((".gamma", ".beta")) or name.startswith(("gamma.", "beta.")):
            parameter.normal_()
    return generator


def random_pictures(n: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees what another, or the user, has in the cache folder, and none leaves anything there."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "ugatit-fast"


@pytest.fixture(scope="session")
def light_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("light") / "light.pt"
    write_random_checkpoint(path, replace(LIGHT, img_size=256), seed=1)
    return path


@pytest.fixture(scope="session")
def full_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "full.pt"
    write_random_checkpoint(path, FULL, seed=2)
    return path


@pytest.fixture(scope="session")
def light_engine(light_checkpoint: Path) -> Path:
    """An ONNX Runtime engine for 32x32 or any size, with heat maps."""
    return build_engine(light_checkpoint, size=(32, 32), heatmap=True, backend="onnxruntime").path


@pytest.fixture(scope="session")
def full_engine(full_checkpoint: Path) -> Path:
    return build_engine(full_checkpoint, backend="onnxruntime").path
