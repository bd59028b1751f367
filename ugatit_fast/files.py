"""Files written whole or not at all, and the key under which our files describe themselves."""

import errno
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ugatit_fast.errors import InputError

METADATA_KEY = "ugatit_fast"
"""Where safetensors headers and ONNX metadata hold our JSON description."""


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` when the block ends well.

    If the block or the renaming fails, whatever was at `path` stays and the temporary file goes. An OSError (a full
    disk, a folder that can't be written) becomes an InputError that names the file.
    """
    path = Path(path)
    partial = partial_name(path)
    with write_errors(path):
        try:
            partial.touch()
            mode = partial.stat().st_mode
            yield partial
            partial.chmod(mode)  # some writers (safetensors) make files that only their owner may read
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a path of the same name in a temporary folder beside it; when the block ends well, what is there moves out.

    For a product of several files, all of them named in terms of `path`: they replace those beside `path`, `path` last.
    Otherwise as `written_whole`.
    """
    folder = partial_name(path)
    with write_errors(path):
        folder.mkdir()
        try:
            yield folder / path.name
            for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
                file.replace(path.with_name(file.name))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock that a file stands for, made if missing; the system lets go when the process ends, however it ends.

    wait: for whoever holds it, or raise BlockingIOError at once; on Windows also after ten seconds of waiting.
    Raises OSError where the file can't be opened.
    """
    with path.open("ab") as file:
        try:
            lock(file, wait)
        except OSError as error:
            raise BlockingIOError(f"{path} is locked by another process") from error
        yield


if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[bytes], wait: bool) -> None:
        """Until the file is closed. Raises OSError where another process holds it."""
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock(file: IO[bytes], wait: bool) -> None:
        """Until the file is closed. Raises OSError where another process holds it."""
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_folder(path: Path) -> None:
    """Make a folder with those above it, unless it is there. Raises InputError."""
    with write_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def partial_name(path: Path) -> Path:
    """A hidden name beside `path` that nobody else uses; short, since names have a greatest length."""
    return path.with_name(f".{secrets.token_hex(4)}.partial")


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into an InputError that says what couldn't be written and what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {cause_of(error)}") from error


def cause_of(error: OSError) -> str:
    """What went wrong and what to do, in a few words."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there; choose another place"
    if error.errno == errno.ENOENT:
        return "the folder does not exist; make it first"
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        return f"{error.strerror}; choose another name"
    return error.strerror or str(error)
