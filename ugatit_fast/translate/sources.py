"""What there is to translate: photos in files, folders, patterns, zip archives and on stdin; videos and animations.

what the user named -> sources (a photo or a clip each, not yet read) -> pixels, when their turn comes
"""

import glob
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath

from ugatit_fast.choices import KeepMetadata
from ugatit_fast.errors import InputError
from ugatit_fast.media.animation import ANIMATION_SUFFIXES, is_animated
from ugatit_fast.media.archives import Archive
from ugatit_fast.media.clip import ClipKind
from ugatit_fast.media.folders import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    UNREAD_VIDEO_SUFFIXES,
    files_below,
    is_visible,
    matches,
    natural_order,
    photos_below,
    warn_of_unread,
)
from ugatit_fast.media.images import ENCODERS, Decoded, Pixels, decode_photo, load_photo
from ugatit_fast.media.video import VIDEO_SUFFIXES
from ugatit_fast.media.video_writer import CONTAINERS

ZIP_SUFFIX = ".zip"
"""What an archive ends in, among inputs and as an output."""

PIPE = Path("-")
"""What stands for stdin among inputs, and for stdout as an output."""

MAX_PIPED_BYTES = 512 * 2**20
"""Largest photo that stdin may bring; it is held in memory."""


@dataclass(frozen=True)
class Source:
    """A photo to translate, and what its translation is to be called."""

    path: Path
    """The file; of a photo that is none, what messages call it."""
    relative: PurePath
    """Name below the output folder, its suffix already one that can be written (see `output_name`)."""

    def decode(self, at_least: tuple[int, int] | None = None, keep: KeepMetadata = "none") -> Decoded:
        """Decode the photo, as `images.load_photo` does."""
        return load_photo(self.path, at_least, keep=keep)

    def load(self) -> Pixels:
        """The pixels of the photo."""
        return self.decode().pixels

    @property
    def file(self) -> Path | None:
        """What must not be overwritten while there is still to be read from it."""
        return self.path


@dataclass(frozen=True)
class ClipSource(Source):
    """A video or an animation."""

    kind: ClipKind

    def decode(self, at_least: tuple[int, int] | None = None, keep: KeepMetadata = "none") -> Decoded:
        raise InputError(f"{self.path} is a {self.kind}, and only photos are translated here")


@dataclass(frozen=True)
class ArchivedSource(Source):
    """A photo in a zip archive."""

    archive: Archive
    member: PurePosixPath

    def decode(self, at_least: tuple[int, int] | None = None, keep: KeepMetadata = "none") -> Decoded:
        decoded = decode_photo(self.archive.read(self.member), str(self.path), at_least, keep=keep)
        decoded.warn_of_others(self.path)
        return decoded

    @property
    def file(self) -> Path:
        return Path(self.archive.name)


@dataclass(frozen=True)
class PipedSource(Source):
    """A photo that came through stdin."""

    content: bytes

    def decode(self, at_least: tuple[int, int] | None = None, keep: KeepMetadata = "none") -> Decoded:
        decoded = decode_photo(self.content, str(self.path), at_least, keep=keep)
        decoded.warn_of_others(self.path)
        return decoded

    @property
    def file(self) -> None:
        return None


def find_images(inputs: Sequence[str | Path], suffix: str | None = None) -> list[Source]:
    """Every photo and clip that `inputs` name, in the order given, and in natural order (2 before 10) within each.

    A file is taken whatever its suffix, except that one ending in .zip stands for the photos in it. A folder stands for
    the files in it and its subfolders that end in one of `IMAGE_SUFFIXES` or `VIDEO_SUFFIXES`, except hidden ones, and
    an archive for its photos; a pattern (`*`, `?`, `[]`, `**`) for the files it matches. All keep their subfolders in
    `Source.relative`. `-` is the photo on stdin, which is read at once. `suffix` asks for one output format, as in
    `output_name` and `clip_name`.

    Raises InputError for no inputs, a missing file, a folder, pattern or archive without photos, an archive that isn't
    safe, stdin that is a terminal or brings too much, and two photos with one output name.
    """
    if not inputs:
        raise InputError("there is nothing to translate; name photos, folders, patterns, archives, or - for stdin")
    found: dict[str, Source] = {}
    for given in inputs:
        for source in named_by(given, suffix):
            # normcase: on Windows A.png and a.png are one file.
            first = found.setdefault(os.path.normcase(source.relative), source)
            if first.path.resolve() != source.path.resolve():
                raise InputError(
                    f"{first.path} and {source.path} would both be written as {source.relative}; "
                    "rename one, or translate them into different output folders"
                )
    return list(found.values())


