"""Where foreign errors end: what a runtime raises becomes an error of ours, one line that names the cure.

`LIBRARIES` says which exceptions are whose, by name, so that nothing is imported to ask; `TROUBLES` what they mean, by
the words that CUDA uses for it whichever library passes them on. Whatever is in neither is a bug of ours, and stays
what it is.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, EngineError, UgatitFastError, first_line


@dataclass(frozen=True)
class Trouble:
    """What can happen to a runtime, and what to do about it."""

    error: type[UgatitFastError]
    message: str
    """With {engine}, {said} (by the library) and {less} (what takes less memory)."""
    words: str = ""
    """It is this where an exception's words hold one of these (a regular expression, in any case)."""

    def named_by(self, error: BaseException) -> bool:
        return bool(self.words) and re.search(self.words, str(error), re.IGNORECASE) is not None


MEMORY = Trouble(
    BackendUnavailable,
    "{engine} needs more memory than there is ({said}); close other programs, or {less}",
    r"out of ?memory|cudaErrorMemoryAllocation|alloc_failed|bad[_ ]alloc|failed to allocate memory"
    r"|can(?:no|')t allocate memory|not enough memory",
)
DRIVER = Trouble(
    BackendUnavailable,
    "{engine} doesn't run with this GPU's driver ({said}); update the driver, or see `ugatit-fast doctor`",
    r"no kernel image|NoKernelImageForDevice|unsupported toolchain|UnsupportedPtxVersion|UNSUPPORTED_PTX"
    r"|driver version is insufficient|InsufficientDriver|factory function returned nullptr",
)
LOST = Trouble(
    BackendUnavailable,
    "{engine} has lost its GPU ({said}); see that `nvidia-smi` still lists it, and start again",
    r"no CUDA-capable device|cudaErrorNoDevice|busy or unavailable|DevicesUnavailable|uncorrectable ECC"
    r"|ECCUncorrectable|uncorrectable NVLink|NvlinkUncorrectable|unknown error|cudaErrorUnknown"
    r"|SystemNotReady",
)
DAMAGED = Trouble(
    EngineError,
    "{engine} is damaged ({said}); build it again",
    r"protobuf parsing failed|load model from|import of ONNX model|unable to read the model",
)
FAILED = Trouble(
    EngineError,
    "{engine} failed ({said}); start again, and if it fails again, build it again",
)
TROUBLES = (MEMORY, DRIVER, LOST, DAMAGED)
"""In this order; what is none of them is FAILED."""


@dataclass(frozen=True)
class Foreign:
    """When an exception is a library's."""

    says: str = ""
    """Only with these words (a regular expression), where the class is everybody's."""
    trouble: Trouble | None = None
    """What it always means; None: what its words say."""


ONNXRUNTIME = "onnxruntime.capi.onnxruntime_pybind11_state"
ONNXRUNTIME_ERRORS = {
    "DeviceReset": Foreign(trouble=LOST),
    "EPFail": Foreign(),
    "EngineError": Foreign(),
    "Fail": Foreign(),
    "InvalidArgument": Foreign(),
    "InvalidGraph": Foreign(trouble=DAMAGED),
    "InvalidProtobuf": Foreign(trouble=DAMAGED),
    "ModelLoadCanceled": Foreign(),
    "ModelLoaded": Foreign(),
    "ModelRequiresCompilation": Foreign(),
    "NoModel": Foreign(trouble=DAMAGED),
    "NoSuchFile": Foreign(trouble=DAMAGED),
    "NotFound": Foreign(),
    "NotImplemented": Foreign(),
    "RuntimeException": Foreign(),
}
"""They have no base class in common."""

LIBRARIES: Mapping[str, Mapping[str, Foreign]] = {
    "PyTorch": {
        "torch.OutOfMemoryError": Foreign(trouble=MEMORY),
        "torch.AcceleratorError": Foreign(),
        "builtins.RuntimeError": Foreign(
            r"CUDA error|CUDA driver error|CUDA out of memory|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS|Triton Error"
            r"|DefaultCPUAllocator"
        ),
        "triton.errors.TritonError": Foreign(),
    },
    "ONNX Runtime": {f"{ONNXRUNTIME}.{name}": foreign for name, foreign in ONNXRUNTIME_ERRORS.items()}
    | {"builtins.RuntimeError": Foreign(r"onnxruntime|CUDA failure|CUDNN failure")},
    "OpenVINO": {"builtins.RuntimeError": Foreign(r"^Exception from src/|^Check '")},
    "TensorRT": {"builtins.TypeError": Foreign("factory function returned nullptr")},
    "TensorRT and cuda-python, called by us": {
        "ugatit_fast.backends.gpu_parts.OutOfGpuMemory": Foreign(trouble=MEMORY),
        "ugatit_fast.backends.gpu_parts.GpuError": Foreign(),
    },
    "Python": {"builtins.MemoryError": Foreign(trouble=MEMORY)},
}
"""Library -> full name of an exception, or of one above it -> when it is foreign."""


def trouble_of(error: BaseException) -> Trouble | None:
    """What a library's exception means; None for ours and for bugs."""
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
    for table in LIBRARIES.values():
        for name in names:
            foreign = table.get(name)
            if foreign and re.search(foreign.says, str(error)):
                named = (trouble for trouble in TROUBLES if trouble.named_by(error))
                return foreign.trouble or next(named, FAILED)
    return None


def ran_out_of_memory(error: BaseException) -> bool:
    return trouble_of(error) is MEMORY


@contextmanager
def border(engine: Path | str, spec: EngineSpec | None = None) -> Iterator[None]:
    """Load or run `engine` inside: what its library raises leaves as EngineError or BackendUnavailable, with the cause.

    spec: its description, where it is known; says what would take less memory.
    """
    try:
        yield
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        message = trouble.message.format(engine=engine, said=first_line(error), less=less_memory(spec))
        raise trouble.error(message) from error


def less_memory(spec: EngineSpec | None) -> str:
    """What to do for an engine that needs less memory."""
    if spec and max(spec.batch_sizes, default=1) > 1:
        return f"build it again with a --batch below {max(spec.batch_sizes)}"
    if spec and spec.any_size:
        return "translate smaller pictures (--size)"
    return "run it where there is more"
