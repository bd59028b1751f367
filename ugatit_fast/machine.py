"""What this machine gives the process: cores, memory, a place for what needn't be fetched twice, signals; and what to
type here to install more.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit
from urllib.request import url2pathname

BYTE_PRODUCTS = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "i8mm": "ARM I8MM",
    "asimddp": "ARM dot products",
}
"""Word in Linux's /proc/cpuinfo -> what it means, the widest first."""


def cpu_in_words(threads: int) -> str:
    """A CPU as the device of an engine."""
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def available_cores() -> int:
    """Cores this process may use; taskset, batch schedulers and containers can make them fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or None on systems that don't tell (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def byte_products(cpu: str | None = None) -> str | None:
    """The instructions by which this CPU multiplies bytes at a multiple of its float32 rate; None where it has none, or
    the system doesn't say. cpu: the text of /proc/cpuinfo, which is read unless given.
    """
    if cpu is None:
        try:
            cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            return None
    words = set(cpu.split())
    return next((name for flag, name in BYTE_PRODUCTS.items() if flag in words), None)


def cache_folder() -> Path:
    """The user's folder for ours; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ugatit-fast"


def pip_install(*extras: str) -> str:
    """What to type for what `extras` bring, wherever ugatit-fast itself was installed from."""
    return f'pip install "{origin()}[{",".join(extras)}]"'


def origin() -> str:
    """Where pip installed ugatit-fast from: the folder of its sources, where that is still there, else its name.

    pip notes it in `direct_url.json` (packaging.python.org/specifications/direct-url).
    """
    try:
        noted = json.loads(distribution("ugatit-fast").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # run from a checkout that isn't installed
        noted = {}
    folder = Path(url2pathname(urlsplit(noted.get("url", "")).path)) if "dir_info" in noted else None
    return str(folder) if folder and folder.is_dir() else "ugatit-fast"


class Stop:
    """Set by the first signal, so that work can end where it may. A second Ctrl-C interrupts."""

    def __init__(self) -> None:
        self.event = threading.Event()

    @property
    def asked(self) -> bool:
        return self.event.is_set()

    def wait(self) -> None:
        """Until a signal comes."""
        self.event.wait()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As a signal handler."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.event.set()


@contextmanager
def stopping_signals(*numbers: signal.Signals) -> Iterator[Stop]:
    """Let these signals (Ctrl-C and SIGTERM, unless given) ask for a stop, and do nothing else, inside the block.

    In a thread, which can't have signal handlers, nothing asks.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in numbers or (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
