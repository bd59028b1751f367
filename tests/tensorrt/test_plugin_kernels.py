"""What TensorRT is given of our kernels: parameters, grids, PTX that assembles; and that what they compute is right."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')

from triton.backends.nvidia.compiler import get_ptxas

from tests.tensorrt.bindings import HERE, ROOT
from ugatit_fast.errors import ExportError
from ugatit_fast.export import plugin_triton
from ugatit_fast.export.plugin_kernels import (
    KernelSpec,
    NormShape,
    apply_spec,
    check_launchable,
    compile_kernel,
    ptx_version,
    stats_spec,
    without_hidden_parameters,
)
from ugatit_fast.kernels.schedule import cdiv

BLOCKS = NormShape(c=256, h=64, w=64, splits=32, tiles=4)
UP = NormShape(c=64, h=256, w=256, splits=32, tiles=1)
ARCHITECTURES = [75, 80, 86, 89, 90, 100, 120]


def specs(dtype: str, channels_last: bool) -> list[KernelSpec]:
    """Both kernels as the network uses them most, and as it uses them last, with every tactic."""
    found = []
    for tactic in (1, 2, 3):
        found.append(stats_spec(BLOCKS, dtype, channels_last, tactic))
        for shape, residual, own, pad, mode in (
            (BLOCKS, True, True, 1, "reflect"),
            (UP, False, False, 3, "reflect"),
            (UP, False, False, 1, "constant"),
        ):
            found.append(
                apply_spec(
                    shape, dtype, channels_last, tactic, residual=residual, style_of_each_image=own, relu=not residual,
                    pad=pad, mode=mode, unbiased=True, eps=1e-5,
                )
            )  # fmt: skip
    return found


def assembled(ptx: str, capability: int, folder: Path) -> str:
    """ptxas's report on registers and spills."""
    (folder / "kernel.ptx").write_text(ptx)
    architecture = f"sm_{capability}{'a' if capability >= 90 else ''}"
    command = [get_ptxas(capability).path, "-v", f"--gpu-name={architecture}", "-o", "/dev/null", "kernel.ptx"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("capability", [min(ARCHITECTURES), 90, max(ARCHITECTURES)])
def test_stripped_ptx_assembles(capability: int, tmp_path: Path) -> None:
    """For the oldest architecture, one between and the newest; tests/kernels has them all."""
    version = ptx_version(capability, (13, 0))
    for dtype in ("*fp16", "*fp32"):
        for channels_last in (True, False):
            for spec in specs(dtype, channels_last):
                compiled = compile_kernel(spec, capability, version)
                entry = re.search(r"\.entry (\w+)\((.*?)\)\n(.*?)\{", compiled.ptx, re.DOTALL)
                assert entry
                assert entry[1] == compiled.name
                assert entry[2].count(".param .u64 .ptr") == entry[2].count(".param") == len(spec.pointers)
                assert f".reqntid {compiled.threads}" in entry[3]
                assert re.search(rf"^\.version {version // 10}\.{version % 10}$", compiled.ptx, re.MULTILINE)
                assert "0 bytes spill stores" in assembled(compiled.ptx, capability, tmp_path)


def test_pointers_lie_in_the_order_of_the_kernels_parameters() -> None:
    for channels_last in (True, False):
        for spec in specs("*fp16", channels_last):
            names = getattr(plugin_triton, spec.kernel).arg_names
            pointers = [name for name, _ in spec.pointers]
            assert [name for name in names if name in pointers] == pointers
            assert set(names) == set(pointers) | {name for name, _ in spec.constants}


@pytest.mark.parametrize("tactic", [1, 2, 3])
@pytest.mark.parametrize("channels_last", [True, False])
def test_grids_are_those_of_the_launcher(channels_last: bool, tactic: int) -> None:
    """As adalin_launch.py computes them: programs for every split, or padded tile, and channel tile."""
    stats = stats_spec(BLOCKS, "*fp16", channels_last, tactic)
    assert stats.programs == BLOCKS.splits * cdiv(BLOCKS.c, dict(stats.constants)["CHANNELS"])
    spec = specs("*fp16", channels_last)[4 * (tactic - 1) + 1]
    constants = dict(spec.constants)
    assert spec.programs == cdiv(66 * 66, constants["TILE_PIXELS"]) * cdiv(256, constants["CHANNELS"])
    assert constants["TILE_PIXELS"] % constants["ROWS"] == 0


def test_ptx_is_no_newer_than_the_driver() -> None:
    assert ptx_version(90, (12, 4)) == 84
    assert ptx_version(90, (13, 0)) <= 90
    with pytest.raises(ExportError, match=r"sm_120 need PTX 8\.7, this driver \(CUDA 12\.4\) reads up to 8\.4"):
        ptx_version(120, (12, 4))


def test_scratch_and_too_much_shared_memory_are_refused() -> None:
    spec = specs("*fp16", True)[0]
    check_launchable(spec, 48 * 1024, 0)
    with pytest.raises(ExportError, match="128 bytes of scratch memory"):
        check_launchable(spec, 0, 128)
    with pytest.raises(ExportError, match="shared memory"):
        check_launchable(spec, 48 * 1024 + 1, 0)


ENTRY = ".visible .entry k(\n\t.param .u64 a,\n\t.param .u64 b,\n\t.param .u64 c\n)\n.reqntid 128\n{{ {} }}"


def test_hidden_parameters_are_stripped_only_where_they_are_unused() -> None:
    stripped = without_hidden_parameters(ENTRY.format("ld.param.b64 %rd1, [a];"), 1)
    assert stripped == ".visible .entry k(\n\t.param .u64 a\n)\n.reqntid 128\n{ ld.param.b64 %rd1, [a]; }"
    with pytest.raises(ExportError, match="other parameters than expected"):
        without_hidden_parameters(ENTRY.format("ld.param.b64 %rd1, [c];"), 1)
    with pytest.raises(ExportError, match="other parameters than expected"):
        without_hidden_parameters(ENTRY.format(""), 2)


@pytest.mark.parametrize("wrong", [{"splits": 3}, {"tiles": 3}, {"c": 96, "tiles": 2}])
def test_splits_and_tiles_must_be_equal(wrong: dict[str, int]) -> None:
    with pytest.raises(ExportError, match="equal size"):
        NormShape(**{"c": 256, "h": 64, "w": 64, "splits": 32, "tiles": 4, **wrong})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kernels_agree_with_the_reference_in_the_interpreter() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path_of_tests()}
    result = subprocess.run(
        [sys.executable, str(HERE / "run_kernels.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "36 normalisations agree" in result.stdout


def path_of_tests() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
