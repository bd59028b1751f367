"""What this machine can do: versions, graphics cards, engines it can build and run, and what to install for the others.

The only module that imports every library there is. It takes none on trust: whatever an import or a question to a
driver raises becomes a line of the report.
"""

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

from ugatit_fast.choices import EngineKind
from ugatit_fast.machine import available_cores, memory_bytes
from ugatit_fast.version import __version__

Status = Literal["ok", "absent", "problem"]
"""absent: not there, and nothing is wrong with that. problem: broken, or in the way of what is there."""

PIP = f"{sys.executable} -m pip install"

LIBRARIES = {name: name for name in ("numpy", "onnxruntime", "torch", "onnx", "triton", "tensorrt")} | {"PIL": "pillow"}
"""What is imported -> what is installed."""

EXTRAS = {"onnxruntime": "cpu", "torch": "torch", "onnx": "torch", "triton": "kernels", "tensorrt": "tensorrt"}
"""Library -> the extra of ugatit-fast that brings it."""


class Engine(NamedTuple):
    """What a kind of engine takes: names of libraries, `gpu`, and `torch with CUDA`."""

    backend: str
    """Its module in `ugatit_fast.backends`."""
    to_build: tuple[str, ...]
    to_run: tuple[str, ...]


ENGINES: dict[EngineKind, Engine] = {
    "onnxruntime": Engine("ort", to_build=("torch", "onnx"), to_run=("onnxruntime",)),
    "cuda": Engine("cuda", to_build=("torch",), to_run=("gpu", "torch", "torch with CUDA", "triton")),
    "tensorrt": Engine("trt", to_build=("torch", "onnx", "gpu", "tensorrt"), to_run=("gpu", "tensorrt")),
    "eager": Engine("eager", to_build=(), to_run=("torch",)),  # a checkpoint as it is
}

ORT_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
"""All of them write the package `onnxruntime`; pip lets them overwrite each other."""
TENSORRT_RANGE = ((11, 2, 1), (12,))
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader")
DRIVER_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Check:
    """One line of the report; plain data, `dataclasses.asdict` makes it JSON."""

    name: str
    status: Status
    value: str
    """What was found, in words."""
    advice: str | None = None
    """What to do about it, where something can be done."""


@dataclass(frozen=True)
class Library:
    """A library that was imported, or the reason why not."""

    module: ModuleType | None
    error: str | None = None
    """What the import raised; None where it worked, or where the library isn't installed."""

    @property
    def version(self) -> str:
        return str(getattr(self.module, "__version__", "of unknown version"))


def report() -> list[Check]:
    """Examine this machine. Takes the seconds that importing every library takes; raises nothing."""
    libraries = {name: find_library(name) for name in LIBRARIES}
    cards = nvidia_cards()
    examinations: dict[str, Callable[[], Check | list[Check]]] = {
        "machine": check_machine,
        "NVIDIA GPU": partial(check_cards, cards),
        **{LIBRARIES[name]: partial(check_library, name, library) for name, library in libraries.items()},
        "onnxruntime distributions": partial(check_ort_distributions, libraries["onnxruntime"], bool(cards)),
        "photo formats": check_formats,
        **{f"{kind} engine": partial(check_engine, kind, libraries, bool(cards)) for kind in get_args(EngineKind)},
    }
    checks: list[Check] = []
    for name, examine in examinations.items():
        try:
            found = examine()
        except Exception as error:  # noqa: BLE001 - the report on a broken machine must not break
            found = Check(name, "problem", f"could not be examined ({raised(error)})")
        checks += found if isinstance(found, list) else [found]
    return checks


