"""What a clip is, a video or an animation: its frames, what reads it, and what writes it. Knows no file format."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol

from ugatit_fast.errors import InputError, UgatitFastError, first_line
from ugatit_fast.media.images import Pixels

ClipKind = Literal["video", "animation"]


class ClipError(InputError):
    """A video or an animation that can't be translated; others can."""


@contextmanager
def troubles_of(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a clip into a ClipError: FFmpeg and Pillow meet odd files with any error."""
    try:
        yield
    except UgatitFastError:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {first_line(error)}"
        raise ClipError(f"{path} can't be translated ({cause}); convert it to H.264 in .mp4 first") from error


@dataclass(frozen=True)
class Frame:
    """A frame as its file has it."""

    start: int
    """When it is shown, in units of its reader's `time_base`."""
    duration: int
    """How long, likewise."""
    pixels: Callable[[], Pixels]
    """Makes uint8 (h, w, 3), upright sRGB, of any one size in a clip. May be called on any thread, later."""


class Picture(NamedTuple):
    """A frame on its way to the file."""

    frame: Frame
    pixels: Pixels
    """uint8 (h, w, 3): what is to be shown."""


class ClipReader(Protocol):
    """What a clip is read with; a context manager. Once made, it is used by one thread at a time."""

    path: Path
    time_base: Fraction
    """Seconds."""
    rate: Fraction
    """Frames a second, about."""
    plays: int
    """How often it is shown; 0 is for ever."""
    tags: Mapping[str, str]
    """What it says about itself, by FFmpeg's names."""
    sound: Path | None
    """What has its sound; None for silence."""
    expected: int
    """Frames, as far as the file tells; 0 where it doesn't."""
    broken: int
    """Frames so far that were left out because they are damaged."""

    def frames(self) -> Iterator[Frame]:
        """Those that can be decoded, with starts that increase. Raises ClipError."""

    def __enter__(self) -> "ClipReader": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ClipWriter(Protocol):
    """What a clip is written with."""

    @property
    def finished(self) -> int:
        """Pictures that are there from an earlier run of the same settings, and needn't come again."""

    def skip(self, frame: Frame) -> None:
        """Be told of the frame of such a picture."""

    def write(self, pictures: Iterator[Picture]) -> None:
        """Write the file: all of it appears, or none.

        What `pictures` raises ends it. Raises ClipError where the format can't hold this clip, InputError where
        the file can't be written.
        """
