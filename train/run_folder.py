"""Where a run's files go, one run to a folder, and stopping it politely."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from ugatit_fast.errors import InputError
from ugatit_fast.files import write_errors

LOCK = ".running"


@dataclass(frozen=True)
class Layout:
    """Names of folders in a run's."""

    checkpoints: str = "checkpoints"
    samples: str = "samples"
    published: str | None = None
    """For the networks of every checkpoint as the published code writes them, all of which stay; None writes none."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, which is made if missing; the system lets go of it when the process ends, however it
    ends. Raises InputError where another run holds it or it can't be written.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    with file:
        try:
            lock(file)
        except OSError as error:
            raise InputError(
                f"another run is training into {folder}; wait for it, or choose another --output"
            ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Stop:
    """Set by the first Ctrl-C or SIGTERM, so that the loop can end after its step. The second Ctrl-C interrupts."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stopping_signals() -> Iterator[Stop]:
    """Let Ctrl-C and SIGTERM set the flag given; in a thread, which can't have signal handlers, nothing sets it."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
