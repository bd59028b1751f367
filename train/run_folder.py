"""Where a run's files go, one run to a folder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.files import locked, make_folder, write_errors

LOCK = ".running"


@dataclass(frozen=True)
class Layout:
    """Names of folders in a run's."""

    checkpoints: str = "checkpoints"
    samples: str = "samples"
    published: str | None = None
    """For the networks of every checkpoint as the published code writes them, all of which stay; None writes none."""
    latest: bool = False
    """Also keep the networks of every so many steps, as the published code does, in one file beside the folder."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, which is made if missing, for this run alone.

    Raises InputError where another run holds it or it can't be written.
    """
    make_folder(folder)
    with ExitStack() as stack:
        with write_errors(folder):
            try:
                stack.enter_context(locked(folder / LOCK, wait=False))
            except BlockingIOError as error:
                raise InputError(
                    f"another run is training into {folder}; wait for it, or choose another --output"
                ) from error
        yield
