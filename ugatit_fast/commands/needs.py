"""What a verb needs beside the core."""

from collections.abc import Iterator
from contextlib import contextmanager

from ugatit_fast.errors import BackendUnavailable


@contextmanager
def torch_is_needed() -> Iterator[None]:
    """For imports: BackendUnavailable where there is no torch."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendUnavailable(
            'this needs PyTorch, which is not installed: pip install "ugatit-fast[train]"'
        ) from error
