"""Where pictures go: a folder, a zip archive, or stdout.

A sink takes whole files, from several threads at once, and is a context manager around a run: what it has half made is
gone when the run fails.
"""

import sys
import tempfile
import threading
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import Protocol

from ugatit_fast.errors import InputError
from ugatit_fast.files import cause_of, write_errors, written_whole
from ugatit_fast.media.animation import ANIMATION_SUFFIXES
from ugatit_fast.media.folders import IMAGE_SUFFIXES, UNREAD_SUFFIXES, UNREAD_VIDEO_SUFFIXES
from ugatit_fast.media.images import ENCODERS
from ugatit_fast.media.video import VIDEO_SUFFIXES
from ugatit_fast.media.video_writer import CONTAINERS
from ugatit_fast.translate.sources import PIPE, ZIP_SUFFIX
from ugatit_fast.version import __version__

FILE_SUFFIXES = IMAGE_SUFFIXES + UNREAD_SUFFIXES + VIDEO_SUFFIXES + UNREAD_VIDEO_SUFFIXES
"""What a name ends in that stands for a file."""


class Sink(Protocol):
    """What a run writes to."""

    root: Path
    """What the user called it."""
    one_picture: bool
    """Whether it has room for a single picture and nothing beside it."""

    def put(self, relative: PurePath, content: bytes) -> None:
        """Write a file, all of it or none. Raises InputError where it can't be written."""

    def holds(self, relative: PurePath) -> bool:
        """Whether such a file is there from an earlier run."""

    def __enter__(self) -> "Sink": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


def open_sink(out: Path) -> Sink:
    """The sink that `out` names: `-` is stdout, a name ending in .zip an archive unless it is a folder, else a folder.

    Raises InputError where stdout is a terminal, and where something else has the place of an archive.
    """
    if out == PIPE:
        return StdoutSink()
    if out.suffix.lower() == ZIP_SUFFIX and not out.is_dir():
        return ZipSink(out)
    return FolderSink(out)


def refuse_file_name(out: Path) -> None:
    """Raises InputError where a folder that isn't there yet would be called like a picture or a clip."""
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in FILE_SUFFIXES:
        return
    written = (*ENCODERS, *(s for s in ANIMATION_SUFFIXES if s not in ENCODERS), *CONTAINERS)
    if suffix in written:
        raise InputError(f"{out} names one file, for a single photo or clip; for several, name a folder or a .zip")
    raise InputError(f"nothing can be written as {suffix!r}; expected a folder, .zip, or one of {', '.join(written)}")


class FolderSink:
    """A folder, made if missing; every file in it is whole at any time."""

    one_picture = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, relative: PurePath, content: bytes) -> None:
        path = self.root / relative
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_bytes(content)

    def holds(self, relative: PurePath) -> bool:
        return (self.root / relative).is_file()

    def __enter__(self) -> "FolderSink":
        """Make the folder, and a nameless file in it, so that a run ends before its work where it couldn't keep it."""
        refuse_file_name(self.root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except FileExistsError as error:
            raise InputError(f"the output {self.root} is a file; expected a folder: choose another name") from error
        except OSError as error:
            raise InputError(f"cannot write to the output folder {self.root}: {cause_of(error)}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class ZipSink:
    """A zip archive that appears when the run ends well, in the place of an earlier one of ours but of nothing else."""

    one_picture = False
    MARK = b"ugatit-fast "
    """The archive's comment begins so; by it ours are told from the user's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.Lock()
        self.cleanup = ExitStack()
        if root.exists() and not self.is_ours():
            raise InputError(f"{root} exists and is not an archive of ours, and would be lost; choose another name")

    def is_ours(self) -> bool:
        try:
            with zipfile.ZipFile(self.root) as archive:
                return archive.comment.startswith(self.MARK)
        except (OSError, zipfile.BadZipFile):
            return False

    def put(self, relative: PurePath, content: bytes) -> None:
        name = relative.as_posix().encode(errors="replace").decode()  # names on Linux need not be text
        with self.lock:
            self.zip.writestr(name, content)  # stored: pictures don't shrink any further

    def holds(self, relative: PurePath) -> bool:
        return False

    def __enter__(self) -> "ZipSink":
        with ExitStack() as stack:
            partial = stack.enter_context(written_whole(self.root))
            self.zip = stack.enter_context(zipfile.ZipFile(partial, "w"))
            self.zip.comment = self.MARK + __version__.encode()
            self.cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self.cleanup.__exit__(kind, error, trace)


class StdoutSink:
    """One picture to stdout, which then carries nothing else."""

    one_picture = True
    root = PIPE

    def __init__(self) -> None:
        if sys.stdout.isatty():
            raise InputError(
                "-o - writes a picture to stdout, and stdout is a terminal; send it to a file: -o - > a.png"
            )

    def put(self, relative: PurePath, content: bytes) -> None:
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # nobody reads it any more: the command line knows what that means
            raise
        except OSError as error:
            raise InputError(f"cannot write to stdout: {cause_of(error)}") from error

    def holds(self, relative: PurePath) -> bool:
        return False

    def __enter__(self) -> "StdoutSink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
