"""ONNX Runtime's execution providers, started instead of listed.

`get_available_providers` says what this ONNX Runtime was built with. Whether a provider's libraries are here, fit the
driver and find a GPU shows only when it runs something; and a session that can't have the provider asked for takes the
CPU and says so in a log at most. So each is tried on a network of one convolution, with every way round closed.
"""

import ctypes
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType

import numpy as np

from ugatit_fast.backends.border import trouble_of
from ugatit_fast.errors import first_line

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"
WARNINGS, ERRORS, NOTHING = 2, 3, 4
"""What ONNX Runtime prints; the first is its default."""
ONE_VALUE = b"\x08\x01\x12\x10" + b"\n\x02\x08\x01" * 4
"""The type of a float32 tensor (1, 1, 1, 1), as ONNX writes it."""
PROBE = (
    b'\x08\x07:N\n\x0f\n\x01x\n\x01x\x12\x01y"\x04Conv\x12\x01g'
    b"Z\x1b\n\x01x\x12\x16\n\x14" + ONE_VALUE + b"b\x1b\n\x01y\x12\x16\n\x14" + ONE_VALUE + b"B\x04\n\x00\x10\x0b"
)
"""An ONNX file, opset 11: y = Conv(x, x), both of one value. A convolution, since it wants libraries of its own."""


def refusal(ort: ModuleType, provider: str) -> str | None:
    """Why a provider can't run anything here, in ONNX Runtime's own words; None where it can."""
    said = preload(ort) if provider == CUDA_PROVIDER else None
    options = ort.SessionOptions()
    options.log_severity_level = NOTHING
    three = np.full((1, 1, 1, 1), 3, np.float32)
    try:
        with silent(ort):  # what it would print is what is returned
            session = ort.InferenceSession(PROBE, options, providers=[provider], enable_fallback=0)
        if provider not in session.get_providers():
            return said or loader_error(ort, provider) or "it gives no reason"
        (nine,) = session.run(None, {"x": three})
    except Exception as error:
        if trouble_of(error) is None and not isinstance(error, (RuntimeError, ValueError)):
            raise
        return said or first_line(error)
    return None if nine.item() == 9 else f"it takes 3 x 3 for {nine.item():g}"


def preload(ort: ModuleType) -> str | None:
    """Load the CUDA libraries that pip installs, which ONNX Runtime finds no other way. What it said is missing."""
    if not hasattr(ort, "preload_dlls"):  # before 1.21
        return None
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(RuntimeError):
        ort.preload_dlls()
    missing = (line.partition(": ")[2] for line in printed.getvalue().splitlines() if line.startswith("Failed to load"))
    return next(missing, None)


@contextmanager
def silent(ort: ModuleType) -> Iterator[None]:
    """What it says outside any session goes to stderr unless it is told not to."""
    ort.set_default_logger_severity(NOTHING)
    try:
        yield
    finally:
        ort.set_default_logger_severity(WARNINGS)


def loader_error(ort: ModuleType, provider: str) -> str | None:
    """What the system says to a provider's library: which other library it can't find."""
    name = f"onnxruntime_providers_{provider.removesuffix('ExecutionProvider').lower()}"
    name = {"win32": f"{name}.dll", "darwin": f"lib{name}.dylib"}.get(sys.platform, f"lib{name}.so")
    library = Path(str(ort.__file__)).parent / "capi" / name
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return first_line(error)
    return None
