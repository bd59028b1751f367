"""Where the Triton kernels run in this process.

Whether kernels are compiled or interpreted is settled when Triton is imported, so the interpreter has a pytest process
of its own: test_interpreter.py starts it with TRITON_INTERPRET=1. The same tests run compiled where there is a GPU, and
are skipped elsewhere.
"""

import os
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compiled kernels need a GPU, so that `-m gpu` runs them too."""
    for item in items:
        if not INTERPRETED and HERE in item.path.parents and "device" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.gpu)


@pytest.fixture
def device() -> torch.device:
    """Of tensors that kernels can take here."""
    if INTERPRETED:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here; test_interpreter.py runs this in Triton's interpreter")
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)
