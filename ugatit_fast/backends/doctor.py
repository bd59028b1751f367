"""What this machine can do: versions, graphics cards, engines it can build and run, and what to install for the others.

The only module that imports every library there is. It takes none on trust: whatever an import or a question to a
driver raises becomes a line of the report.
"""

import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Literal

from ugatit_fast.backends.extras import EXTRAS, NEVER_IMPORTED, PURPOSES, is_installed
from ugatit_fast.backends.needs import PIP, Machine, ThisMachine, raised
from ugatit_fast.backends.runtimes import ROWS, Runtime
from ugatit_fast.machine import available_cores, byte_products, memory_bytes, pip_install
from ugatit_fast.version import __version__

Status = Literal["ok", "absent", "problem"]
"""absent: not there, and nothing is wrong with that. problem: broken, or in the way of what is there."""

LIBRARIES = {"numpy": "numpy", "PIL": "pillow"} | {
    library.name: library.name for runtime in ROWS for library in runtime.libraries
}
"""What is imported -> what is installed."""

ORT_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
"""All of them write the package `onnxruntime`; pip lets them overwrite each other."""


@dataclass(frozen=True)
class Check:
    """One line of the report; plain data, `dataclasses.asdict` makes it JSON."""

    name: str
    status: Status
    value: str
    """What was found, in words."""
    advice: str | None = None
    """What to do about it, where something can be done."""


