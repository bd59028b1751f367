"""The training run, from top to bottom. To change the method, edit this loop and `step.py`."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import torch
from torch import Tensor

from ugatit_fast.errors import InputError, TrainingError, first_line
from ugatit_fast.files import make_folder
from ugatit_fast.machine import Stop, memory_bytes, stopping_signals
from ugatit_fast.progress import Counted, Say
from ugatit_fast.train.checkpoints import (
    checkpoint_name,
    checkpoints_in,
    export_official,
    is_finite,
    prune,
    restore,
    save_checkpoint,
    save_latest,
    start_from,
)
from ugatit_fast.train.data import Places, batches, on_device, training_files
from ugatit_fast.train.distributed import Worker, any_of_us, joined, mean_over_processes
from ugatit_fast.train.failures import is_out_of_memory, memory_advice
from ugatit_fast.train.metrics import open_metrics
from ugatit_fast.train.run_folder import Layout, held
from ugatit_fast.train.run_page import PAGE, write_page
from ugatit_fast.train.samples import sample_pictures, save_samples
from ugatit_fast.train.settings import TrainSettings
from ugatit_fast.train.step import Trainer, learning_rate


@dataclass(frozen=True)
class Run:
    """Everything that a training run is about."""

    settings: TrainSettings
    worker: Worker
    trainer: Trainer
    files: tuple[list[Path], list[Path]]
    """Pictures of domains A and B."""
    layout: Layout
    say: Say
    on_progress: Counted
    """Called with the steps done and those in all."""

    @property
    def checkpoints(self) -> Path:
        """The folder that they are in."""
        return self.settings.output / self.layout.checkpoints


@dataclass(frozen=True)
class Trained:
    """How a run ended."""

    checkpoint: Path
    step: int
    stopped: bool
    """By Ctrl-C or SIGTERM, before its last step."""


LAYOUT = Layout()
LATEST_EVERY = 1000
"""Steps from one `save_latest` to the next, as in the published code."""


def unseen(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def silent(line: str) -> None:
    """Words that nobody hears."""


def train(
    settings: TrainSettings,
    *,
    resume: bool = False,
    layout: Layout = LAYOUT,
    say: Say = print,
    on_progress: Counted = unseen,
) -> Trained:
    """Train, or go on with the run in `settings.output`, until the last step or until Ctrl-C or SIGTERM.

    Started by torchrun, each process takes its share of every batch. `say` gets lines of progress, and `on_progress`
    the steps done and those in all, from the first process only. Raises InputError for data and folders that can't be
    used, CheckpointError for a checkpoint that doesn't fit, TrainingError where the run can't go on: it names the
    checkpoint to resume from.
    """
    with (
        joined(settings.device, settings.batch_size) as worker,
        held(settings.output) if worker.leads else nullcontext(),
        training_errors(settings, worker, settings.output / layout.checkpoints),
    ):
        if not worker.leads:
            say, on_progress = silent, unseen
        return loop(begun(settings, worker, layout, say, on_progress, resume=resume))


def begun(
    settings: TrainSettings, worker: Worker, layout: Layout, say: Say, on_progress: Counted, *, resume: bool
) -> Run:
    """The run at the step where it begins: the first, or that of the last checkpoint."""
    folder = settings.output / layout.checkpoints
    found = checkpoints_in(folder)
    if found and not resume:
        raise InputError(f"{settings.output} holds a run already; go on with it (--resume), or choose another --output")
    if resume and not found:
        raise InputError(f"{folder} holds no checkpoint to resume from; check --output, or leave out --resume")
    files = training_files(settings.data)
    for name, value in settings.plain().items():
        say(f"{name:16} {value}")
    say(f"{len(files[0])} pictures of domain A, {len(files[1])} of domain B; training on {worker.device}")
    say(f"how it goes: {settings.output / PAGE}, which keeps itself up to date")

    trainer = Trainer(settings, worker.device)
    if found:
        for change in restore(trainer, found[-1]):
            say(f"changed since: {change}")
        say(f"resuming from {found[-1]}")
    elif settings.start_from is not None:
        start_from(trainer, settings.start_from)
    return Run(settings, worker, trainer, files, layout, say, on_progress)


@contextmanager
def training_errors(settings: TrainSettings, worker: Worker, folder: Path) -> Iterator[None]:
    """What PyTorch raises in the middle of a step, whose state is no checkpoint, says what to do and what is left."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise TrainingError(f"{memory_advice(settings, memory_of(worker))}{what_remains(folder)}") from error
        if "DataLoader worker" in str(error):
            raise TrainingError(
                f"a process that loads images died, often for want of memory, which fewer --workers need less of "
                f"({first_line(error)}){what_remains(folder)}"
            ) from error
        raise


def memory_of(worker: Worker) -> int | None:
    """Of the GPU, or of the machine."""
    if worker.device.type == "cuda":
        return torch.cuda.get_device_properties(worker.device).total_memory
    return memory_bytes()


