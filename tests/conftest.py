"""Small generators and what is made from them, built once; and how processes share this machine."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.export.build import build_engine
from ugatit_fast.machine import available_cores
from ugatit_fast.model import Generator, GeneratorConfig


def keep_to_own_cores() -> None:
    """One of several test processes leaves the others theirs: threads that wait for a core spin, in PyTorch and in ONNX
    Runtime. What it starts keeps to them too."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not hasattr(os, "sched_setaffinity"):
        return
    number, processes = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[number::processes] or cores)


keep_to_own_cores()
# What is small goes no faster on more; OMP_NUM_THREADS may ask for fewer.
torch.set_num_threads(min(2, torch.get_num_threads(), available_cores()))

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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
