"""The runtimes: what each kind of engine needs, and how it is opened."""

from collections.abc import Callable
from pathlib import Path

from ugatit_fast.backends.base import Backend
from ugatit_fast.choices import BackendChoice, Device, EngineKind, check_choice
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError


def open_backend(path: Path, spec: EngineSpec, device: Device, threads: int | None) -> Backend:
    """The runtime that an engine names, loaded with it; its library is imported here and not before."""
    check_choice("device", device, Device)
    if spec.kind == "onnxruntime":
        from ugatit_fast.backends.ort import OrtBackend

        return OrtBackend(path, spec, device=device, threads=threads)
    if spec.kind == "cuda":
        from ugatit_fast.backends.cuda import CudaBackend

        return CudaBackend(path, spec, device=device)
    if spec.kind == "tensorrt":
        from ugatit_fast.backends.trt_fit import check_fits

        check_fits(path, spec, device)
        from ugatit_fast.backends.trt import TrtBackend

        return TrtBackend(path, spec)
    raise EngineError(f"{path} is an engine for {spec.kind}, which this version cannot run; upgrade ugatit-fast")


def choose_backend(backend: BackendChoice, say: Callable[[str], None]) -> EngineKind:
    """The kind of engine to build; for auto the fastest that can run here, saying why a faster one can't.

    BackendUnavailable where a TensorRT engine is asked for and can't be built: only the GPU itself can build its own.
    """
    from ugatit_fast.backends import cuda, trt_fit

    if backend == "tensorrt" and (missing := trt_fit.why_unavailable()):
        raise BackendUnavailable(f"a TensorRT engine is built on the GPU that runs it: {missing}")
    if backend != "auto":
        return backend
    faster: dict[EngineKind, Callable[[], str | None]] = {
        "tensorrt": trt_fit.why_unavailable,
        "cuda": cuda.why_unavailable,
    }
    passed_over = ""
    for kind, why in faster.items():
        reason = why()
        if reason is None:
            say(f"backend: {kind}, the fastest that this machine can run{passed_over}")
            return kind
        passed_over += f"; not {kind}: {reason.partition(';')[0]}"
    say(f"backend: onnxruntime{passed_over}")
    return "onnxruntime"
