"""Every error this package raises on purpose.

    UgatitFastError
    ├── CheckpointError       weights that can't be read, or aren't a U-GAT-IT generator
    ├── ExportError           a graph that can't be turned into the engine asked for
    ├── EngineError           an engine file that is damaged, too new, or not for this machine
    ├── BackendUnavailable    a runtime that isn't installed or can't run here
    ├── TrainingError         a training run that can't go on; names the checkpoint to resume from
    └── InputError            a photo, batch, path or option the user gave (also a ValueError)
        ├── ClipError         a video or an animation that can't be translated (`ugatit_fast.media.clip`)
        └── PlaceError        a place that takes no more files: a full disk, a forbidden folder

A message says what was expected, what came, and what to do. The command line prints it as one line and exits with 1.
What other people's libraries raise while an engine is loaded or run becomes one of these in `backends/border.py`.
"""

import re

CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")
"""What breaks lines, or steers a terminal."""
PLACES_IN_SOURCES = ("Exception from src/", "Check '")


class UgatitFastError(Exception):
    """Base of every error raised on purpose by ugatit-fast."""

    def __str__(self) -> str:
        """One line, whatever a name in it holds: files and tensors may have names with line breaks and escapes."""
        return CONTROLS.sub(lambda control: repr(control[0])[1:-1], super().__str__())


class CheckpointError(UgatitFastError):
    """The weights can't be read, or aren't a U-GAT-IT generator."""


class ExportError(UgatitFastError):
    """The graph can't be turned into the engine that was asked for."""


class EngineError(UgatitFastError):
    """The engine file is damaged, too new, or doesn't fit this machine."""


class BackendUnavailable(UgatitFastError):
    """The runtime that was asked for isn't installed or can't run here."""


class TrainingError(UgatitFastError):
    """A training run can't go on; the message names the checkpoint to resume from."""


class InputError(UgatitFastError, ValueError):
    """A photo, batch, path or option the user gave can't be used."""


class PlaceError(InputError):
    """Nothing more can be written there: the disk is full, or the folder forbidden. The next file would fare alike."""


def first_line(error: BaseException) -> str:
    """What an error says first, for a message of one line; its class where it says nothing.

    OpenVINO says first where in its sources that was.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in lines if not line.startswith(PLACES_IN_SOURCES)), lines[0]).strip()