def output_name(relative: PurePath, suffix: str | None = None) -> PurePath:
    """The name a translation is written under: that of its photo.

    A photo in a format that isn't written (.gif, .bmp, .tif, .heic ...) becomes .png, as does one without an image
    suffix, whose whole name is kept: `scan.2019` gives `scan.2019.png`. With `suffix` (".jpg") all are written so.
    """
    if suffix is None:
        suffix = relative.suffix if relative.suffix.lower() in ENCODERS else ".png"
    name = relative.stem if relative.suffix.lower() in IMAGE_SUFFIXES else relative.name
    return relative.with_name(name + suffix)


def clip_name(relative: PurePath, kind: ClipKind, suffix: str | None = None) -> PurePath:
    """The name that a translated clip is written under: that of the clip.

    A video in a container that isn't written (`CONTAINERS`) becomes .mp4, and an animation whose name isn't one's .gif.
    An animation follows `suffix` where that can be animated; a video never does.
    """
    if kind == "video":
        return relative if relative.suffix.lower() in CONTAINERS else relative.with_suffix(".mp4")
    for wanted in (suffix, relative.suffix):
        if wanted and wanted.lower() in ANIMATION_SUFFIXES:
            return output_name(relative, wanted)
    return output_name(relative, ".gif")


def source_of(path: Path, relative: PurePath, suffix: str | None = None) -> Source:
    """The photo or clip in a file that is `relative` to its input. `suffix` as in `output_name` and `clip_name`."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return ClipSource(path, clip_name(relative, "video"), "video")
    if is_animated(path):
        return ClipSource(path, clip_name(relative, "animation", suffix), "animation")
    return Source(path, output_name(relative, suffix))


def as_named(sources: list[Source], out: Path) -> tuple[list[Source], Path]:
    """Where `out` is a file's name and there is one source: that source so named, and the folder that it goes into.

    Else both as they are. A folder that is there stays one, whatever its name.
    """
    if len(sources) != 1 or out.is_dir() or out.suffix.lower() not in (*ENCODERS, *ANIMATION_SUFFIXES, *CONTAINERS):
        return sources, out
    return [replace(sources[0], relative=PurePath(out.name))], out.parent


def named_by(given: str | Path, suffix: str | None) -> Iterator[Source]:
    """The photos behind one input."""
    if Path(given) == PIPE:
        yield piped(suffix)
        return
    for path, relative in files_named_by(given):
        if path.suffix.lower() == ZIP_SUFFIX:
            yield from archived(path, suffix)
        else:
            yield source_of(path, relative, suffix)


def files_named_by(given: str | Path) -> Iterator[tuple[Path, PurePath]]:
    """Each file behind one input, with its path relative to that input."""
    path = Path(given)
    if path.is_dir():
        files, base = photos_below(path, with_videos=True), path
        if not files:
            raise InputError(
                f"folder {path} holds no photos or videos; expected files ending in "
                f"{' '.join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)}"
            )
    elif path.exists():
        files, base = [path], path.parent
    elif glob.has_magic(str(given)):  # after exists(): browsers save files as `photo[1].jpg`
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
        pattern = str(path.relative_to(base))
        if "**" in pattern:  # glob would follow links round and round
            files = [file for file in files_below(base) if matches(file.relative_to(base).parts, Path(pattern).parts)]
        else:  # not Path.glob, whose `*` finds hidden files
            named = [base / name for name in glob.glob(pattern, root_dir=base)]  # noqa: PTH207
            files = sorted((file for file in named if file.is_file()), key=natural_order)
        if not files:
            raise InputError(f"no file matches {given}; check the pattern and the folder it starts from")
    else:
        raise InputError(f"{given} doesn't exist; check the name")
    for file in files:
        yield file, file.relative_to(base)


def archived(path: Path, suffix: str | None) -> Iterator[Source]:
    archive = Archive(path, str(path))
    archive.warn_of_guesses()
    members = [member for member in archive.members if is_visible(member, IMAGE_SUFFIXES)]
    left_out = UNREAD_SUFFIXES + UNREAD_VIDEO_SUFFIXES + VIDEO_SUFFIXES
    warn_of_unread(path, [member for member in archive.members if is_visible(member, left_out)])
    if not members:
        raise InputError(f"archive {path} holds no photos; expected files ending in {' '.join(IMAGE_SUFFIXES)}")
    for member in sorted(members, key=natural_order):
        yield ArchivedSource(path / member, output_name(PurePath(member), suffix), archive, member)


def piped(suffix: str | None) -> Source:
    if sys.stdin.isatty():
        raise InputError("- is the photo on stdin, and stdin is a terminal; pipe a photo into it, or name a file")
    content = sys.stdin.buffer.read(MAX_PIPED_BYTES + 1)
    if len(content) > MAX_PIPED_BYTES:
        raise InputError(f"stdin brings more than {MAX_PIPED_BYTES / 2**20:.0f} MiB; expected one photo")
    name = PurePath("stdin")
    return PipedSource(Path(name), output_name(name, suffix), content)
