"""Whether this machine can run a TensorRT engine: told from what the file says of itself, before TensorRT sees it."""

from importlib.util import find_spec
from pathlib import Path

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.choices import Device
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError

OLDEST = (10, 16)
"""First of the versions whose parser finds our plugins, reads lists of numbers, and that the tests hold us to."""


def why_unavailable() -> str | None:
    """Why this machine can't build or run TensorRT engines, and what to do; None where it can."""
    if not find_spec("tensorrt"):
        return 'TensorRT is not installed; pip install "ugatit-fast[tensorrt]"'
    try:
        import tensorrt
    except ImportError as error:
        return f"TensorRT can't be loaded ({error}); see `ugatit-fast doctor`"
    if version_of(tensorrt.__version__) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return f'TensorRT {tensorrt.__version__} is older than {wanted}; pip install -U "ugatit-fast[tensorrt]"'
    try:
        open_gpu()
    except BackendUnavailable as error:
        return str(error)
    return None


def version_of(text: str) -> tuple[int, int]:
    """Major and minor."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def require_tensorrt(path: Path, device: Device) -> None:
    """BackendUnavailable where nothing of the kind runs here."""
    reason = "--device cpu can't run it; build an onnxruntime engine" if device == "cpu" else why_unavailable()
    if reason:
        raise BackendUnavailable(f"{path} needs TensorRT and an NVIDIA GPU: {reason}")


def check_fits(path: Path, spec: EngineSpec, device: Device) -> None:
    """BackendUnavailable where nothing of the kind runs here, EngineError where the engine was built for elsewhere."""
    require_tensorrt(path, device)
    import tensorrt

    built_for = (spec.gpu_architecture, spec.tensorrt_version)
    here = (architecture(open_gpu()), tensorrt.__version__)
    if built_for != here and spec.gpu_architecture:  # a bare plan doesn't say
        raise EngineError(
            f"{path} was built for {built_for[0]} with TensorRT {built_for[1]}; this machine is {here[0]} with "
            f"{here[1]}. Rebuild it here: ugatit-fast build-engine {rebuild_options(spec)}"
        )


def rebuild_options(spec: EngineSpec) -> str:
    """What makes build-engine build such an engine again."""
    options = [
        "CHECKPOINT --backend tensorrt",
        f"--precision {spec.precision}",
        f"--direction {spec.direction}",
        f"--batch {','.join(map(str, spec.batch_sizes))}",
        f"--size {spec.height}x{spec.width}",
        *(["--heatmap"] if spec.heatmap else []),
        *(["--dynamic-batch"] if spec.dynamic_batch else []),
    ]
    return " ".join(options)
