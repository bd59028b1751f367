"""What engines need of a machine, each judged in one place: `doctor` tells of it, and the runtimes go by it.

Importing this imports no library; examining a machine imports those that are asked about, and takes none on trust.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Protocol

from ugatit_fast.choices import Precision
from ugatit_fast.machine import byte_products, pip_install

PIP = f"{sys.executable} -m pip install"
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader")
DRIVER_PATIENCE_SECONDS = 10


# What is here -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """A library that was imported, or the reason why not."""

    module: ModuleType | None
    error: str | None = None
    """What the import raised; None where it worked, or where the library isn't installed."""

    @property
    def version(self) -> str:
        return str(getattr(self.module, "__version__", "of unknown version"))


class Machine(Protocol):
    """What can be asked of a machine."""

    def library(self, name: str) -> Library:
        """A library by the name that it is imported by."""

    @property
    def cards(self) -> Sequence[str]:
        """Name, memory, driver version and compute capability of each NVIDIA GPU whose driver answers."""

    @property
    def gpu_refusal(self) -> str | None:
        """Why nothing here can be run on a GPU; None where it can."""

    @property
    def byte_products(self) -> str | None:
        """See `machine.byte_products`."""


class ThisMachine:
    """The machine that we run on. Looks when it is asked, and at each thing once."""

    def __init__(self) -> None:
        self.libraries: dict[str, Library] = {}

    def library(self, name: str) -> Library:
        if name not in self.libraries:
            self.libraries[name] = find_library(name)
        return self.libraries[name]

    @cached_property
    def cards(self) -> list[str]:
        return nvidia_cards()

    @cached_property
    def byte_products(self) -> str | None:
        return byte_products()

    @cached_property
    def gpu_refusal(self) -> str | None:
        try:
            from ugatit_fast.backends.gpu import open_gpu

            open_gpu()
        except Exception as error:  # noqa: BLE001 - broken installations raise anything
            return " ".join(str(error).split()) or raised(error)
        return None


def find_library(name: str) -> Library:
    """Import a library; see `Library`."""
    try:
        module = import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - broken installations raise anything, SystemExit too
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        return Library(None, None if missing else raised(error))
    if module.__file__ is None:  # Python imports any folder of that name
        return Library(None, "only remnants of it are there, without an __init__.py")
    return Library(module)