def as_text(checks: Sequence[Check]) -> str:
    """The report for people: a line a check, and below it what to do."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.status:8}{check.name:{width}}  {check.value}")
        if check.advice:
            lines.append(f"{'':8}{'':{width}}  -> {check.advice}")
    return "\n".join(lines)


# What is here -----------------------------------------------------------------------------------------------------


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
    """Name, memory, driver version and compute capability of each NVIDIA GPU whose driver answers."""
    try:
        answer = subprocess.run(
            NVIDIA_SMI, capture_output=True, text=True, timeout=DRIVER_PATIENCE_SECONDS, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def check_machine() -> list[Check]:
    memory = memory_bytes()
    return [
        Check("ugatit-fast", "ok", __version__),
        Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check("cores", "ok", str(available_cores())),
        Check("memory", "ok", f"{memory / 2**30:.1f} GiB" if memory else "unknown on this system"),
    ]


def check_cards(cards: list[str]) -> list[Check]:
    if not cards:
        return [Check("NVIDIA GPU", "absent", "none, or no driver for it (nvidia-smi gives none)")]
    facts = "name, memory, driver, compute capability"
    return [Check(f"NVIDIA GPU {i}", "ok", f"{card} ({facts})") for i, card in enumerate(cards)]


def check_library(name: str, library: Library) -> Check:
    distribution = LIBRARIES[name]
    if library.error:
        advice = f"{PIP} --force-reinstall {distribution}"
        return Check(distribution, "problem", f"is installed but can't be imported ({library.error})", advice)
    if library.module is None:
        return Check(distribution, "absent", "not installed")
    details = {"onnxruntime": ort_details, "torch": torch_details}.get(name)
    return Check(distribution, "ok", library.version + (f" ({details(library.module)})" if details else ""))


def ort_details(ort: Any) -> str:
    return ", ".join(ort.get_available_providers())


def torch_details(torch: Any) -> str:
    if torch.version.cuda is None:
        return "a build without CUDA"
    return f"CUDA {torch.version.cuda}, " + ("sees a GPU" if torch.cuda.is_available() else "sees no GPU")


def check_ort_distributions(ort: Library, gpu: bool) -> list[Check]:
    """Two distributions in one folder, or the GPU one overwritten by another since removed."""
    installed = [name for name in ORT_DISTRIBUTIONS if is_installed(name)]
    wanted = "onnxruntime-gpu" if gpu and "onnxruntime-gpu" in installed else "onnxruntime"
    cure = f"{sys.executable} -m pip uninstall -y {' '.join(installed)} && {PIP} {wanted}"
    name = "onnxruntime distributions"
    if len(installed) > 1:
        return [Check(name, "problem", f"{' and '.join(installed)} overwrite each other's files; keep one", cure)]
    if installed == ["onnxruntime-gpu"] and ort.module and "CUDAExecutionProvider" not in ort_details(ort.module):
        return [Check(name, "problem", "onnxruntime-gpu is installed, but its CUDA provider is gone", cure)]
    return []


def is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def check_formats() -> list[Check]:
    from PIL import Image

    from ugatit_fast.media.images import FORMATS

    Image.init()
    missing = [name for name in FORMATS if name not in Image.OPEN]
    read = Check("photo formats", "ok", ", ".join(name for name in FORMATS if name not in missing))
    if not missing:
        return [read]
    return [read, Check("unreadable formats", "absent", ", ".join(missing), f"{PIP} --upgrade pillow")]


# What can be done with it -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """Something that an engine takes and this machine lacks."""

    what: str
    cure: str | None


def check_engine(kind: EngineKind, libraries: dict[str, Library], gpu: bool) -> Check:
    """What an engine takes to be built and to be run, and whether it is here."""
    name = f"{kind} engine"
    backend, to_build, to_run = ENGINES[kind]
    if find_spec(f"ugatit_fast.backends.{backend}") is None:
        return Check(name, "absent", f"is not a part of ugatit-fast {__version__}")
    run = [need for part in to_run if (need := need_of(part, libraries, gpu))]
    build = [need for part in to_build if (need := need_of(part, libraries, gpu)) and need not in run]
    if not run and not build:
        return Check(name, "ok", "can be built and run" if to_build else "can be run")
    verdicts = [
        f"{verdict}: needs {' and '.join(need.what for need in needs)}"
        for verdict, needs in (("can't be run", run), ("can't be built", build))
        if needs
    ]
    cures = dict.fromkeys(need.cure for need in run + build if need.cure)
    return Check(name, "absent", "; ".join(verdicts), "; ".join(cures) or None)


def need_of(part: str, libraries: dict[str, Library], gpu: bool) -> Need | None:
    """What is lacking of one part of `ENGINES`; None where nothing is."""
    if part == "gpu":
        return None if gpu else Need("an NVIDIA GPU with its driver", None)
    if part == "torch with CUDA":
        return cuda_need(libraries["torch"])
    library = libraries[part]
    if library.error:
        return Need(f"{part} to be repaired", f"{PIP} --force-reinstall {LIBRARIES[part]}")
    if library.module is None:
        return Need(part, f'{PIP} "ugatit-fast[{EXTRAS[part]}]"')
    return tensorrt_need(library.version) if part == "tensorrt" else None


def cuda_need(torch: Library) -> Need | None:
    module: Any = torch.module
    if module is None or module.cuda.is_available():
        return None  # without torch, that is the need
    if module.version.cuda is None:
        return Need("a build of torch with CUDA", "choose one at pytorch.org (Get Started)")
    return Need("torch to see the GPU", f"install a driver for CUDA {module.version.cuda} or newer")


def tensorrt_need(found: str) -> Need | None:
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
    lowest, below = TENSORRT_RANGE
    if lowest <= numbers < below:
        return None
    wanted = f"TensorRT >= {'.'.join(map(str, lowest))}, < {below[0]}"
    return Need(f"{wanted} in place of {found}", f'{PIP} "ugatit-fast[tensorrt]"')
