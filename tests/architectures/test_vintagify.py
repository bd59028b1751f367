"""A trained CycleGAN that people have, photographs to old prints: in the package `vintagify` (MIT), which is opened up
and never imported. Every engine that runs here draws what its network, written apart from ours, draws in float64.
"""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.architectures.published import Published
from ugatit_fast.architectures.cyclegan import ResnetConfig
from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.choices import BuiltKind, Precision
from ugatit_fast.export.build import build_engine
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image
from ugatit_fast.translator import Translator

SHA256 = "c502cd44ca720d004f89775f593fc403acc6b36d27d65390cbe2f476f771e560"
SIDE = 64
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights() -> Path:
    package = importlib.util.find_spec("vintagify")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs the trained network in vintagify: pip install --no-deps vintagify==0.1.2")
    path = Path(package.submodule_search_locations[0]) / "resources/G_A2B_epoch33.pth"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    return path


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    return np.stack([fit_image(load_image(photo), (SIDE, SIDE), "crop") for photo in sample_photos()])


@pytest.fixture(scope="module")
def truth(weights: Path, photos: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Levels, unrounded: (n, h, w, 3)."""
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = Published(ngf=64, n_blocks=9, kind="affine").double().eval()
    network.load_state_dict({name.replace(".block.", ".conv_block."): tensor for name, tensor in state.items()})
    with torch.inference_mode():
        pictures = network(unit_range(torch.from_numpy(photos), torch.float64))
    levels: NDArray[np.float64] = ((pictures + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    return levels


def test_it_is_recognised(weights: Path) -> None:
    checkpoint = read_checkpoint(weights)
    assert checkpoint.config == ResnetConfig(ngf=64, n_blocks=9, affine=True)
    assert checkpoint.direction == "A2B"
    assert sum(tensor.numel() for tensor in checkpoint.tensors.values()) == 11_388_675


@pytest.mark.parametrize(
    ("backend", "precision", "most"),
    [
        ("onnxruntime", "fp32", 0.501),
        ("onnxruntime", "fp16", 2.0),
        ("onnxruntime", "int8", 20.0),
        ("cuda", "fp32", 0.501),
        ("cuda", "fp16", 2.0),
    ],
)
def test_every_engine_draws_it(
    weights: Path,
    photos: NDArray[np.uint8],
    truth: NDArray[np.float64],
    tmp_path: Path,
    backend: BuiltKind,
    precision: Precision,
    most: float,
) -> None:
    """most: levels of 255 from the truth; rounding takes half a level. A cuda engine's operations, in plain PyTorch."""
    built = build_engine(weights, tmp_path / "engine", backend=backend, precision=precision, size=(SIDE, SIDE))
    if backend == "cuda":
        translated, _ = PlainBackend(built.path, built.spec).run(photos)
    else:
        with Translator(built.path) as translator:
            translated = translator(photos)
    assert np.abs(translated - truth).max() < most


def test_it_changes_a_photograph_and_keeps_what_is_in_it(photos: NDArray[np.uint8], truth: NDArray[np.float64]) -> None:
    """An old print: the same shapes, other colours."""
    for photo, print_ in zip(photos.astype(float), truth, strict=True):
        assert np.abs(photo - print_).mean() > 5
        assert np.corrcoef(photo.mean(-1).ravel(), print_.mean(-1).ravel())[0, 1] > 0.9
