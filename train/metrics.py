"""How a run is going: a line for people, a line of JSON, and TensorBoard's events if wanted."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.files import write_errors
from ugatit_fast.machine import pip_install
from ugatit_fast.progress import Say
from ugatit_fast.train.distributed import Worker
from ugatit_fast.train.settings import TrainSettings

METRICS = "metrics.jsonl"
"""The file of a run's losses, in its folder."""
SMALL_CH, SMALL_SIDE = 16, 128
"""Of the shipped pair: what a machine without a GPU trains in about an hour."""


class Board(Protocol):
    """As much as we use of TensorBoard's writer, which has no types of its own."""

    def add_scalar(self, tag: str, scalar_value: object, global_step: int) -> None: ...

    def close(self) -> None: ...


class Metrics:
    """Writes metrics.jsonl in the run's folder, and what `say` prints."""

    def __init__(self, settings: TrainSettings, device: torch.device, first_step: int, say: Say) -> None:
        """first_step: steps done before; lines of later ones, from a run that was cut off, are dropped."""
        self.settings = settings
        self.device = device
        self.say = say
        self.path = settings.output / METRICS
        self.board = open_board(settings.output, first_step) if settings.tensorboard else None
        drop_after(self.path, first_step)
        self.last_time, self.last_step = perf_counter(), first_step

    def first(self, losses: Mapping[str, Tensor]) -> None:
        """Say how long the run's first step took, whose losses these are, and what that means for the rest."""
        for loss in losses.values():
            loss.item()  # a GPU is done by then
        each_s = perf_counter() - self.last_time
        left = self.settings.iterations - self.last_step - 1
        if left:
            self.say(
                f"the first step took {each_s:.2g} s, getting ready included; at that pace the other {left:,} take "
                f"{as_time(each_s * left)}{self.smaller()}"
            )

    def smaller(self) -> str:
        """How much less there is to do at the size of the shipped pair; nothing for runs as small."""
        less = (self.settings.ch / SMALL_CH) ** 2 * (self.settings.img_size / SMALL_SIDE) ** 2
        if less < 2:
            return ""
        return f"; --ch {SMALL_CH} --img-size {SMALL_SIDE} is about {less:.0f} times less arithmetic"

    def log(self, step: int, losses: Mapping[str, float], rate: float, skipped: int) -> None:
        """losses: means since the last line; rate: learning rate; skipped: unreadable files met so far.

        Speed and time left are those of the steps since the last line, so that a machine that slept, or was slower
        for a while, is soon forgotten.
        """
        now = perf_counter()
        each_s = (now - self.last_time) / (step - self.last_step)
        self.last_time, self.last_step = now, step
        per_second = 2 * self.settings.batch_size / each_s
        left_s = each_s * (self.settings.iterations - step)
        memory = peak_memory_bytes(self.device)
        record: dict[str, object] = {"step": step, **losses, "lr": rate, "images_per_second": per_second}
        record |= {"memory_bytes": memory, "seconds_left": left_s, "files_skipped": skipped}
        with write_errors(self.path), self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self.board is not None:
            for name, value in record.items():
                if value is not None:
                    self.board.add_scalar(name, value, step)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
        used = "" if memory is None else f"{memory / 1e9:.2f} GB  "
        self.say(
            f"step {step}/{self.settings.iterations}  {shown}  {per_second:.3g} images/s  {used}{as_time(left_s)} left"
        )

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


@contextmanager
def open_metrics(settings: TrainSettings, worker: Worker, first_step: int, say: Say) -> Iterator[Metrics | None]:
    """The metrics of the run; None in the processes that don't write."""
    if not worker.leads:
        yield None
        return
    metrics = Metrics(settings, worker.device, first_step, say)
    try:
        yield metrics
    finally:
        metrics.close()


def open_board(folder: Path, first_step: int) -> Board:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BackendUnavailable(
            f"TensorBoard isn't installed; {pip_install('train')}, or leave out --tensorboard"
        ) from error
    board: Board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
    return board


def drop_after(path: Path, step: int) -> None:
    """Drop the lines of metrics.jsonl that a run which goes on after `step` will write again."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines(keepends=True) if json.loads(line)["step"] <= step]
        path.write_text("".join(kept))


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most that the run has used: of the GPU's memory by tensors, or of the machine's by the process (None on
    Windows, which doesn't tell).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes


def as_time(seconds: float) -> str:
    """3 d 4 h, 4 h 5 min, 5 min 6 s or 6 s: the largest unit and, where there is any of it, the next one."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((at for at, (_, size) in enumerate(units) if seconds >= size), len(units) - 1)
    rest, parts = int(seconds), list[str]()
    for name, size in units[first : first + 2]:
        if rest >= size or not parts:
            parts.append(f"{rest // size} {name}")
        rest %= size
    return " ".join(parts)