def report() -> list[Check]:
    """Examine this machine. Takes the seconds that importing every library takes; raises nothing."""
    machine = ThisMachine()
    gpu = bool(machine.cards)
    examinations: dict[str, Callable[[], Check | list[Check]]] = {
        "machine": check_machine,
        "NVIDIA GPU": partial(check_cards, machine.cards),
        **{distribution: partial(check_library, name, machine) for name, distribution in LIBRARIES.items()},
        "onnxruntime providers": partial(check_providers, machine, gpu),
        "onnxruntime distributions": partial(check_ort_distributions, machine, gpu),
        "photo formats": check_formats,
        **{f"extra {extra}": partial(check_extra, extra, machine) for extra in EXTRAS},
        **{f"{runtime.kind} engine": partial(check_engine, runtime, machine) for runtime in ROWS},
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


def check_machine() -> list[Check]:
    memory = memory_bytes()
    return [
        Check("ugatit-fast", "ok", __version__),
        Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check("cores", "ok", str(available_cores())),
        check_byte_products(byte_products()),
        Check("memory", "ok", f"{memory / 2**30:.1f} GiB" if memory else "unknown on this system"),
    ]


def check_byte_products(instructions: str | None) -> Check:
    """Whether eight bits make a CPU faster."""
    name = "8-bit products"
    if instructions is None:
        return Check(name, "absent", "none that this system tells of: int8 engines are right here, and gain little")
    return Check(name, "ok", f"{instructions}: engines in --precision int8 are faster than float32 on this CPU")


def check_cards(cards: Sequence[str]) -> list[Check]:
    if not cards:
        return [Check("NVIDIA GPU", "absent", "none, or no driver for it (nvidia-smi gives none)")]
    facts = "name, memory, driver, compute capability"
    return [Check(f"NVIDIA GPU {i}", "ok", f"{card} ({facts})") for i, card in enumerate(cards)]


def check_library(name: str, machine: Machine) -> Check:
    library, distribution = machine.library(name), LIBRARIES[name]
    if library.error:
        advice = f"{PIP} --force-reinstall {distribution}"
        return Check(distribution, "problem", f"is installed but can't be imported ({library.error})", advice)
    if library.module is None:
        return Check(distribution, "absent", "not installed")
    details = {"onnxruntime": ort_details, "torch": torch_details}.get(name)
    return Check(distribution, "ok", library.version + (f" ({details(library.module)})" if details else ""))


def ort_details(ort: ModuleType) -> str:
    return ", ".join(ort.get_available_providers())


def torch_details(torch: ModuleType) -> str:
    if torch.version.cuda is None:
        return "a build without CUDA"
    return f"CUDA {torch.version.cuda}, " + ("sees a GPU" if torch.cuda.is_available() else "sees no GPU")


def check_ort_distributions(machine: Machine, gpu: bool) -> list[Check]:
    """Two distributions in one folder, or the GPU one overwritten by another since removed."""
    installed = [name for name in ORT_DISTRIBUTIONS if is_there(name)]
    wanted = "onnxruntime-gpu" if gpu and "onnxruntime-gpu" in installed else "onnxruntime"
    cure = f"{sys.executable} -m pip uninstall -y {' '.join(installed)} && {PIP} {wanted}"
    name = "onnxruntime distributions"
    if len(installed) > 1:
        return [Check(name, "problem", f"{' and '.join(installed)} overwrite each other's files; keep one", cure)]
    ort = machine.library("onnxruntime")
    if installed == ["onnxruntime-gpu"] and ort.module and "CUDAExecutionProvider" not in ort_details(ort.module):
        return [Check(name, "problem", "onnxruntime-gpu is installed, but its CUDA provider is gone", cure)]
    return []


def check_providers(machine: Machine, gpu: bool) -> list[Check]:
    """Each provider that ONNX Runtime lists, started. One that can't is in the way where there is a GPU for it."""
    ort = machine.library("onnxruntime").module
    if ort is None:
        return []
    from ugatit_fast.backends.providers import CPU_PROVIDER, CUDA_PROVIDER, refusal

    checks = []
    for provider in ort.get_available_providers():
        name, reason = f"onnxruntime {provider.removesuffix('ExecutionProvider')}", refusal(ort, provider)
        if reason is None:
            checks.append(Check(name, "ok", "starts"))
            continue
        wrong = provider == CPU_PROVIDER or (provider == CUDA_PROVIDER and gpu)
        cure = f"{PIP} onnxruntime-gpu[cuda,cudnn], of the CUDA version that the driver has" if wrong else None
        checks.append(Check(name, "problem" if wrong else "absent", f"can't start ({reason})", cure))
    return checks


def is_there(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def check_extra(extra: str, machine: Machine) -> Check:
    """Whether all that an extra brings is there and can be imported; else the line that installs it."""
    name, purpose = f"extra {extra}", PURPOSES[extra]
    missing: list[str] = []
    for library in EXTRAS[extra]:
        if library in NEVER_IMPORTED:
            found, error = is_installed(library), None
        else:
            found, error = machine.library(library).module is not None, machine.library(library).error
        if error:
            cure = f"{PIP} --force-reinstall {library}"
            return Check(name, "problem", f"{purpose}; {library} can't be imported ({error})", cure)
        if not found:
            missing.append(library)
    if missing:
        cure = f"{sys.executable} -m {pip_install(extra)}"
        return Check(name, "absent", f"{purpose}; needs {' and '.join(missing)}", cure)
    return Check(name, "ok", purpose)


def check_formats() -> list[Check]:
    from ugatit_fast.media.formats import EXTRA_FORMATS, readable_formats

    readable = readable_formats()
    checks = [Check("photo formats", "ok", ", ".join(name for name, there in readable.items() if there))]
    for extra, cure in ((False, f"{PIP} --upgrade pillow"), (True, pip_install("formats"))):
        missing = [name for name, there in readable.items() if not there and (name in EXTRA_FORMATS) == extra]
        if missing:
            checks.append(Check("unreadable formats", "absent", ", ".join(missing), cure))
    return checks


# What can be done with it -----------------------------------------------------------------------------------------


def check_engine(runtime: Runtime, machine: Machine) -> Check:
    """What an engine takes to be built and to be run, and whether it is here."""
    name = f"{runtime.kind} engine"
    run = runtime.lacking("run", machine)
    build = [need for need in runtime.lacking("build", machine) if need not in run]
    if not run and not build:
        return Check(name, "ok", "can be built and run" if runtime.suffix else "can be run")
    verdicts = [
        f"{verdict}: needs {' and '.join(need.what for need in needs)}"
        for verdict, needs in (("can't be run", run), ("can't be built", build))
        if needs
    ]
    if run and runtime.to_build and not runtime.lacking("build", machine):
        verdicts.insert(0, "can be built")
    cures = dict.fromkeys(need.cure for need in run + build if need.cure)
    return Check(name, "absent", "; ".join(verdicts), "; ".join(cures) or None)
