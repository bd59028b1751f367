"""Files written whole or not at all, and what ours say about themselves.

A file of ours is an engine or a generator, and carries its description as JSON: in the header of a safetensors file, or
in the `metadata_props` of an ONNX file. What a description says beyond its kind is for those who read that kind.
"""

import errno
import io
import json
import os
import re
import secrets
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from ugatit_fast.errors import InputError, PlaceError, UgatitFastError

METADATA_KEY = "ugatit_fast"
"""Where safetensors headers and ONNX metadata hold our JSON description."""
STYLE_ENCODER = "style_encoder"
"""Where engines that draw in styles hold what sees one in a picture: the beginning of tensors' names in safetensors
files, a key of ONNX metadata.
"""
OwnKind = Literal["engine", "generator"]
USES: dict[OwnKind, tuple[str, str]] = {
    "engine": ("an engine", "it can be run as it is: ugatit-fast translate"),
    "generator": ("a checkpoint", "build an engine from it: ugatit-fast build-engine"),
}
"""What a file of ours is called, and what it is good for."""
SHARED_SUFFIX = ".safetensors"
"""Of engines and of generators: what is in such a file only its description tells."""
METADATA_PROPS = 14
"""Field of ModelProto (onnx/onnx.proto)."""
WIRE_VARINT, WIRE_LENGTH_DELIMITED = 0, 2
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` when the block ends well.

    If the block or the renaming fails, whatever was at `path` stays and the temporary file goes. An OSError (a full
    disk, a folder that can't be written) becomes an InputError that names the file, as in `write_errors`.
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
            probe = partial_name(folder / path.name)
            probe.touch()
            mode = probe.stat().st_mode
            probe.unlink()
            yield folder / path.name
            for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
                file.chmod(mode)  # see `written_whole`
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


@contextmanager
def safetensors_errors() -> Iterator[None]:
    """Turn what safetensors raises where a file can't be written, which says why as text only, into that OSError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise OSError(str(error)) from error
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def refuse_special(path: Path) -> None:
    """Raises InputError for a pipe, a socket or a device: opening one may wait for ever. A missing file is none."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is a pipe or a device, not a file; send a photo through stdin instead: - < {path}")


def make_folder(path: Path) -> None:
    """Make a folder with those above it, unless it is there. Raises InputError."""
    with write_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def partial_name(path: Path) -> Path:
    """A hidden name beside `path` that nobody else uses; short, since names have a greatest length."""
    return path.with_name(f".{secrets.token_hex(4)}.partial")


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into an InputError that says what couldn't be written and what to do.

    A PlaceError where nothing else could be written there either.
    """
    try:
        yield
    except OSError as error:
        kind = PlaceError if error.errno in FULL + FORBIDDEN else InputError
        raise kind(f"cannot write {path}: {cause_of(error)}") from error


def cause_of(error: OSError) -> str:
    """What went wrong and what to do, in a few words."""
    if error.errno in FULL:
        return "the disk is full; free some space or choose another place"
    if error.errno in FORBIDDEN:
        return "no permission to write there; choose another place"
    if error.errno == errno.ENOENT:
        return "the folder does not exist; make it first"
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        return f"{error.strerror}; choose another name"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long for this disk; choose a shorter one"
    return error.strerror or str(error)


def is_text(path: Path) -> bool:
    """Whether a name can be given to libraries that take text; on Linux names are bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


# What our files say about themselves ------------------------------------------------------------------------------


def description_of(path: Path) -> str | None:
    """The description in a file, told by content; None where the file isn't ours. Reads little of it.

    Raises OSError, and ValueError with a sentence about a safetensors file that is damaged.
    """
    with path.open("rb") as file:
        start = file.read(9)
    return description_in_safetensors(path) if start[8:9] == b"{" else description_in_onnx(path)


def own_kind(path: Path) -> OwnKind | None:
    """Which file of ours this is; None where it isn't ours, or can't be read."""
    try:
        kind = json.loads(description_of(path) or "{}").get("kind")
    except (OSError, ValueError, AttributeError):
        return None
    return next((known for known in USES if known == kind), None)


def parse_description(path: Path, text: str, wanted: OwnKind, refuse: type[UgatitFastError]) -> dict[str, Any]:
    """The JSON of a description, of the kind that is wanted; any other is refused, with what it's good for.

    Raises `refuse`, and ValueError, KeyError or TypeError for a damaged one.
    """
    document: dict[str, Any] = json.loads(text)
    kind = document["kind"]
    if kind != wanted:
        name, use = USES[kind]
        raise refuse(f"{path} is {name}, not {USES[wanted][0]}; {use} {path}")
    return document


def description_in_safetensors(path: Path) -> str | None:
    """Our metadata in a safetensors header (eight bytes of length, JSON), or None."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size - 8:
            raise ValueError(f"is truncated: its header is {length} bytes long")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"has a damaged header ({error})") from error
    metadata = header.get("__metadata__", {})
    return metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None


def description_in_onnx(path: Path, wanted: str = METADATA_KEY) -> str | None:
    """An entry of a ModelProto's metadata_props, ours, or None where there isn't one or this is no ONNX file.

    Skips the graph unread, so that a gigabyte of weights costs nothing.
    """
    with path.open("rb") as file:
        for field, length in protobuf_fields(file, path.stat().st_size):
            if field != METADATA_PROPS:
                continue
            payload = file.read(length)
            entry = io.BytesIO(payload)
            texts = {key: entry.read(size).decode(errors="replace") for key, size in protobuf_fields(entry, length)}
            if texts.get(1) == wanted:
                return texts.get(2)
    return None


def protobuf_fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Field number and length of each length-delimited field of a protobuf message, the file standing at its payload.

    Ends quietly at whatever isn't protobuf. (https://protobuf.dev/programming-guides/encoding)
    """
    while file.tell() < end:
        tag = read_varint(file)
        field, wire = tag >> 3, tag & 7
        if wire == WIRE_VARINT:
            read_varint(file)
        elif wire == WIRE_LENGTH_DELIMITED:
            length = read_varint(file)
            payload = file.tell()
            if payload + length > end:
                return
            yield field, length
            file.seek(payload + length)
        else:
            return


def read_varint(file: BinaryIO) -> int:
    """Seven bits a byte, lowest first, at most ten bytes; the end of the file ends the number."""
    value = 0
    for i in range(10):
        byte = file.read(1)
        value |= (byte[0] & 0x7F) << (7 * i) if byte else 0
        if not byte or byte[0] < 0x80:
            break
    return value