def raised(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def nvidia_cards() -> list[str]:
    """See `Machine.cards`; empty where nothing answers."""
    try:
        answer = subprocess.run(
            NVIDIA_SMI, capture_output=True, text=True, timeout=DRIVER_PATIENCE_SECONDS, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


# What is needed ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """Something that an engine takes and a machine lacks."""

    what: str
    cure: str | None


class Part(Protocol):
    """Something that an engine takes."""

    def lack(self, machine: Machine) -> Need | None:
        """What is lacking of it; None where nothing is."""


Version = tuple[int, ...]


@dataclass(frozen=True)
class LibraryPart:
    """A library of some version."""

    name: str
    """That it is imported by, and installed by."""
    extra: str
    """Of ugatit-fast, which brings it."""
    title: str = ""
    """What people call it, where its version matters."""
    versions: tuple[Version, Version] | None = None
    """From the first on, below the second; None is any."""

    def lack(self, machine: Machine) -> Need | None:
        library = machine.library(self.name)
        if library.error:
            return Need(f"{self.name} to be repaired ({library.error})", f"{PIP} --force-reinstall {self.name}")
        if library.module is None:
            return Need(self.name, self.install)
        if self.versions is None:
            return None
        lowest, below = self.versions
        if lowest <= tuple(int(number) for number in re.findall(r"\d+", library.version)[:3]) < below:
            return None
        wanted = f"{self.title} >= {dotted(lowest)}, < {dotted(below)}"
        return Need(f"{wanted} in place of {library.version}", self.install)

    @property
    def install(self) -> str:
        return f"{sys.executable} -m {pip_install(self.extra)}"


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


class NvidiaGpu:
    """An NVIDIA GPU whose driver works."""

    def lack(self, machine: Machine) -> Need | None:
        return None if machine.gpu_refusal is None or machine.cards else Need("an NVIDIA GPU with its driver", None)


class CudaTorch:
    """A PyTorch that sees the GPU. Where there is no PyTorch at all, another part says so."""

    def lack(self, machine: Machine) -> Need | None:
        torch = machine.library("torch").module
        if torch is None or torch.cuda.is_available():
            return None
        if torch.version.cuda is None:
            return Need("a build of torch with CUDA", "choose one at pytorch.org (Get Started)")
        if not machine.cards:
            return None  # without a GPU, that is the need
        return Need("torch to see the GPU", f"install a driver for CUDA {torch.version.cuda} or newer")


class GpuMemory:
    """A library through which a runtime that has none of its own gets at the GPU's memory."""

    def lack(self, machine: Machine) -> Need | None:
        if machine.gpu_refusal is None or not machine.cards:
            return None  # without a GPU, that is the need
        return Need(f"the GPU to be reached ({machine.gpu_refusal})", f"{PIP} cuda-python")


class ByteProducts:
    """A CPU with products of bytes: without, x86 sums pairs of them in 16 bits, which saturate."""

    def lack(self, machine: Machine) -> Need | None:
        if machine.byte_products is not None:
            return None
        what = "a CPU that multiplies bytes (AVX-512 VNNI, AVX VNNI, AMX) on a system that tells of it"
        return Need(what, "build an onnxruntime engine for this one")


class RtxCard:
    """A GPU that TensorRT for RTX knows. Without the library, or without any GPU, other parts say so."""

    def lack(self, machine: Machine) -> Need | None:
        library = machine.library(TENSORRT_RTX.name).module
        known = architectures(library) if library else ()
        here = [architecture_of(card) for card in machine.cards]
        if not known or not here or set(known) & set(here):
            return None
        cards = " and ".join(card.partition(",")[0] for card in machine.cards)
        what = f"a GPU that TensorRT for RTX knows ({', '.join(known)}) in place of {cards} ({', '.join(here)})"
        return Need(what, "build a tensorrt or a cuda engine for this one")


def architectures(tensorrt_rtx: ModuleType) -> tuple[str, ...]:
    """What this TensorRT for RTX (the module) builds for, the oldest first: ("sm_75", ...)."""
    names = (re.fullmatch(r"SM(\d+)", name) for name in tensorrt_rtx.ComputeCapability.__members__)
    return tuple(f"sm_{number}" for number in sorted(int(name[1]) for name in names if name))


EIGHT_BITS_FROM: dict[Precision, tuple[int, str]] = {"int8": (80, "Ampere"), "fp8": (89, "Ada")}
"""The first GPUs whose convolutions TensorRT for RTX computes in these. Of Turing's int8 it makes float16 again."""


def too_old_for(precision: Precision, architectures: Sequence[str]) -> tuple[str, ...]:
    """Those (sm_86) without convolutions in a precision; of one that isn't named so, its library says what it is."""
    first, _ = EIGHT_BITS_FROM.get(precision, (0, ""))
    numbers = {name: re.fullmatch(r"sm_(\d+)", name) for name in architectures}
    return tuple(name for name, number in numbers.items() if number and int(number[1]) < first)


def architecture_of(card: str) -> str:
    """A line of `Machine.cards` -> sm_90."""
    return "sm_" + card.rpartition(",")[2].strip().replace(".", "")


GPU, CUDA_TORCH, GPU_MEMORY, RTX_CARD = NvidiaGpu(), CudaTorch(), GpuMemory(), RtxCard()
BYTE_PRODUCTS = ByteProducts()
TORCH, ONNX = LibraryPart("torch", "torch"), LibraryPart("onnx", "torch")
ONNX_RUNTIME = LibraryPart("onnxruntime", "cpu", title="ONNX Runtime", versions=((1, 20), (2,)))
"""From the first version on that reads what we write: opset 20, and bytes multiplied by columns' scales."""
TRITON = LibraryPart("triton", "kernels")
OPENVINO = LibraryPart("openvino", "openvino", title="OpenVINO", versions=((2026, 4), (2027,)))
"""From the version on that the tests run, whose pictures are right; below the next year's."""
TENSORRT = LibraryPart("tensorrt", "tensorrt", title="TensorRT", versions=((10, 16), (12,)))
"""From the first version on whose parser finds our plugins and reads lists of numbers; below the next major one, whose
names are other. The tests hold us to the bindings of versions in between.
"""
TENSORRT_RTX = LibraryPart("tensorrt_rtx", "tensorrt-rtx", title="TensorRT for RTX", versions=((1, 7), (2,)))
"""From the version on that the tests build with."""
