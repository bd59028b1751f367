"""What can happen to a runtime, and how it must be told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ugatit_fast.backends.base import Backend, Images
from ugatit_fast.backends.border import FAILED, LOST, MEMORY, Trouble
from ugatit_fast.errors import UgatitFastError, first_line

TORCH = {
    MEMORY: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore"),
    LOST: torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be", 214),
    FAILED: torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nSearch for", 700),
}
TROUBLES = [pytest.param(MEMORY, id="memory"), pytest.param(LOST, id="lost device"), pytest.param(FAILED, id="kernel")]
Raise = Callable[..., Any]


def raises(error: Exception) -> Raise:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@contextmanager
def is_told(path: Path, trouble: Trouble, cause: Exception) -> Iterator[None]:
    with pytest.raises(UgatitFastError) as told:
        yield
    assert type(told.value) is trouble.error
    assert told.value.__cause__ is cause or (told.value.__cause__ and told.value.__cause__.__cause__ is cause)
    message = str(told.value)
    assert message.startswith(str(path))
    assert first_line(cause) in message
    assert ".cpp" not in message
    assert "\n" not in message
    assert trouble is not MEMORY or "close other programs" in message


def works_again(backend: Backend, pictures: Images, before: Images) -> None:
    assert np.array_equal(backend.run(pictures)[0], before)
