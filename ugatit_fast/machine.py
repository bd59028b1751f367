"""What this machine gives the process: cores, memory and a place for what needn't be fetched or measured again."""

import os
from pathlib import Path


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


def cache_folder() -> Path:
    """The user's folder for ours; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ugatit-fast"
