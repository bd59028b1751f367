"""What a result belongs to: machine, versions, commit, and how fast and warm the machine was meanwhile."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ugatit_fast.bench.results import Condition, Machine
from ugatit_fast.machine import available_cores, memory_bytes
from ugatit_fast.version import __version__

DISTRIBUTIONS = (
    "torch",
    "triton",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nncf",
    "mnn",
    "tensorrt",
    "torch-tensorrt",
    "pillow",
)
PATIENCE_SECONDS = 10


def machine() -> Machine:
    """Takes no library on trust and imports none."""
    gpu, driver = (*nvidia_smi(("name", "driver_version")), None, None)[:2]
    cpu = cpu_name()
    commit = answer_of(("git", "rev-parse", "HEAD"))
    return Machine(
        name=gpu or f"{available_cores()} cores of {cpu}",
        cpu=cpu,
        cores=available_cores(),
        memory_bytes=memory_bytes(),
        gpu=gpu,
        driver=driver,
        system=f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        versions={"ugatit-fast": __version__} | {name: found for name in DISTRIBUTIONS if (found := version_of(name))},
        commit=commit,
        dirty=bool(answer_of(("git", "status", "--porcelain", "--untracked-files=no"))),
    )


def condition() -> Condition:
    """How the machine is now; what can't be read is None."""
    mhz, celsius, watts = (
        *[number(text) for text in nvidia_smi(("clocks.sm", "temperature.gpu", "power.draw"))],
        *[None] * 3,
    )[:3]
    return Condition(
        when=now(),
        cpu_mhz=cpu_mhz(),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        gpu_mhz=mhz,
        gpu_celsius=celsius,
        gpu_watts=watts,
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def file_stem(name: str) -> str:
    """A machine's name as that of a file: `nvidia-h200`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def nvidia_smi(facts: tuple[str, ...]) -> list[str]:
    """The facts about the first GPU, or nothing where there is none."""
    answer = answer_of(("nvidia-smi", f"--query-gpu={','.join(facts)}", "--format=csv,noheader,nounits"))
    return [fact.strip() for fact in answer.splitlines()[0].split(",")] if answer else []


@cache
def has_nvidia_gpu() -> bool:
    return bool(nvidia_smi(("name",)))


def answer_of(command: Sequence[str]) -> str | None:
    """What a command prints; None where it isn't there or fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
            cwd=Path(__file__).resolve().parent,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def cpu_facts(key: str) -> list[str]:
    """Every value of one key of /proc/cpuinfo."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [line.split(":", 1)[1].strip() for line in lines if line.split(":", 1)[0].strip() == key]


def cpu_name() -> str:
    return next(iter(cpu_facts("model name")), "") or platform.processor() or platform.machine()


def cpu_mhz() -> float | None:
    """Mean over cores."""
    clocks = [float(text) for text in cpu_facts("cpu MHz")]
    return sum(clocks) / len(clocks) if clocks else None


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
