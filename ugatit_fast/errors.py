"""Every error this package raises on purpose.

    UgatitFastError
    ├── CheckpointError       weights that can't be read, or aren't a U-GAT-IT generator
    ├── ExportError           a graph that can't be turned into the engine asked for
    ├── EngineError           an engine file that is damaged, too new, or not for this machine
    ├── BackendUnavailable    a runtime that isn't installed or can't run here
    ├── TrainingError         a training run that can't go on; names the checkpoint to resume from
    └── InputError            a photo, batch, path or option the user gave (also a ValueError)

A message says what was expected, what came, and what to do. The command line prints it as one line and exits with 1.
"""


class UgatitFastError(Exception):
    """Base of every error raised on purpose by ugatit-fast."""


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


def first_line(error: BaseException) -> str:
    """What an error of another library says, as far as one line goes; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
