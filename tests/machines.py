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


def rtx_library(number: str = "1.7.1.116") -> Library:
    members = ("NONE", "CURRENT", "SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
    return library(number, ComputeCapability=SimpleNamespace(__members__=dict.fromkeys(members)))


ABSENT = Library(None)
BROKEN = Library(None, "OSError: libcudart.so.13: cannot open shared object file")
GPU_MACHINE = {
    "numpy": library(),
    "PIL": library(),
    "onnxruntime": library("1.32.0"),
    "torch": torch_build("13.0", gpu=True),
    "onnx": library(),
    "openvino": library("2026.4.1-22982"),
    "triton": library(),
    "tensorrt": library("11.4.0.106"),
    "tensorrt_rtx": rtx_library(),
}


H100, RTX_4090 = "NVIDIA H100, 81559 MiB, 580.65, 9.0", "NVIDIA GeForce RTX 4090, 24564 MiB, 580.65, 8.9"


@dataclass(frozen=True)
class FakeMachine:
    """See `needs.Machine`. Its GPU can be used where there is one, unless `gpu_refusal` says why not."""

    libraries: Mapping[str, Library]
    gpu: bool = False
    refusal: str | None = None
    card: str = RTX_4090
    products: str | None = "AVX-512 VNNI"

    def library(self, name: str) -> Library:
        return self.libraries[name]

    @property
    def cards(self) -> tuple[str, ...]:
        return (self.card,) if self.gpu else ()

    @property
    def byte_products(self) -> str | None:
        return self.products

    @property
    def gpu_refusal(self) -> str | None:
        return self.refusal if self.gpu else "there is no GPU"
