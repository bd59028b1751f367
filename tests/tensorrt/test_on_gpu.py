"""TensorRT itself: engines built and run, where it and a GPU are. Skipped with the reason elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import LIGHT, random_pictures
from ugatit_fast import Translator, build_engine
from ugatit_fast.backends.runtimes import RUNTIMES
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.choices import Kernels, Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.export.options import TensorRTOptions
from ugatit_fast.export.verify import verify

MISSING = RUNTIMES["tensorrt"].missing("build")
pytestmark = [
    pytest.mark.tensorrt,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(MISSING is not None, reason=MISSING or ""),
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    configs = {
        "light": replace(LIGHT, ch=64, n_res=4, img_size=256),
        "full": replace(LIGHT, ch=16, light=False, img_size=64),
    }
    for name, config in configs.items():
        write_random_checkpoint(folder / f"{name}.pt", config, seed=1)
    return {name: folder / f"{name}.pt" for name in configs}


@pytest.mark.parametrize("kernels", ["native", "triton"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("network", ["light", "full"])
def test_builds_runs_and_passes_the_gate(
    checkpoints: dict[str, Path], tmp_path: Path, network: str, precision: Precision, kernels: Kernels
) -> None:
    options = TensorRTOptions(kernels=kernels, optimization_level=1, timing_cache=tmp_path)
    checkpoint, path = checkpoints[network], tmp_path / "x.engine"
    build_engine(checkpoint, path, backend="tensorrt", precision=precision, batch=(1, 8), tensorrt=options)

    assert verify(path, checkpoint).passes(precision)
    spec = read_spec(path)
    assert spec.tensorrt.kernels == (kernels, kernels)
    pictures = random_pictures(11, spec.height, spec.width)
    with Translator(path) as translator:
        together = translator.run(pictures)
        for i in range(11):
            assert np.abs(together[i].astype(int) - translator.run(pictures[i : i + 1])[0]).max() <= 3
        if torch.cuda.is_available():
            on_gpu = translator.run(torch.from_numpy(pictures).cuda())
            assert np.array_equal(on_gpu.cpu().numpy(), together)


def test_a_warm_timing_cache_builds_at_least_three_times_faster(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    options = TensorRTOptions(kernels="native", timing_cache=tmp_path / "timings")
    seconds = [
        build_engine(
            checkpoints["light"], tmp_path / f"{i}.engine", backend="tensorrt", batch=(1,), tensorrt=options
        ).seconds
        for i in range(2)
    ]
    assert seconds[0] > 3 * seconds[1], seconds
