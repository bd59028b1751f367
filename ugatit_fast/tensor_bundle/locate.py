"""From whatever names a TensorFlow checkpoint (a file of it, a folder, an unpacked archive) to its prefix."""

import os
import re
from pathlib import Path

from ugatit_fast.errors import CheckpointError

FOLDERS_DOWN = 3  # archives unpack to NAME/checkpoint/MODEL_DIR/
LISTED = 6

MEMBER = re.compile(r"(?P<prefix>.+)\.(index|meta|data-[0-9]{5,}-of-[0-9]{5,})", re.DOTALL)
NUMBERED = re.compile(r"(?P<stem>.*)-(?P<step>[0-9]+)(\.ckpt)?", re.DOTALL)
"""`UGATIT.model-1000000`, and `Hayao-64.ckpt`."""


def find_prefix(path: Path) -> Path:
    """The prefix of the checkpoint that `path` names, `PREFIX` when its files are `PREFIX.index` and so on.

    path: the prefix itself, any file of the checkpoint, or a folder that holds it, up to three folders down. Of several
    steps of one model the newest is taken, by the number after the last `-`; the text file `checkpoint`, which people
    lose and which goes stale, plays no part. Raises CheckpointError when there is no checkpoint or several models.
    """
    try:
        if index_file(path).is_file():
            return path
        if (folder := folder_of(path)) is not None:
            return newest_of(folder, prefixes_in(folder))
        member = MEMBER.fullmatch(path.name)
        exists = path.exists()
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror}); check its name and permissions") from error
    if member is None:
        raise CheckpointError(
            f"{path}: expected a TensorFlow checkpoint (its prefix, .index or .data file, or its folder), "
            f"found {'a file of another kind' if exists else 'no such file or folder'}; check the path"
        )
    prefix = path.with_name(member["prefix"])
    if not index_file(prefix).is_file():
        raise CheckpointError(
            f"{index_file(prefix)}: expected the checkpoint's index, found no such file; copy it beside {path.name}"
        )
    return prefix


def looks_like_bundle(path: Path) -> bool:
    """Whether `find_prefix` is the one to ask about `path`: by the names of files alone, nothing is opened."""
    try:
        if index_file(path).is_file() or (MEMBER.fullmatch(path.name) and path.is_file()):
            return True
        folder = folder_of(path)
        return folder is not None and bool(prefixes_in(folder))
    except OSError:
        return False


def index_file(prefix: Path) -> Path:
    """`PREFIX.index`; with_suffix would take a step's dot or a model's for a suffix."""
    return Path(f"{prefix}.index")


def folder_of(path: Path) -> Path | None:
    """The folder to search: the path itself, or that of the text file `checkpoint` beside the checkpoint."""
    if path.name == "checkpoint" and path.is_file():
        return path.parent
    return path if path.is_dir() else None


def prefixes_in(folder: Path) -> list[Path]:
    """Prefixes in the folder itself or, when there are none, in those below it. Sorted."""
    prefixes: list[Path] = []
    level = [folder]
    for depth in range(FOLDERS_DOWN + 1):
        below: list[Path] = []
        for place in level:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name == "__MACOSX":  # `._name` are a Mac's copies of nothing
                        continue
                    if entry.is_dir():
                        if leads_up(place / entry.name):
                            continue
                        below.append(place / entry.name)
                    elif len(entry.name) > len(".index") and entry.name.endswith(".index"):
                        prefixes.append(place / entry.name.removesuffix(".index"))
        if depth == 0 and prefixes:
            break
        level = below
    return sorted(prefixes)


def leads_up(link: Path) -> bool:
    """Whether a link leads back to a folder that it is in."""
    if not link.is_symlink():
        return False
    target = link.resolve()
    return target == link.parent.resolve() or target in link.parent.resolve().parents


def newest_of(folder: Path, prefixes: list[Path]) -> Path:
    models: dict[tuple[Path, str, bool], tuple[int, Path]] = {}
    for prefix in prefixes:
        numbered = NUMBERED.fullmatch(prefix.name)
        stem, step = (numbered["stem"], int(numbered["step"])) if numbered else (prefix.name, 0)
        model = (prefix.parent, stem, numbered is not None)
        models[model] = max(models.get(model, (-1, prefix)), (step, prefix))
    if not models:
        raise CheckpointError(
            f"{folder}: expected a TensorFlow checkpoint (NAME.index beside NAME.data-00000-of-00001) in it or up to "
            f"{FOLDERS_DOWN} folders down, found none; pass its folder, and unpack the archive again if a file is lost"
        )
    if len(models) > 1:
        newest = [str(prefix.relative_to(folder)) for _, prefix in models.values()]
        listed = ", ".join(newest[:LISTED]) + (", ..." if len(newest) > LISTED else "")
        raise CheckpointError(
            f"{folder}: expected one model, found {len(models)}: {listed}; pass the path of the one you want"
        )
    [(_, prefix)] = models.values()
    return prefix
