"""Runs the kernels' numerical tests in Triton's interpreter, in a process that imports Triton for nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
FILES = sorted(path.name for path in HERE.glob("test_*_kernels.py"))


def version(text: str) -> tuple[int, ...]:
    """Its first two numbers."""
    return tuple(int(number) for number in text.split(".")[:2])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("file", FILES)
def test_kernels_agree_with_their_references_in_the_interpreter(file: str) -> None:
    triton = pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')
    if version(triton.__version__) < (3, 7) and version(np.__version__) >= (2, 4):
        pytest.skip("the interpreter of Triton before 3.7 makes loop bounds in a way that NumPy 2.4 refuses")
    environment = os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / file)]
    run = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout.splitlines()[-1], run.stdout
