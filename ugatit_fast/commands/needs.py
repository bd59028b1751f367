"""What a verb needs beside the core."""

from collections.abc import Iterator
from contextlib import contextmanager

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.machine import pip_install


@contextmanager
def serving_is_needed() -> Iterator[None]:
    """For imports: BackendUnavailable where what serving takes isn't there."""
    try:
        yield
    except ImportError as error:
        raise BackendUnavailable(
            f"serving needs FastAPI and its company ({error}); install them: {pip_install('serve')}"
        ) from error


@contextmanager
def torch_is_needed(extra: str = "train") -> Iterator[None]:
    """For imports: BackendUnavailable where there is no torch; `extra` brings it, and what else the verb takes."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendUnavailable(f"this needs PyTorch, which is not installed: {pip_install(extra)}") from error
