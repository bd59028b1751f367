"""A process for each contender, so that one that hangs, crashes or eats the memory takes nobody with it.

Requests and answers are pickles through its standard input and output. A process whose turn it isn't is stopped:
threads of some runtimes spin long after their work is done.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from ugatit_fast.bench.results import Status

PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from ugatit_fast.bench.session import serve; serve()"
"""The path travels as arguments: as PYTHONPATH it would reach every program that a contender starts, pip among them."""
GOODBYE_SECONDS = 5.0
REASON_LENGTH = 300
KILLED = -9
"""Exit code after SIGKILL, by number, since Windows has no such name."""
POSIX = os.name == "posix"


class ContenderFailed(Exception):
    """What became of a contender that couldn't go on."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 3] + "..."


class Worker:
    """The parent's end of one process. A context manager."""

    def __init__(self) -> None:
        log, name = tempfile.mkstemp(prefix="ugatit-fast-bench-", suffix=".log")
        self.log = Path(name)
        self.process = subprocess.Popen(
            (sys.executable, "-c", PROGRAM, *[path or str(Path.cwd()) for path in sys.path]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # A group of its own, so that what it starts is stopped and ended with it; in this session, so that the
            # system wakes and ends the stopped group when this process is killed.
            process_group=0 if POSIX else None,
        )
        os.close(log)
        assert self.process.stdin is not None
        self.requests: IO[bytes] = self.process.stdin
        self.answers: queue.Queue[tuple[Status, Any] | None] = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.hangs = False
        self.ended = False

    def read(self) -> None:
        """Pass on answers as they come, and None when the process has gone. Runs on a thread of its own."""
        assert self.process.stdout is not None
        with self.process.stdout as answers, contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                self.answers.put(pickle.load(answers))  # noqa: S301 - from our own process
        self.answers.put(None)

    def ask(self, verb: str, *arguments: object, limit_seconds: float) -> Any:
        """One of `Session`'s verbs. Raises ContenderFailed; the process is of no use afterwards."""
        self.signal("SIGCONT")
        with contextlib.suppress(BrokenPipeError):  # a process that has gone says so through its answers
            pickle.dump((verb, arguments), self.requests)
            self.requests.flush()
        try:
            answer = self.answers.get(timeout=limit_seconds)
        except queue.Empty:
            self.hangs = True
            raise ContenderFailed("timed out", f"{verb} took longer than {limit_seconds:.0f} s") from None
        if answer is None:
            raise self.death(verb)
        self.signal("SIGSTOP")
        status, content = answer
        if status != "ok":
            raise ContenderFailed(status, content)
        return content

    def death(self, verb: str) -> ContenderFailed:
        """Why the process is gone."""
        self.end()
        code = self.process.returncode
        if code == KILLED:
            return ContenderFailed("out of memory", f"killed during {verb}, as systems do when memory runs out")
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        last = f": {lines[-1].strip()}" if lines else ""
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ContenderFailed("crashed", f"died of {how} during {verb}{last}")

    def close(self) -> None:
        """End the process and whatever it started."""
        self.end()
        self.log.unlink(missing_ok=True)

    def end(self) -> None:
        """Let the process finish, if it can, and kill what is left of it and its children."""
        if self.ended:
            return
        self.signal("SIGCONT")
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        self.reader.join(0 if self.hangs else GOODBYE_SECONDS)
        self.process.kill()
        self.signal("SIGKILL")  # before wait frees the number that names the group
        self.process.wait()
        self.reader.join()
        self.ended = True

    def signal(self, name: str) -> None:
        """Send a signal to the process and what it started; nothing on Windows."""
        if POSIX and not self.ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, getattr(signal, name))

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
