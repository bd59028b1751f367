"""Archives of weights: zip and tar, read with suspicion, and unpacked as far as is needed.

    archive -> the names in it -> the one checkpoint among them -> its files, under their own names, in a folder

Zip files are read member by member without `zipfile.open`, for the authors' own archive of selfie2anime is one that a
Mac packed: it is larger than 4 GiB and doesn't say so, and its places and sizes are what is left of them in 32 bits.
"""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import IO, Protocol

from ugatit_fast.errors import CheckpointError, UgatitFastError, first_line
from ugatit_fast.files import make_folder, written_whole
from ugatit_fast.media.archives import ENCRYPTED, MAX_MEMBERS, safe_path
from ugatit_fast.progress import Phased
from ugatit_fast.weights.choice import checkpoint_among

MAX_BYTES = 64 * 2**30
"""Most that is unpacked of one file; the authors' checkpoint of six networks with its optimiser has 8 GB."""
MAX_RATIO = 100
"""Most that a byte of an archive may unpack to, on average; weights hardly shrink."""
HARMLESS_BYTES = 64 * 2**20
"""So much may be unpacked whatever the ratio is."""
CHUNK_BYTES = 2**20
WRAP = 2**32
"""Where a zip file without ZIP64 begins to count from 0 again."""
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""signature, version, flags, method, time, date, CRC-32, sizes packed and unpacked, lengths of name and extra field."""
TORCH_PICKLE = "data.pkl"
"""A file of PyTorch is a zip file as well, with such a member, in a folder or not."""
NUMPY_ARRAY = ".npy"
"""So is NumPy's .npz, with nothing but such members."""


class Members(Protocol):
    """What is in an archive."""

    names: list[str]
    """Of the files in it."""

    def sizes(self, name: str) -> int:
        """Bytes of a file, as the archive says."""

    def content(self, name: str) -> Iterator[bytes]:
        """A file in chunks. Raises what its library raises, and CheckpointError."""