def loop(run: Run) -> Trained:
    """Train from the trainer's step to the last one."""
    settings, worker, trainer = run.settings, run.worker, run.trainer
    places = Places(trainer.step, settings.iterations, settings.batch_size, worker.rank, worker.count)
    pictures = sample_pictures(settings.data, settings.img_size) if worker.leads else None
    saved_step = trainer.step if checkpoints_in(run.checkpoints) else None
    skipped: set[str] = set()
    losses: list[dict[str, Tensor]] = []  # since the last line of progress

    with (
        stopping_signals() as stop,
        answered(stop, run.say),
        open_metrics(settings, worker, trainer.step, run.say) as metrics,
    ):
        run.on_progress(trainer.step, settings.iterations)
        show(run, last=trainer.step == settings.iterations)
        for batch in batches(settings, run.files, places):
            for reason in set(batch.skipped) - skipped:
                warnings.warn(f"skipped: {reason}", stacklevel=2)
                skipped.add(reason)

            losses.append(trainer.train_step(on_device(batch.a, worker.device), on_device(batch.b, worker.device)))

            step = trainer.step
            if metrics is not None and step == places.first + 1:
                metrics.first(losses[0])
            run.on_progress(step, settings.iterations)
            last = step == settings.iterations or any_of_us(stop.asked, worker.device)
            saving = last or step % settings.save_every == 0
            if saving or step % settings.log_every == 0:
                means = mean_losses(losses, step, run.checkpoints)
                losses.clear()
                if metrics is not None:
                    with disk_may_be_full():
                        metrics.log(step, means, learning_rate(settings, step), len(skipped))
            if pictures is not None and (last or step % settings.sample_every == 0):
                with disk_may_be_full():
                    save_samples(trainer, pictures, settings.output / run.layout.samples)
            if saving or step % settings.log_every == 0 or step % settings.sample_every == 0:
                show(run, last=last)
            if saving and not last:
                with disk_may_be_full():
                    save(run)
                    saved_step = step
            if run.layout.latest and worker.leads and (last or step % LATEST_EVERY == 0):
                with disk_may_be_full():
                    refuse_infinite(run)
                    save_latest(trainer, settings.output)
            if last:
                break

    if saved_step != trainer.step:
        save(run)
    checkpoint = run.checkpoints / checkpoint_name(settings, trainer.step)
    return Trained(checkpoint, trainer.step, trainer.step < settings.iterations)


def show(run: Run, *, last: bool) -> None:
    """On the run's page, how it stands."""
    if run.worker.leads:
        with disk_may_be_full():
            write_page(run.settings, run.layout, run.trainer.step, last=last)


@contextmanager
def answered(stop: Stop, say: Say) -> Iterator[None]:
    """Say at once that a signal came, whose step may still take a while.

    By a thread of its own, since a signal handler that prints may interrupt a print.
    """
    alone = False

    def answer() -> None:
        stop.wait()
        if not alone:
            say("finishing this step, then saving; Ctrl-C once more stops without saving")

    thread = Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        alone = not stop.asked
        stop.event.set()
        thread.join()


def save(run: Run) -> None:
    """Write a checkpoint, and let go of old ones; never one with weights that aren't numbers."""
    trainer = run.trainer
    refuse_infinite(run)
    if run.worker.leads:
        checkpoint = run.checkpoints / checkpoint_name(run.settings, trainer.step)
        make_folder(run.checkpoints)
        save_checkpoint(trainer, checkpoint)
        if run.layout.published is not None:
            export_official(checkpoint, run.settings.output / run.layout.published)
        prune(run.checkpoints, run.settings.keep)


def refuse_infinite(run: Run) -> None:
    """TrainingError where a weight isn't a number."""
    if not is_finite(run.trainer):
        step, remains = run.trainer.step, what_remains(run.checkpoints)
        raise TrainingError(f"the weights are no longer finite at step {step}{remains}")


def mean_losses(losses: list[dict[str, Tensor]], step: int, folder: Path) -> dict[str, float]:
    """Means over steps and processes. TrainingError where one isn't finite."""
    table = torch.stack([torch.stack(list(of_step.values())) for of_step in losses])
    means = dict(zip(losses[0], mean_over_processes(table.mean(dim=0)).tolist(), strict=True))
    wrong = [name for name, mean in means.items() if not math.isfinite(mean)]
    if wrong:
        raise TrainingError(
            f"the loss is no longer finite ({', '.join(wrong)}) in the {len(losses)} steps to step {step}"
            f"{what_remains(folder)}; a smaller --lr or --precision fp32 may help"
        )
    return means


@contextmanager
def disk_may_be_full() -> Iterator[None]:
    """What can't be written costs a file, not the run."""
    try:
        yield
    except InputError as error:
        warnings.warn(f"{error}; training goes on", stacklevel=3)


def what_remains(folder: Path) -> str:
    """The last good checkpoint, for the end of an error message."""
    found = checkpoints_in(folder)
    return f"; the last good checkpoint is {found[-1]} (--resume)" if found else "; there is no checkpoint yet"
