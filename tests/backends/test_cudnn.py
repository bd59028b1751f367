"""Loading a cuda engine leaves a program's settings of PyTorch as they are, whatever they are.

Shown on the CPU, where the settings can be made as on a GPU; that cuDNN does as it is told is not yet run.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ugatit_fast.backends.cudnn import OurConvolutions

OLD = ("torch.backends.cudnn.allow_tf32 = False", "torch.set_float32_matmul_precision('high')")
NEW = (
    "torch.backends.fp32_precision = 'ieee'",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.fp32_precision = 'bf16'",
    "torch.backends.cudnn.fp32_precision = 'ieee'",
    "torch.backends.cudnn.fp32_precision = 'tf32'",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.cudnn.conv.fp32_precision = 'tf32'",
    "torch.backends.cudnn.rnn.fp32_precision = 'ieee'",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
)
OTHER = ("torch.backends.cudnn.enabled = False", "torch.use_deterministic_algorithms(True)")
SETTINGS = ("pass", *OLD, *NEW, *OTHER, *("; ".join(pair) for pair in itertools.product(OLD, NEW)))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen() -> dict[str, list[list[object]]]:
    command = [sys.executable, "-m", "tests.backends.precision_program", *SETTINGS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return dict(zip(SETTINGS, map(json.loads, result.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_stay_and_convolutions_are_told_ours(seen: dict[str, list[list[object]]], setting: str) -> None:
    before, after, after_an_exception, told = seen[setting]
    assert after == before
    assert after_an_exception == before
    assert len(told) == 15
    assert all(flags == [True, "deterministic" in setting, True, False] for flags in told)


def test_some_programs_mix_old_and_new(seen: dict[str, list[list[object]]]) -> None:
    """Else the test above would show less than it says: these are the programs that PyTorch refuses to answer."""
    refused = [setting for setting in SETTINGS if any("legacy and new" in str(value) for value in seen[setting][0])]
    assert "torch.backends.cudnn.conv.fp32_precision = 'ieee'" in refused


def test_a_convolution_is_what_it_was() -> None:
    x, weight = torch.randn(2, 3, 9, 8), torch.randn(5, 3, 3, 3)
    for stride in (1, 2):
        expected = F.conv2d(x, weight, stride=stride)
        with OurConvolutions():
            assert torch.equal(F.conv2d(x, weight, stride=stride), expected)
