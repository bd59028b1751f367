"""The data sets of the paper by name: fetched from where their authors put them, unpacked as training takes them.

    name -> published_data.toml -> zip file -> trainA, trainB, testA, testB

An archive is read with suspicion (`ugatit_fast.media.archives`), and a folder appears only once all of it is there.
"""

import shutil
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from ugatit_fast.errors import InputError
from ugatit_fast.files import make_folder, partial_name, write_errors
from ugatit_fast.media.archives import Archive
from ugatit_fast.media.folders import IMAGE_SUFFIXES
from ugatit_fast.progress import Phased, Say
from ugatit_fast.train.data import TEST_FOLDERS, TRAIN_FOLDERS
from ugatit_fast.weights.web import fetch_known

OTHER_DOMAIN = {"A": "B", "B": "A"}


@dataclass(frozen=True, kw_only=True)
class PublishedData:
    """One data set of the list."""

    page: str
    """Where its authors tell of it."""
    archive: str | None = None
    """Address of its zip file; None where only a browser gets it."""
    by_hand: str | None = None
    """The address for the browser, where there is no archive."""
    swapped: bool = False
    """Its domain A is the paper's B."""


def published_data() -> dict[str, PublishedData]:
    """The data sets by name."""
    text = files("ugatit_fast.train").joinpath("published_data.toml").read_text(encoding="utf-8")
    return {name: PublishedData(**entry) for name, entry in tomllib.loads(text).items()}


def get_data(
    name: str,
    folder: Path,
    archive: Path | None = None,
    *,
    say: Say = print,
    on_progress: Phased = lambda *_: None,
) -> None:
    """Fetch the data set `name`, or take its zip file `archive`, and unpack it as `folder`.

    say gets the address before it is fetched; on_progress gets the archive's name, the bytes so far and all of them,
    then "unpacked" and pictures. A download that breaks off goes on the next time, from the cache folder. Raises
    InputError for a name that isn't in the list, a folder that is there, an address that can't be fetched, and an
    archive without the pictures.
    """
    known = published_data()
    if name not in known:
        raise InputError(f"there is no data set {name!r}; expected one of {', '.join(known)}")
    if folder.exists():
        raise InputError(f"{folder} is there already; name a new folder")
    entry = known[name]
    make_folder(folder.absolute().parent)
    if archive is not None:
        unpack(Archive(archive, str(archive)), folder, entry.swapped, on_progress)
        return
    if entry.archive is None:
        raise InputError(
            f"{name} can only be downloaded in a browser: open {entry.by_hand}, then "
            f"ugatit-fast data get {name} {folder} --archive FILE.zip"
        )
    otherwise = f"see {entry.page} and give its zip file with --archive"
    fetched = fetch_known(entry.archive, otherwise, say=say, progress=on_progress)
    try:
        unpack(Archive(fetched, entry.archive), folder, entry.swapped, on_progress)
    finally:
        fetched.unlink()


def unpack(archive: Archive, folder: Path, swapped: bool, on_progress: Phased) -> None:
    """Write the pictures of an archive's four folders, wherever they are in it, to `folder`."""
    pictures = {member: place for member in archive.members if (place := place_of(member, swapped)) is not None}
    found = {place.parts[0] for place in pictures.values()}
    if missing := [name for name in TRAIN_FOLDERS if name not in found]:
        raise InputError(
            f"{archive.name} holds no pictures in a folder {' or '.join(missing)}; expected "
            f"{', '.join((*TRAIN_FOLDERS, *TEST_FOLDERS))}"
        )
    partial = partial_name(folder)
    with write_errors(folder):
        try:
            for done, (member, place) in enumerate(pictures.items(), 1):
                target = partial / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
                on_progress("unpacked", done, len(pictures))
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def place_of(member: PurePosixPath, swapped: bool) -> PurePosixPath | None:
    """Where a picture of an archive goes, such as trainA/1.jpg; None for what isn't a picture of one of the folders."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in member.parts)
    if hidden or member.suffix.lower() not in IMAGE_SUFFIXES:
        return None
    for depth, part in enumerate(member.parts[:-1]):
        if part in (*TRAIN_FOLDERS, *TEST_FOLDERS):
            name = part[:-1] + OTHER_DOMAIN[part[-1]] if swapped else part
            return PurePosixPath(name, *member.parts[depth + 1 :])
    return None
