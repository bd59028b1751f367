"""TensorRT, or TensorRT for RTX: the bindings of both agree on all that is asked of them by way of a `Library`."""

from importlib import import_module
from typing import Any, Protocol

from ugatit_fast.backends.needs import LibraryPart


class Log(Protocol):
    """A logger for the library: keeps it quiet, and its last error for our messages."""

    last_error: str


class Library:
    """One of the two, imported."""

    def __init__(self, part: LibraryPart) -> None:
        """Raises ImportError where it isn't installed."""
        self.trt: Any = import_module(part.name)
        self.title = part.title

    def __str__(self) -> str:
        return f"{self.title} {self.trt.__version__}"

    def log(self) -> Log:
        """A new one; every object of the library lives no longer than the logger that it was given."""
        trt = self.trt

        class LastError(trt.ILogger):  # type: ignore[misc, name-defined]  # of which library, only now is known
            def __init__(self) -> None:
                super().__init__()
                self.last_error = ""

            def log(self, severity: Any, msg: str) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    self.last_error = " ".join(msg.split())

        return LastError()
