"""The driver's version, asked of a stand-in for its library."""

import subprocess
from pathlib import Path
from shutil import which
from types import SimpleNamespace

import pytest
import torch

from ugatit_fast.backends import driver
from ugatit_fast.backends.gpu_parts import GpuError
from ugatit_fast.backends.gpu_torch import TorchGpu
from ugatit_fast.backends.runtimes import require_gpus
from ugatit_fast.errors import BackendUnavailable

COMPILER = which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc) for the driver's stand-in")


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    path = folder / "libcuda.so.1"
    (folder / "driver.c").write_text(source)
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", path, folder / "driver.c"], check=True)
    monkeypatch.setattr(driver, "LIBRARY", str(path))


@needs_compiler
@pytest.mark.parametrize(("number", "version"), [(13000, (13, 0)), (12080, (12, 8))])
def test_it_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, version: tuple[int, int]) -> None:
    stand_in(monkeypatch, tmp_path, f"int cuDriverGetVersion(int *number) {{ *number = {number}; return 0; }}")
    assert driver.newest_cuda_of_driver() == version


@needs_compiler
def test_a_driver_that_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "int cuDriverGetVersion(int *number) { return 999; }")
    with pytest.raises(GpuError, match=r"CUDA error 999.*install the driver"):
        driver.newest_cuda_of_driver()


GPUS = """
int cuInit(unsigned flags) {{ return {begun}; }}
int cuDeviceGetCount(int *number) {{ *number = {count}; return 0; }}
"""


@needs_compiler
@pytest.mark.parametrize(("begun", "count", "found"), [(0, 2, 2), (0, 0, 0), (100, 5, 0)])
def test_its_gpus_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begun: int, count: int, found: int
) -> None:
    stand_in(monkeypatch, tmp_path, GPUS.format(begun=begun, count=count if not begun else 0))
    assert driver.gpus_of_driver() == found


@needs_compiler
def test_a_driver_that_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, GPUS.format(begun=999, count=0))
    with pytest.raises(GpuError, match=r"CUDA error 999.*install the driver"):
        driver.gpus_of_driver()


@needs_compiler
@pytest.mark.parametrize(
    ("count", "says"),
    [(2, "there is no cuda:2: there are 2 GPUs here, cuda:0 to cuda:1; choose among these"),
     (1, "there is no cuda:1: there is 1 GPU here, cuda:0"), (0, "there is no cuda:0: there is no GPU here")],
)  # fmt: skip
def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, says: str) -> None:
    stand_in(monkeypatch, tmp_path, GPUS.format(begun=0, count=count))
    require_gpus(range(count))
    with pytest.raises(BackendUnavailable, match=says):
        require_gpus([0, 1, 2])


def test_a_gpu_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "LIBRARY", str(tmp_path / "libcuda.so.1"))
    require_gpus([])
    with pytest.raises(BackendUnavailable, match=r"cuda:1 can't be had: .*install the driver; or use --device cpu"):
        require_gpus([1])


@needs_compiler
def test_a_library_that_is_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "int other(void) { return 0; }")
    with pytest.raises(GpuError, match="cuDriverGetVersion"):
        driver.newest_cuda_of_driver()


def test_a_machine_without_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "LIBRARY", str(tmp_path / "libcuda.so.1"))
    with pytest.raises(GpuError, match="can't be asked for its version"):
        driver.newest_cuda_of_driver()


@needs_compiler
def test_through_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PyTorch's own function for it is missing from its CUDA wheels, as from this build."""
    stand_in(monkeypatch, tmp_path, "int cuDriverGetVersion(int *number) { *number = 13010; return 0; }")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    fakes = SimpleNamespace(
        is_available=lambda: True, get_device_name=lambda _: "NVIDIA H200", get_device_capability=lambda _: (9, 0)
    )
    for name, fake in vars(fakes).items():
        monkeypatch.setattr(torch.cuda, name, fake)
    gpu = TorchGpu()
    assert (gpu.name, gpu.capability, gpu.driver_cuda) == ("NVIDIA H200", 90, (13, 1))
