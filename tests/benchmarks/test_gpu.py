"""benchmarks/gpu.py, to its end, where a driver says that there is a GPU and PyTorch finds none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import ROOT
from ugatit_fast.bench.contenders import CUDA
from ugatit_fast.bench.kernel_subjects import SUBJECTS
from ugatit_fast.bench.kernels import contenders_of
from ugatit_fast.bench.results import read_results

SMI = """#!/bin/sh
case "$*" in
*clocks*) echo "1980, 30, 70.5" ;;
*) echo "NVIDIA Pretend, 580.1" ;;
esac
"""
"""What the suite asks of `nvidia-smi`."""

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="`make gpu` itself runs where there is a GPU")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A driver, for this process and those that it starts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(SMI)
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    gpu.has_nvidia_gpu.cache_clear()
    yield
    gpu.has_nvidia_gpu.cache_clear()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("driver")
def test_kernels_and_races_end_with_a_row_for_everyone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results"
    assert gpu.main(["kernels", "--output", str(output)]) == 0  # no engine, so none that failed
    assert gpu.main(["race", "--batch", "2", "--output", str(output)]) == 1

    kernels = read_results(output / "nvidia-pretend-kernels.json")
    subjects = [subject for subjects in SUBJECTS["cuda"].values() for subject in subjects]
    assert kernels.rows == ()
    assert [(row.op, row.shape) for row in kernels.kernels] == [(one.op, one.shape_text) for one in subjects]
    assert all(row.reason for row in kernels.kernels)
    race = read_results(output / "nvidia-pretend-batch-2.json")
    assert [row.contender for row in race.rows] == [one.name for one in CUDA]
    assert {row.status for row in race.rows} == {"missing"}
    assert (output / "nvidia-pretend-batch-2.md").exists()
    assert "no engine of ours could run here" in capsys.readouterr().err


@pytest.mark.usefixtures("driver")
def test_tests_and_training_run_as_programs_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def stand_in(command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
        started.append(command)
        if "benchmarks.training_step" in command:
            Path(command[-1]).write_text(json.dumps({"passes": {"speed": False}}))
        return subprocess.CompletedProcess(command, 1 if "pytest" in command else 0, "NVIDIA Pretend, 580.1")

    monkeypatch.setattr(gpu.subprocess, "run", stand_in)
    gpu.has_nvidia_gpu()
    assert gpu.main(["training", "--output", str(tmp_path)]) == 0, "a figure that is missed is no failure"
    assert gpu.main(["tests", "--output", str(tmp_path)]) == 1
    programs = [command for command in started if command[0] == sys.executable]
    assert [command[2] for command in programs] == ["benchmarks.training_step", "pytest"]
    assert (tmp_path / "nvidia-pretend-tests.txt").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_test_for_a_gpu_is_among_those_that_run() -> None:
    """By collection, since marks are given to tests in conftest.py too."""

    def collected(*arguments: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", "gpu or tensorrt", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return {line for line in done.stdout.splitlines() if "::" in line}

    everything = collected("tests")
    assert any("test_adalin_kernels" in name for name in everything)
    assert collected(*gpu.test_files()) == everything


def test_compiling_rivals_are_timed_where_an_aim_names_them() -> None:
    timed = {
        subject.op for some in SUBJECTS["cuda"].values() for subject in some if len(contenders_of(subject, "cuda")) == 6
    }
    assert timed == {"AdaLIN, ReLU, pad", "AdaLIN, residual, pad"}
    assert all(len(contenders_of(subject, "cpu")) == 3 for some in SUBJECTS["cpu"].values() for subject in some)


def test_the_rival_that_the_aims_name_comes_first() -> None:
    names = [one.name for one in CUDA if one.kind == "rival"]
    assert "max-autotune" in names[0]
