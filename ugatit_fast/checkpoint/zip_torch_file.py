"""What `torch.save` writes since PyTorch 1.6: a zip archive of `data.pkl` and a file for each storage.

torch stores the members uncompressed and aligned, so that they can be mapped into memory. People unpack such a file,
often by having a browser or a file manager do it, and zip it again: then members are compressed, or begin anywhere,
which `torch.load(mmap=True)` takes for weights. Here each member is read as the archive says that it is stored; and
the folder that unpacking leaves is read like the archive.
"""

import zipfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.checkpoint.torch_pickle import Storage, TensorUnpickler
from ugatit_fast.errors import CheckpointError, first_line

PICKLE = "data.pkl"
ALIGNMENT_BYTES = 64
"""Of torch's own archives; what begins elsewhere isn't mapped but copied."""
FOLDERS_DOWN = 3
"""How far below a folder the unpacked archive may lie: NAME/archive/data.pkl."""
LOCAL_HEADER_BYTES = 30


class ZipTorchFile:
    """An archive in which `root` + data.pkl is the saved object."""

    def __init__(self, path: Path, root: str, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self.path, self.root, self.members = path, root, members

    @cached_property
    def mapped(self) -> np.ndarray:
        return np.memmap(self.path, np.uint8, mode="c")

    def content(self) -> object:
        """The saved object, every tensor in it a StoredTensor."""
        with zipfile.ZipFile(self.path) as archive:
            order = self.members.get(f"{self.root}byteorder")
            refuse_big_endian(archive.read(order) if order else b"")
            with archive.open(self.members[self.root + PICKLE]) as file:
                return TensorUnpickler(file, self).load()  # type: ignore[arg-type]

    def read(self, storage: Storage) -> Tensor:
        """Mapped where the member is stored as torch stores it, which needs no look at the directory; else into
        memory.
        """
        try:
            info = self.members[f"{self.root}data/{storage.key}"]
            if info.file_size != storage.size_bytes:
                raise ValueError(f"storage {storage.key} has {info.file_size} bytes, not {storage.size_bytes}")
            start = self.start_of(info)
            if info.compress_type == zipfile.ZIP_STORED and start % ALIGNMENT_BYTES == 0:
                return torch.from_numpy(self.mapped[start : start + info.file_size])
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
                return into_memory(file, info.file_size)  # type: ignore[arg-type]
        except (*ZIP_ERRORS, KeyError) as error:
            raise CheckpointError(why_unreadable(self.path, error)) from error

    def start_of(self, info: zipfile.ZipInfo) -> int:
        """Where the bytes of a member begin: behind its own header, whose fields may be longer than the directory's."""
        header = self.mapped[info.header_offset :][:LOCAL_HEADER_BYTES].tobytes()
        return info.header_offset + LOCAL_HEADER_BYTES + sum(np.frombuffer(header[26:30], "<u2").tolist())


class UnpackedTorchFile:
    """A folder that such an archive was unpacked to; `root` has data.pkl in it."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root

    def content(self) -> object:
        """The saved object, every tensor in it a StoredTensor."""
        order = self.root / "byteorder"
        refuse_big_endian(order.read_bytes() if order.is_file() else b"")
        with (self.root / PICKLE).open("rb") as file:
            return TensorUnpickler(file, self).load()

    def read(self, storage: Storage) -> Tensor:
        """Mapped."""
        file = self.root / "data" / str(storage.key)
        try:
            found = file.stat().st_size
            if found != storage.size_bytes:
                raise ValueError(f"{file} has {found} bytes, not {storage.size_bytes}")
            if not found:  # which can't be mapped
                return torch.empty(0, dtype=torch.uint8)
            return torch.from_numpy(np.memmap(file, np.uint8, mode="c"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path} isn't all there ({error}); unpack or copy it again") from error


ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, EOFError, RuntimeError)


def read_zip_torch_file(path: Path, verify: bool) -> object:
    """The saved object, or where there are several in the archive, each under its folder's name.

    verify: also compare every member's checksum. Raises CheckpointError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name_of(info): info for info in archive.infolist()}
            damaged = archive.testzip() if verify else None
    except ZIP_ERRORS as error:
        raise CheckpointError(why_unreadable(path, error)) from error
    if damaged:
        raise CheckpointError(f"{path} is damaged: {damaged} has a wrong checksum; copy or download it again")
    visible = [name for name in members if not name.startswith("__MACOSX/")]
    if any("/code/" in f"/{name}" for name in visible):
        raise CheckpointError(f"{path} is a TorchScript program, not weights; save the network's state_dict() instead")
    roots = [name.removesuffix(PICKLE) for name in visible if PurePosixPath(name).name == PICKLE]
    if not roots:
        arrays = all(name.endswith(".npy") for name in visible)  # NumPy's .npz
        what = "these are NumPy's arrays" if arrays else f"an archive without {PICKLE}"
        raise CheckpointError(f"{path} is no checkpoint: {what}; expected a file of PyTorch's")
    try:
        contents = {root.strip("/"): ZipTorchFile(path, root, members).content() for root in roots}
    except CheckpointError:
        raise
    except Exception as error:  # damaged pickles raise whatever their opcodes stumble over
        raise CheckpointError(why_unreadable(path, error)) from error
    return contents if len(contents) > 1 else next(iter(contents.values()))


def name_of(info: zipfile.ZipInfo) -> str:
    """A member's name; some of Windows' archivers write its own separators."""
    return info.filename.replace("\\", "/")


def find_unpacked(path: Path) -> Path | None:
    """The folder with the data.pkl of an unpacked archive: of that file itself, or in a folder; None without one.

    Raises CheckpointError where there are several.
    """
    if path.name == PICKLE and path.is_file() and is_root(path.parent):
        return path.parent
    level = [path] if path.is_dir() else []
    for _ in range(FOLDERS_DOWN):
        roots = [folder for folder in level if is_root(folder)]
        if len(roots) > 1:
            raise CheckpointError(
                f"{path} has several unpacked checkpoints in it: {', '.join(map(str, roots))}; name one of these"
            )
        if roots:
            return roots[0]
        level = [below for folder in level for below in subfolders(folder)]
    return None


def is_root(folder: Path) -> bool:
    return (folder / PICKLE).is_file() and ((folder / "data").is_dir() or (folder / "version").is_file())


def subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != "__MACOSX")
    except OSError:
        return []


