"""Weights as people name them -> a checkpoint on this machine.

a path, a name of the list, hf://..., https://... -> fetched: a file or a folder here
-> unpacked: the one checkpoint in it, where it is an archive or a folder of many files
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ugatit_fast.assets import SHIPPED_PAIR, shipped_weights
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Phased, Say
from ugatit_fast.tensor_bundle import looks_like_bundle
from ugatit_fast.tensor_bundle.locate import FOLDERS_DOWN, find_prefix, index_file, leads_up
from ugatit_fast.weights import hub, web
from ugatit_fast.weights.archives import is_archive, unpack
from ugatit_fast.weights.choice import SINGLE_SUFFIXES, checkpoint_among
from ugatit_fast.weights.known import known_weights, refuse_to_fetch


class Located(NamedTuple):
    """Where weights are."""

    path: Path
    in_cache: bool
    """Whether that is a folder of a cache or of the package, where nothing that people make belongs."""


def locate(
    weights: str | Path,
    direction: Direction | None = None,
    *,
    offline: bool = False,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Located:
    """`fetched`, then `unpacked`."""
    return unpacked(fetched(weights, direction, offline=offline, say=say, progress=progress), progress)


def fetched(
    weights: str | Path,
    direction: Direction | None = None,
    *,
    offline: bool = False,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Located:
    """The file or folder that `weights` name, fetched unless it is here.

    weights: a path, which wins where there is such a file; a name of `known_weights`; hf://ORG/REPO[@REVISION][/FILE];
        or https://..., of a checkpoint's file or an archive.
    direction: which of the shipped pair, whose generators have a file each.
    offline: use only what was fetched before.
    say, progress: called with a line, and with a phase, its bytes done and its bytes in all, while a file is fetched.
    Raises CheckpointError for what can't be fetched, and for a name that nobody knows.
    """
    text = str(weights)
    if hub.is_reference(text):
        return Located(hub.fetch(text, offline), in_cache=True)
    if web.is_address(text):
        return Located(web.fetch(text, offline=offline, say=say, progress=progress), in_cache=True)
    path = Path(text)
    if path.exists() or looks_like_bundle(path):
        return Located(path, in_cache=False)
    if text == SHIPPED_PAIR:
        return Located(shipped_weights(direction or "A2B"), in_cache=True)
    entry = known_weights().get(text)
    if entry is None:
        if path.name == text and not path.suffix:
            raise CheckpointError(f"there is no file {text}, and no weights of that name; see ugatit-fast weights")
        # Said before anything is imported that opens weights: nobody should install PyTorch for a name mistyped.
        raise CheckpointError(f"cannot read the checkpoint {path}: No such file or directory; check the path")
    if entry.reference is None:
        raise refuse_to_fetch(text, entry)
    if hub.is_reference(entry.reference):
        return Located(hub.fetch(entry.reference, offline), in_cache=True)
    file = web.fetch(
        entry.reference,
        offline=offline,
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        say=say,
        progress=progress,
    )
    return Located(file, in_cache=True)


def unpacked(found: Located, progress: Phased = lambda *_: None) -> Located:
    """The checkpoint in what was found; of an archive, as much as is needed is unpacked into the cache.

    Raises CheckpointError where an archive or a folder holds none, or several.
    """
    path = found.path
    if path.is_dir() and not looks_like_bundle(path):
        names = [file.relative_to(path).as_posix() for file in checkpoints_below(path)]
        if names:
            return Located(path / checkpoint_among(names, str(path), "name one")[0], found.in_cache)
    if path.is_file() and is_archive(path):
        return Located(unpack(path, unpacking_folder(path), progress), in_cache=True)
    return found


def checkpoints_below(folder: Path) -> Iterator[Path]:
    """Files with a checkpoint's suffix in a folder and a few folders down."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not leads_up(Path(parent, name))]
        if len(Path(parent).relative_to(folder).parts) >= FOLDERS_DOWN:
            folders.clear()
        yield from (Path(parent, name) for name in names if Path(name).suffix.lower() in SINGLE_SUFFIXES)


def unpacking_folder(archive: Path) -> Path:
    """Where the checkpoint of an archive goes; another folder once the archive changes."""
    return cache_folder() / "unpacked" / stamp(archive)[:16]


def stamp(path: Path) -> str:
    """Tells a file from what it was before and from others, without reading it; a TensorFlow checkpoint by its index.

    Raises CheckpointError where it can't be looked at.
    """
    if looks_like_bundle(path):
        path = index_file(find_prefix(path))
    try:
        facts = path.stat()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}; check the path") from error
    seen = f"{path.resolve()}\n{facts.st_size}\n{facts.st_mtime_ns}"
    return hashlib.sha256(seen.encode(errors="surrogateescape")).hexdigest()
