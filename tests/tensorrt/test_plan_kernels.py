"""What a real plan says that it will run, and how little that is."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import LIGHT
from tests.tensorrt import under_real
from tests.tensorrt.real import Real
from ugatit_fast import cli
from ugatit_fast.backends.plan_kernels import describe_kernels, generated_kernels, is_transposition, plans_of
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.choices import Precision

MOST_KERNELS, MOST_LAYERS = 48, 1200
"""What a plan of the published light generator may have, one picture of 256x256 at a time."""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light generator of the published size."""
    path = tmp_path_factory.mktemp("published") / "light.pt"
    write_random_checkpoint(path, replace(LIGHT, ch=64, n_res=4, img_size=256), seed=1)
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_plan_has_few_kernels_and_no_transpositions(
    real_tensorrt: Real, published: Path, tmp_path: Path, precision: Precision
) -> None:
    path = tmp_path / "x.engine"
    said = real_tensorrt.call(under_real.engine, published, path, precision)
    assert said.layers <= MOST_LAYERS
    ((_, plan),) = plans_of(path)
    kernels = generated_kernels(plan)
    assert 20 < len(kernels) <= MOST_KERNELS
    assert not [kernel for kernel in kernels if is_transposition(kernel)]


@pytest.mark.parametrize(
    ("kernel", "is_one"),
    [
        ("__myl_Tran", True),
        ("__myl_ReshTranCast", True),
        ("__myl_CastMeanSubMulMean", False),
        ("__myl_SubMulTran", False),
        ("__myl_Cast", False),
    ],
)
def test_what_a_transposition_is(kernel: str, is_one: bool) -> None:
    assert is_transposition(kernel) == is_one


def test_the_command_lists_them(
    capsys: pytest.CaptureFixture[str], real_tensorrt: Real, light_checkpoint: Path, light_engine: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.engine"
    real_tensorrt.call(under_real.engine, light_checkpoint, path, "fp16", size=(16, 16), batch=(1, 2))
    assert cli.main(["inspect", str(path), "--kernels"]) == 0
    out = capsys.readouterr().out
    plans = {name: generated_kernels(plan) for name, plan in plans_of(path)}
    for name, kernels in plans.items():
        assert f"{name:22} {len(kernels)} generated kernels, 0 of them transpositions" in out
        assert all(f" {kernel}\n" in out for kernel in kernels)
    assert all("_0x" not in kernel for kernels in plans.values() for kernel in kernels)

    assert cli.main(["inspect", str(light_engine), "--kernels"]) == 1
    assert "has no plans of TensorRT" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-1000])
    assert cli.main(["inspect", str(path), "--kernels"]) == 1
    assert "truncated or damaged" in capsys.readouterr().err


def test_a_plan_without_source(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"plan.1": np.zeros(8, np.uint8)}, tmp_path / "x.engine")
    assert "it carries the source of none" in describe_kernels(tmp_path / "x.engine")
