"""Zip files of photos, read with suspicion: whoever packed one need not wish us well."""

import struct
import threading
import warnings
import zipfile
import zlib
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
NAMED_IN_UTF8 = 0x800
UNICODE_PATH = 0x7075
"""Of an extra field: a version, the checksum of the name in the directory, and that name in UTF-8 (Info-ZIP)."""


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
        self.guessed: list[str] = []
        """Names in an alphabet that nobody told."""
        for info in infos:
            if info.flag_bits & ENCRYPTED:
                raise InputError(f"{name} is encrypted; unpack it with its password, and give the folder")
            member, known = name_of(info)
            if not known:
                self.guessed.append(member)
            if info.file_size > max_member_bytes:
                raise InputError(
                    f"{name} holds {member!r} of {info.file_size / 2**20:.0f} MiB; "
                    f"expected at most {max_member_bytes / 2**20:.0f} MiB a photo"
                )
            path = safe_path(member)
            if path is None:
                raise InputError(f"{name} holds a file that lies outside it, {member!r}; don't trust it")
            if path in self.infos:
                raise InputError(f"{name} holds two files called {member!r}; pack it again")
            self.infos[path] = info

    def warn_of_guesses(self) -> None:
        """Say where names may be wrong."""
        if self.guessed:
            warnings.warn(
                f"{self.name} does not say in which alphabet {len(self.guessed)} of its names are, and none is UTF-8; "
                f"they are read as Western European (code page 437), such as {self.guessed[0]!r}: if that is wrong, "
                "unpack it with a program that lets you choose, and give the folder",
                stacklevel=1,
            )

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


def name_of(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """A member's name, and whether that is certain.

    The format knows UTF-8, marked so, and code page 437, as which zipfile reads all else. But macOS packs UTF-8 without
    the mark, others put it into an extra field, and Windows packs whatever its owner's language was written in.
    """
    if info.flag_bits & NAMED_IN_UTF8:
        return info.filename, True
    stored = info.orig_filename.encode("cp437").partition(b"\0")[0]
    try:
        return unicode_path(info.extra, stored) or stored.decode("utf-8"), True
    except UnicodeDecodeError:
        return info.filename, False


def unicode_path(extra: bytes, stored: bytes) -> str | None:
    """The name in an extra field, where there is one and it is of this name. Raises UnicodeDecodeError."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == UNICODE_PATH and content[:5] == struct.pack("<BI", 1, zlib.crc32(stored)):
            return content[5:].decode("utf-8")
    return None


def safe_path(name: str) -> PurePosixPath | None:
    """A member's name as a relative path, also where Windows packed it; None where it leads out of the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.parts:
        return None
    return path