def read_unpacked(path: Path, root: Path) -> object:
    """The saved object in a folder that `find_unpacked` found for `path`. Raises CheckpointError."""
    try:
        return UnpackedTorchFile(path, root).content()
    except CheckpointError:
        raise
    except Exception as error:  # damaged pickles raise whatever their opcodes stumble over
        raise CheckpointError(f"{path} isn't all there, or damaged ({error!r}); unpack or copy it again") from error


def into_memory(file: BinaryIO, size: int) -> Tensor:
    """All of a file that is said to be of that size, its checksum compared at its end."""
    data = torch.empty(size, dtype=torch.uint8)
    view, filled = memoryview(data.numpy().data), 0
    while filled < size and (count := file.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += count
    if filled < size or file.read(1):
        raise ValueError(f"a member isn't {size} bytes long")
    return data


def refuse_big_endian(order: bytes) -> None:
    if order.strip() not in (b"", b"little"):
        raise ValueError("it was saved on a big-endian machine")


def why_unreadable(path: Path, error: Exception) -> str:
    """What is the matter with an archive, and what to do."""
    said = first_line(error)
    if isinstance(error, NotImplementedError):
        return f"{path} is packed in a way that can't be read here ({said}); unpack it and name its folder"
    if "encrypted" in said:
        return f"{path} is packed with a password ({said}); unpack it and name its folder"
    return (
        f"{path} is truncated or damaged ({said}); copy or download it again "
        "(a TensorFlow checkpoint's archive: unpack it with 7-Zip, and name its folder)"
    )
