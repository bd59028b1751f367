"""Folders that photos keep coming into: told by looking again, and again, at names, times and sizes.

Asking the operating system to be woken would be quicker by half a second and blind on network drives.
"""

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.media.folders import photos_below
from ugatit_fast.translate.sources import Source, source_of

POLL_SECONDS = 0.5
"""From one look to the next. A photo is taken when two looks in a row find it alike: nobody is writing it any more."""

Look = tuple[int, int]
"""What changes when a file does: time of the last change in nanoseconds, and size in bytes."""


class Watcher:
    """New and changed photos of folders and their subfolders."""

    def __init__(self, folders: Sequence[str | Path], suffix: str | None = None) -> None:
        """folders: at least one; they may be empty yet. suffix: as for `sources.output_name`.

        Raises InputError where one isn't a folder.
        """
        self.folders = [Path(folder) for folder in folders]
        self.suffix = suffix
        if not folders:
            raise InputError("there is nothing to watch; name a folder")
        for folder in self.folders:
            if not folder.is_dir():
                raise InputError(f"{folder} is not a folder, and only folders can be watched; give the folder it is in")
        self.last: dict[Path, Look] = {}
        self.taken: dict[Path, Look] = {}
        self.names: dict[str, Path] = {}

    def rounds(self) -> Iterator[list[Source]]:
        """The photos that are there, then for ever those that have come or changed; waits where there are none.

        Raises InputError where a folder has vanished or can't be read.
        """
        while True:
            if settled := self.look():
                yield settled
            time.sleep(POLL_SECONDS)

    def look(self) -> list[Source]:
        """Photos not taken yet that are as they were at the last look. A photo that can't be looked at is none yet."""
        now: dict[Path, tuple[Path, Look]] = {}
        for folder in self.folders:
            for path in photos_below(folder, with_videos=True):
                try:
                    status = path.stat()
                except OSError:  # gone again
                    continue
                now[path] = folder, (status.st_mtime_ns, status.st_size)
        settled = [path for path, (_, look) in now.items() if self.last.get(path) == look != self.taken.get(path)]
        self.last = {path: look for path, (_, look) in now.items()}
        self.taken.update((path, self.last[path]) for path in settled)
        return [source for path in settled if (source := self.source(path, now[path][0]))]

    def source(self, path: Path, folder: Path) -> Source | None:
        """The photo at `path` unless another has its name; that is told, and the other's translation kept."""
        source = source_of(path, path.relative_to(folder), self.suffix)
        first = self.names.setdefault(os.path.normcase(source.relative), path)
        if first != path:
            name = source.relative
            warnings.warn(f"{path} is left alone: {first} is also written as {name}; rename one", stacklevel=1)
            return None
        return source
