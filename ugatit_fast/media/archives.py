"""Zip files of photos, read with suspicion: whoever packed one need not wish us well."""

import threading
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from ugatit_fast.errors import InputError

MAX_MEMBERS = 100_000
"""Most files that an archive may hold; their list is kept in memory."""
MAX_MEMBER_BYTES = 512 * 2**20
"""Largest photo in an archive, unpacked; a member is held in memory while it is decoded."""
MAX_ARCHIVE_BYTES = 64 * 2**30
"""Most that all members may unpack to."""

ENCRYPTED = 0x1


class Archive:
    """A zip file of any number of photos. Reads one member at a time, for any number of threads."""

    def __init__(
        self,
        file: Path | IO[bytes],
        name: str,
        *,
        max_members: int = MAX_MEMBERS,
        max_member_bytes: int = MAX_MEMBER_BYTES,
        max_archive_bytes: int = MAX_ARCHIVE_BYTES,
    ) -> None:
        """Read the list of members, and refuse what no honest archive of photos holds.

        file: the archive, or where it is. name: what messages call it.
        Raises InputError where it is damaged or too large, or has members that are encrypted, have one name, or would
        lie outside the folder that it is unpacked to.
        """
        self.name = name
        self.lock = threading.Lock()
        try:
            self.zip = zipfile.ZipFile(file)
        except OSError as error:
            raise InputError(f"{name} can't be read ({error.strerror}); check its name and permissions") from error
        except Exception as error:  # zipfile meets damaged directories with several built-in exceptions
            raise InputError(f"{name} is not a zip archive, or a damaged one ({error}); pack it again") from error
        infos = [info for info in self.zip.infolist() if not info.is_dir()]
        if len(infos) > max_members:
            raise InputError(f"{name} holds {len(infos)} files; expected at most {max_members}: split it")
        if sum(info.file_size for info in infos) > max_archive_bytes:
            raise InputError(f"{name} would unpack to more than {max_archive_bytes / 2**30:g} GiB; split it")
        self.infos: dict[PurePosixPath, zipfile.ZipInfo] = {}
        for info in infos:
            if info.flag_bits & ENCRYPTED:
                raise InputError(f"{name} is encrypted; unpack it with its password, and give the folder")
            if info.file_size > max_member_bytes:
                raise InputError(
                    f"{name} holds {info.filename!r} of {info.file_size / 2**20:.0f} MiB; "
                    f"expected at most {max_member_bytes / 2**20:.0f} MiB a photo"
                )
            path = safe_path(info.filename)
            if path is None:
                raise InputError(f"{name} holds a file that lies outside it, {info.filename!r}; don't trust it")
            if path in self.infos:
                raise InputError(f"{name} holds two files called {info.filename!r}; pack it again")
            self.infos[path] = info

    @property
    def members(self) -> list[PurePosixPath]:
        """The files in it, in its own order; relative, without `..`."""
        return list(self.infos)

    def read(self, member: PurePosixPath) -> bytes:
        """A member's content, checked against its checksum. Raises InputError where it is damaged."""
        try:
            with self.lock:
                return self.zip.read(self.infos[member])
        except Exception as error:  # as above, and what the decompressors raise
            raise InputError(f"{self.name}/{member} can't be unpacked ({error}); pack it again") from error


def safe_path(name: str) -> PurePosixPath | None:
    """A member's name as a relative path, also where Windows packed it; None where it leads out of the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.parts:
        return None
    return path
