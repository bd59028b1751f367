"""Machines that aren't here: some with everything, some with less."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ugatit_fast.backends.needs import Library


def library(number: str = "1.0", /, **contents: Any) -> Library:
    return Library(SimpleNamespace(__version__=number, **contents))  # type: ignore[arg-type]


def torch_build(cuda: str | None, gpu: bool = False) -> Library:
    return library(cuda=SimpleNamespace(is_available=lambda: gpu), version=SimpleNamespace(cuda=cuda))


ABSENT = Library(None)
BROKEN = Library(None, "OSError: libcudart.so.13: cannot open shared object file")
GPU_MACHINE = {
    "numpy": library(),
    "PIL": library(),
    "onnxruntime": library(),
    "torch": torch_build("13.0", gpu=True),
    "onnx": library(),
    "triton": library(),
    "tensorrt": library("11.4.0.106"),
}


@dataclass(frozen=True)
class FakeMachine:
    """See `needs.Machine`. Its GPU can be used where there is one, unless `gpu_refusal` says why not."""

    libraries: Mapping[str, Library]
    gpu: bool = False
    refusal: str | None = None

    def library(self, name: str) -> Library:
        return self.libraries[name]

    @property
    def cards(self) -> tuple[str, ...]:
        return ("NVIDIA H100, 81559 MiB, 580.65, 9.0",) if self.gpu else ()

    @property
    def gpu_refusal(self) -> str | None:
        return self.refusal if self.gpu else "there is no GPU"
