"""The one checkpoint among many files, by their names: in a folder, an archive, a repository."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle.locate import MEMBER, newest_of

SINGLE_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
"""Checkpoints of one file, in any case of letters: pytorch_model.bin, LAST.PT."""
INDEX = ".index"
"""Of TensorFlow's, which have others beside it."""
LISTED = 6


def checkpoint_among(names: Iterable[str], where: str, cure: str) -> list[str]:
    """The files of the one checkpoint among `names`, the file that stands for it first.

    names: paths with slashes, of files. where: what messages call the place. cure: what to do where there are several.
    Of several steps of one TensorFlow model the newest is taken. Hidden files and a Mac's copies of nothing don't
    count. Raises CheckpointError where there is none, or more than one.
    """
    visible = [name for name in names if is_visible(PurePosixPath(name))]
    single = [name for name in visible if PurePosixPath(name).suffix.lower() in SINGLE_SUFFIXES]
    prefixes = [name.removesuffix(INDEX) for name in visible if name.endswith(INDEX)]
    if prefixes and not single:
        root = Path(where)
        return bundle(newest_of(root, [root / prefix for prefix in prefixes]).relative_to(root).as_posix(), visible)
    if len(single) == 1 and not prefixes:
        return single
    found = sorted(single + [f"{prefix}{INDEX}" for prefix in prefixes])
    if not found:
        raise CheckpointError(
            f"{where} holds no checkpoint; expected a {', '.join(SINGLE_SUFFIXES)} file in it, or TensorFlow's {INDEX}"
        )
    listed = ", ".join(found[:LISTED]) + (", ..." if len(found) > LISTED else "")
    raise CheckpointError(f"{where} has {len(found)} files that could be the checkpoint ({listed}); {cure}")


def bundle(prefix: str, names: Sequence[str]) -> list[str]:
    """The index and the data files of a TensorFlow checkpoint; not its graph, which says nothing about weights."""
    parts = [name for name in names if (part := MEMBER.fullmatch(name)) and part["prefix"] == prefix]
    return [f"{prefix}{INDEX}", *(name for name in parts if not name.endswith((INDEX, ".meta")))]


def is_visible(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
