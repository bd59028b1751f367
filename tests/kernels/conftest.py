"""Where the Triton kernels run in this process.

Whether kernels are compiled or interpreted is settled when Triton is imported, so the interpreter has a pytest process
of its own: test_interpreter.py starts it with TRITON_INTERPRET=1. The same tests run compiled where there is a GPU, and
are skipped elsewhere.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.fixture(autouse=True)
def _products_of_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter multiplies the bits of bfloat16 as integers: they are made float32 before."""
    if INTERPRETED:
        from triton.language import bfloat16, float32
        from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

        dot = InterpreterBuilder.create_dot

        def widened(x: Any) -> Any:
            if x.dtype.scalar != bfloat16:
                return x
            return TensorHandle((x.data.astype(np.uint32) << 16).view(np.float32), float32)

        def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
            return dot(self, widened(a), widened(b), *rest)

        monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
