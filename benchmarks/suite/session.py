"""One contender inside its own process: build, load, run, and what that held."""

import contextlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.border import MEMORY, ran_out_of_memory
from ugatit_fast.bench import clock, pictures
from ugatit_fast.bench.contenders import Case, Contender, Running
from ugatit_fast.bench.results import Status, Target


class Session:
    """The verbs that the race asks of a process, each answered with plain data."""

    def __init__(self) -> None:
        self.running: Running | None = None
        self.batches: list[Images] = []
        self.device_bytes: int | None = None

    def build(self, contender: Contender, case: Case) -> tuple[Path, float]:
        """The file made for a contender, and the seconds that making it took."""
        assert contender.build is not None
        path, seconds = contender.build(case)
        return path, seconds

    def load(self, contender: Contender, case: Case, file: Path | None) -> tuple[float, float]:
        """Make the contender ready. Returns seconds of compiling and of everything else."""
        network = case.network
        self.batches = pictures.batches(network.batch, network.height, network.width)
        self.device_bytes = 0 if contender.target == "cuda" else None
        started = perf_counter()
        with self.counting_device():
            self.running = contender.load(case, file)
        seconds = perf_counter() - started
        return self.running.build_seconds, seconds - self.running.build_seconds

    def translate(self, batch: Images | None = None) -> Images:
        """The pictures made of a batch, the first of its own unless given."""
        assert self.running is not None
        with self.counting_device():
            return self.call(0) if batch is None else self.running.run(batch)

    def settle(self, limit_seconds: float) -> tuple[float, bool]:
        with self.counting_device():
            return clock.settle(self.call, limit_seconds)

    def turn(self, calls: int) -> list[float]:
        """One untimed call, to bring back what another contender pushed out of the caches, then the timed ones.

        A single timed call is so long that caches don't matter to it.
        """
        with self.counting_device():
            if calls > 1:
                self.call(0)
            return [clock.timed_ms(self.call, 1 + i) for i in range(calls)]

    def burst(self, callers: int, calls: int) -> tuple[int, float]:
        """Images and seconds of `calls` calls by each of several threads at once; of one where no more are allowed.

        Returns how many called, and images a second.
        """
        assert self.running is not None
        callers = callers if self.running.concurrent else 1
        with self.counting_device(), ThreadPoolExecutor(callers) as threads:
            if callers > 1:
                list(threads.map(self.call, range(callers)))
            started = perf_counter()
            if callers > 1:
                list(threads.map(self.call, range(callers * calls)))
            else:
                for i in range(calls):
                    self.call(i)
            seconds = perf_counter() - started
        return callers, callers * calls * len(self.batches[0]) / seconds

    def memory(self) -> tuple[int | None, int | None]:
        """Peak resident bytes of this process, and bytes held on the GPU above its context."""
        return peak_host_bytes(), self.device_bytes

    def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Any other piece of work that deserves a process."""
        return function(*arguments)

    def call(self, i: int) -> Images:
        assert self.running is not None
        return self.running.run(self.batches[i % len(self.batches)])

    @contextlib.contextmanager
    def counting_device(self) -> Iterator[None]:
        """Adds what the GPU has less of afterwards; nobody else runs meanwhile, and allocators keep what they took."""
        if self.device_bytes is None:
            yield
            return
        before = free_device_bytes("cuda")
        yield
        self.device_bytes += before - free_device_bytes("cuda")


def free_device_bytes(target: Target) -> int:
    """Raises BackendUnavailable where there is no GPU."""
    import torch

    from ugatit_fast.errors import BackendUnavailable

    if not torch.cuda.is_available():
        raise BackendUnavailable("PyTorch sees no CUDA device here")
    torch.zeros(1, device=target)  # makes the context, which isn't counted
    torch.cuda.synchronize()
    return torch.cuda.mem_get_info()[0]


def peak_host_bytes() -> int | None:
    """Largest resident size this process ever had; None on systems that don't tell."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory from before exec
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def serve() -> None:
    """Answer pickled requests (verb, arguments) with ("ok", answer) or (status, reason) until there are no more.

    What contenders print goes where errors go, not between the answers.
    """
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    session = Session()
    while True:
        try:
            verb, arguments = pickle.load(requests)  # noqa: S301 - from the process that started this one
            answer: tuple[Status, Any] = ("ok", getattr(session, verb)(*arguments))
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a rival raises is its row
            answer = judged(error)
        pickle.dump(answer, answers)
        answers.flush()


def judged(error: Exception) -> tuple[Status, str]:
    """The status that an exception means, and the reason in one line."""
    from ugatit_fast.errors import BackendUnavailable

    text = " ".join(str(error).split()) or type(error).__name__
    reason = text if isinstance(error, BackendUnavailable) else f"{type(error).__name__}: {text}"
    if isinstance(error, ImportError | BackendUnavailable):
        return "missing", reason
    if ran_out_of_memory(error) or MEMORY.named_by(error):  # rivals have libraries that the border doesn't know
        return "out of memory", reason
    return "failed", reason
