"""Contenders that do everything a rival may do wrong. Their right answer lies in the case's folder."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ugatit_fast.bench.contenders import Case, Contender, Lazily
from ugatit_fast.bench.results import Kind
from ugatit_fast.errors import BackendUnavailable

EXPECTED = "expected.npy"
"""uint8 (k, h, w, 3): what the first pictures of the pool become."""


class Fake:
    concurrent = True
    build_seconds = 0.0

    def __init__(self, case: Case, before: Callable[[int], None] = lambda call: None) -> None:
        """before: called with the number of the call, from 0, before each."""
        self.expected = np.load(case.folder / EXPECTED)
        self.before = before
        self.calls = 0

    def run(self, images: Any) -> Any:
        self.before(self.calls)
        self.calls += 1
        time.sleep(0.002)
        return self.expected[np.arange(len(images)) % len(self.expected)]


def right(case: Case, file: Path | None) -> Fake:
    return Fake(case)


def raises_when_loaded(case: Case, file: Path | None) -> Fake:
    raise ValueError("no such\nlayer")


def unavailable(case: Case, file: Path | None) -> Fake:
    raise BackendUnavailable("no driver")


def hangs_when_loaded(case: Case, file: Path | None) -> Fake:
    time.sleep(600)
    return Fake(case)


def from_call(first: int, action: Callable[[], Any]) -> Callable[[int], None]:
    return lambda call: action() if call >= first else None


def hangs_later(case: Case, file: Path | None) -> Fake:
    return Fake(case, from_call(8, lambda: time.sleep(600)))


def dies(case: Case, file: Path | None) -> Fake:
    def die() -> None:
        print("bad things happened", flush=True)
        os._exit(3)

    return Fake(case, from_call(8, die))


def killed(case: Case, file: Path | None) -> Fake:
    return Fake(case, from_call(8, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def out_of_memory(case: Case, file: Path | None) -> Fake:
    def fail() -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    return Fake(case, from_call(8, fail))


def wrong_pictures(case: Case, file: Path | None) -> Fake:
    fake = Fake(case)
    fake.expected = 255 - fake.expected
    return fake


def wrong_shape(case: Case, file: Path | None) -> Fake:
    fake = Fake(case)
    fake.expected = fake.expected[:, :-1]
    return fake


def says_its_number(case: Case, file: Path | None) -> Fake:
    """Leaves the number of its process behind, for whoever wants to know whether it still lives."""
    (case.folder / "pid").write_text(str(os.getpid()))
    return Fake(case)


def fake(name: str, kind: Kind = "rival", needs: tuple[str, ...] = ()) -> Contender:
    return Contender(name, kind, "cpu", "fp32", needs, f"pip install {name}", Lazily("tests.benchmarks.fakes", name))