def is_archive(file: Path) -> bool:
    """Whether a file is a zip or tar file of other files, by its content, and no checkpoint by itself."""
    try:
        with file.open("rb") as opened:
            start = opened.read(512)
        if start[:2] == b"PK":
            names = [info.filename.replace("\\", "/") for info in zipfile.ZipFile(file).infolist()]
            of_torch = any(name.rpartition("/")[2] == TORCH_PICKLE for name in names)
            return not of_torch and not (names and all(name.endswith(NUMPY_ARRAY) for name in names))
        return start[257:262] == b"ustar" or (start[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7") and tarfile.is_tarfile(file))
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def unpack(archive: Path, folder: Path, progress: Phased) -> Path:
    """Unpack the one checkpoint of an archive into `folder`, unless it is there already. The file that stands for it.

    progress: called with "unpacking", bytes done and bytes in all of each file.
    Raises CheckpointError where the archive is damaged or encrypted, holds no checkpoint or several, names files that
    lie outside of it, or would unpack to more than weights do; InputError where `folder` can't be written.
    """
    with reading_errors(archive), opened(archive) as members:
        if len(members.names) > MAX_MEMBERS:
            raise CheckpointError(f"{archive} holds {len(members.names)} files; expected at most {MAX_MEMBERS}")
        for name in members.names:
            if safe_path(name) is None:
                raise CheckpointError(f"{archive} holds a file that lies outside it, {name!r}; don't trust it")
        wanted = checkpoint_among(members.names, str(archive), "unpack it and name one")
        if len(set(members.names)) < len(members.names):
            raise CheckpointError(f"{archive} holds two files of one name; pack it again")
        missing = [name for name in wanted if not (folder / name).is_file()]
        make_folder(folder)
        check_space(archive, folder, sum(members.sizes(name) for name in missing))
        for name in reversed(missing):  # the one that stands for the others last
            write(archive, members, name, folder / name, progress)
    return folder / wanted[0]


def write(archive: Path, members: Members, name: str, target: Path, progress: Phased) -> None:
    """Unpack one file, which appears when all of it is there."""
    make_folder(target.parent)
    most = max(HARMLESS_BYTES, min(MAX_BYTES, MAX_RATIO * archive.stat().st_size))
    total = members.sizes(name)
    done = 0
    with written_whole(target) as partial, partial.open("wb") as file:
        for chunk in members.content(name):
            done += len(chunk)
            if done > most:
                raise CheckpointError(f"{archive} unpacks to far more than weights do; don't trust it")
            file.write(chunk)
            progress("unpacking", done, max(done, total))


def check_space(archive: Path, folder: Path, size_bytes: int) -> None:
    free = disk_usage(folder).free
    if size_bytes > free:
        raise CheckpointError(
            f"{archive} unpacks to {size_bytes / 1e9:.1f} GB; {folder} has {free / 1e9:.1f} GB left: free some space"
        )


@contextmanager
def reading_errors(archive: Path) -> Iterator[None]:
    """Turn what the libraries raise about a damaged archive into a CheckpointError."""
    try:
        yield
    except UgatitFastError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, struct.error, ValueError) as error:
        raise CheckpointError(f"{archive} is damaged ({first_line(error)}); download it again") from error


@contextmanager
def opened(archive: Path) -> Iterator[Members]:
    with archive.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            yield ZipMembers(archive, file)
        else:
            yield TarMembers(archive, file)


# Zip --------------------------------------------------------------------------------------------------------------


class ZipMembers:
    """The files of a zip archive."""

    def __init__(self, archive: Path, file: IO[bytes]) -> None:
        self.archive, self.file = archive, file
        infos = [info for info in zipfile.ZipFile(file).infolist() if not info.is_dir()]
        self.names = [info.filename for info in infos]
        self.infos = dict(zip(self.names, infos, strict=True))
        self.size_bytes = archive.stat().st_size

    def sizes(self, name: str) -> int:
        return self.infos[name].file_size

    def content(self, name: str) -> Iterator[bytes]:
        info = self.infos[name]
        if info.flag_bits & ENCRYPTED:
            raise CheckpointError(f"{self.archive} is encrypted; unpack it with its password, and give the folder")
        self.file.seek(self.beginning(info))
        if info.compress_type == zipfile.ZIP_DEFLATED:
            chunks = inflated(self.file)
        elif info.compress_type == zipfile.ZIP_STORED:
            chunks = stored(self.file, info.file_size)
        else:
            raise CheckpointError(f"{self.archive} is packed by a method that isn't read; pack it again with deflate")
        crc, size = 0, 0
        for chunk in chunks:
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            yield chunk
        if crc != info.CRC or size % WRAP != info.file_size % WRAP:
            raise zipfile.BadZipFile(f"{name} differs from its checksum")

    def beginning(self, info: zipfile.ZipInfo) -> int:
        """Where the data of a member begins: behind a header with its name, at the place that is said, or a multiple
        of `WRAP` bytes further.
        """
        places = (info.header_offset, *range(info.header_offset % WRAP, self.size_bytes, WRAP))
        for place in places:
            self.file.seek(place)
            header = self.file.read(LOCAL_HEADER.size)
            if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
                continue
            *_, name_length, extra_length = LOCAL_HEADER.unpack(header)
            if self.file.read(name_length) == self.as_packed(info):
                return place + LOCAL_HEADER.size + name_length + extra_length
        raise zipfile.BadZipFile(f"{info.filename} is not where it should be")

    def as_packed(self, info: zipfile.ZipInfo) -> bytes:
        """A member's name as it stands in the archive."""
        return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def inflated(file: IO[bytes]) -> Iterator[bytes]:
    """What a deflated stream unpacks to, to its own end."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflate.eof:
        packed = inflate.unconsumed_tail or file.read(CHUNK_BYTES)
        if not packed:
            raise EOFError("it ends too soon")
        yield inflate.decompress(packed, CHUNK_BYTES)


def stored(file: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    while size_bytes:
        chunk = file.read(min(CHUNK_BYTES, size_bytes))
        if not chunk:
            raise EOFError("it ends too soon")
        size_bytes -= len(chunk)
        yield chunk


# Tar --------------------------------------------------------------------------------------------------------------


class TarMembers:
    """The files of a tar archive, compressed or not. Links are none."""

    def __init__(self, archive: Path, file: IO[bytes]) -> None:
        self.tar = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115 - whoever opened `file` closes it
        self.infos: dict[str, tarfile.TarInfo] = {}
        self.names: list[str] = []
        unpacked = 0
        for info in self.tar:
            unpacked += info.size
            if unpacked > max(HARMLESS_BYTES, MAX_RATIO * archive.stat().st_size):
                raise CheckpointError(f"{archive} unpacks to far more than weights do; don't trust it")
            if info.isreg():
                name = info.name.removeprefix("./")
                self.names.append(name)
                self.infos[name] = info

    def sizes(self, name: str) -> int:
        return self.infos[name].size

    def content(self, name: str) -> Iterator[bytes]:
        file = self.tar.extractfile(self.infos[name])
        assert file is not None  # of a regular file there is always one
        return stored(file, self.infos[name].size)
