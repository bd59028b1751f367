"""All contenders of one network against each other: opened, checked, warmed up, then timed in interleaved rounds.

In a round every contender has its turn, one after the other, each time beginning with another one. What slows the
machine for some seconds slows a whole round, and ratios are taken within rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from time import perf_counter

import numpy as np

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.runtimes import BUILT
from ugatit_fast.bench import clock
from ugatit_fast.bench.contenders import Case, Contender
from ugatit_fast.bench.networks import config_of
from ugatit_fast.bench.pictures import POOL
from ugatit_fast.bench.results import IDENTICAL_DB, Row, Settings, Throughput
from ugatit_fast.bench.worker import ContenderFailed, Worker
from ugatit_fast.choices import EIGHT_BITS
from ugatit_fast.export.verify import Difference, difference
from ugatit_fast.model import Config
from ugatit_fast.progress import Say

MAX_CALLS = 500
"""Of one contender in one turn: enough for any percentile."""
TIME_WAS_UP = "the time for this run was up before its turn"


@dataclass(frozen=True)
class Judged:
    """Pictures that a contender is judged by."""

    batch: Images
    expected: np.ndarray
    """What the reference generator makes of them, float (n, h, w, 3) in [-1, 1], unrounded."""


@dataclass
class Entry:
    """A contender and what is known of it so far."""

    contender: Contender
    row: Row
    worker: Worker | None = None
    calls: int = 1
    """In a turn."""
    steady: bool = True
    rounds: list[list[float]] = field(default_factory=list)
    bursts: list[tuple[int, float]] = field(default_factory=list)

    def fail(self, failed: ContenderFailed) -> None:
        install = self.contender.install if failed.status == "missing" else None
        self.row = replace(self.row, status=failed.status, reason=failed.reason, install=install)
        self.close()

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    @property
    def process(self) -> Worker:
        assert self.worker is not None, "the contender has been opened, and hasn't failed"
        return self.worker

    @property
    def rounds_ms(self) -> tuple[float, ...]:
        return tuple(float(np.median(times)) for times in self.rounds)

    def finished_row(self) -> Row:
        """The row with the figures of its rounds so far."""
        if not self.rounds or self.row.status != "unfinished":
            return self.row
        times = clock.spread([time for turn in self.rounds for time in turn])
        batch = self.row.network.batch
        throughput = None
        if self.bursts:
            throughput = Throughput(self.bursts[0][0], float(np.median([rate for _, rate in self.bursts])))
        return replace(
            self.row,
            status="ok",
            latency=times,
            rounds_ms=self.rounds_ms,
            noisy=clock.is_wide(times) or not self.steady,
            images_per_second=batch / times.median_ms * 1e3,
            throughput=throughput,
        )


def race(
    contenders: Sequence[Contender],
    case: Case,
    reference: np.ndarray,
    settings: Settings,
    say: Say,
    after_round: Callable[[list[Row]], None],
    deadline: float = inf,
    photos: Sequence[Judged] = (),
) -> list[Row]:
    """Time all contenders that can be opened.

    reference: what the reference generator makes of the first pictures of `pictures.pool`, float (k, h, w, 3) in
    [-1, 1], unrounded. photos: what eight bits are judged by instead, whose scales are from photos.
    after_round: called with all rows whenever they changed. deadline: of `perf_counter`, after which no rival is
    opened any more. Nothing that a contender does raises.
    """
    entries = [
        Entry(one, Row(one.name, one.kind, one.target, one.precision, case.network, "unfinished")) for one in contenders
    ]
    try:
        for entry in entries:
            say(f"  {entry.contender.name}")
            try:
                if entry.contender.kind == "rival" and perf_counter() > deadline:
                    raise ContenderFailed("skipped", TIME_WAS_UP)
                open_entry(entry, case, reference, settings, photos)
            except ContenderFailed as failed:
                entry.fail(failed)
                say(f"    {failed.status}: {failed.reason}")
            after_round(rows_of(entries))
        for i in range(settings.rounds):
            say(f"  round {i + 1} of {settings.rounds}")
            for entry in running(entries, i):
                guarded(entry, lambda entry=entry: take_turn(entry, settings))  # type: ignore[misc]
            after_round(rows_of(entries))
        for i in range(settings.throughput_rounds if settings.callers > 1 else 0):
            for entry in running(entries, i):
                guarded(entry, lambda entry=entry: take_burst(entry, settings))  # type: ignore[misc]
        for entry in running(entries, 0):
            guarded(entry, lambda entry=entry: note_memory(entry, settings))  # type: ignore[misc]
        after_round(rows_of(entries))
    finally:
        for entry in entries:
            entry.close()
    return rows_of(entries)


def running(entries: list[Entry], first: int) -> list[Entry]:
    """Those still in the race, beginning with another one each time."""
    alive = [entry for entry in entries if entry.worker is not None]
    start = first % len(alive) if alive else 0
    return alive[start:] + alive[:start]


def guarded(entry: Entry, step: Callable[[], None]) -> None:
    try:
        step()
    except ContenderFailed as failed:
        entry.fail(failed)


# The steps of one contender ---------------------------------------------------------------------------------------


def open_entry(entry: Entry, case: Case, reference: np.ndarray, settings: Settings, photos: Sequence[Judged]) -> None:
    """Build, load, check the pictures, warm up. Raises ContenderFailed."""
    contender, limit = entry.contender, settings.limit_seconds
    if reason := contender.missing():
        raise ContenderFailed("missing", reason)
    if no_such_engine(contender, config_of(case.network)):
        raise ContenderFailed("skipped", f"a generator of {case.network.architecture} has no such form in eight bits")
    file = contender.file
    if contender.build is not None:
        with Worker() as builder:
            file, seconds = builder.ask("build", contender, case, limit_seconds=limit)
        entry.row = replace(entry.row, build_seconds=seconds)
    if file is not None:
        entry.row = replace(entry.row, file_bytes=size_of(file))
    entry.worker = Worker()
    compiled, loaded = entry.worker.ask("load", contender, case, file, limit_seconds=limit)
    built = (entry.row.build_seconds or 0) + compiled
    entry.row = replace(entry.row, build_seconds=built or None, load_seconds=loaded)
    if contender.kind != "limit" and contender.precision in EIGHT_BITS and photos:
        made = [entry.worker.ask("translate", one.batch, limit_seconds=limit) for one in photos]
        check(entry, np.concatenate(made), np.concatenate([one.expected for one in photos]))
    elif contender.kind != "limit":
        expected = reference[np.arange(case.network.batch) % POOL]
        check(entry, entry.worker.ask("translate", limit_seconds=limit), expected)
    each_ms, entry.steady = entry.worker.ask("settle", settings.turn_seconds, limit_seconds=limit)
    entry.calls = max(1, min(MAX_CALLS, round(settings.turn_seconds * 1e3 / each_ms)))


def no_such_engine(contender: Contender, config: Config) -> bool:
    """Whether it is an engine of ours in eight bits that `build_engine` would refuse for a generator."""
    if contender.kind != "ours" or contender.precision not in EIGHT_BITS:
        return False
    kind = contender.build.options["kind"] if contender.build else None
    of_rows = any(one.kind == kind and one.forms[contender.precision] == "rows" for one in BUILT)
    return not config.eight_bits or (of_rows and not config.by_rows)


def size_of(file: Path) -> int:
    """With the weights that lie beside it, where they do."""
    beside = file.with_name(f"{file.name}.data"), file.with_suffix(".bin")  # ONNX's, OpenVINO's
    return sum(one.stat().st_size for one in (file, *beside) if one.is_file())


def check(entry: Entry, translated: Images, expected: np.ndarray) -> None:
    """Note how far the pictures are from those expected; ContenderFailed where they are too far.

    Ours must pass the gate of their precision, and so must eight bits of others; other rivals the one for float16.
    """
    contender = entry.contender
    if translated.shape != expected.shape or translated.dtype != np.uint8:
        raise ContenderFailed(
            "wrong pictures", f"expected uint8 {expected.shape}, got {translated.dtype} {translated.shape}"
        )
    found: Difference = difference(translated, expected)
    entry.row = replace(entry.row, psnr_db=min(found.psnr_db, IDENTICAL_DB), max_abs=found.max_abs)
    own_gate = contender.kind == "ours" or contender.precision in EIGHT_BITS
    if not found.passes(contender.precision if own_gate else "fp16"):
        raise ContenderFailed("wrong pictures", found.describe())


def take_turn(entry: Entry, settings: Settings) -> None:
    times: list[float] = entry.process.ask("turn", entry.calls, limit_seconds=settings.limit_seconds)
    entry.rounds.append(times)


def take_burst(entry: Entry, settings: Settings) -> None:
    if entry.contender.kind == "limit":
        return
    burst: tuple[int, float] = entry.process.ask(
        "burst", settings.callers, entry.calls, limit_seconds=settings.limit_seconds
    )
    entry.bursts.append(burst)


def note_memory(entry: Entry, settings: Settings) -> None:
    memory: tuple[int | None, int | None] = entry.process.ask("memory", limit_seconds=settings.limit_seconds)
    host, device = memory
    entry.row = replace(entry.row, host_peak_bytes=host, device_bytes=device)


# Rows against each other ------------------------------------------------------------------------------------------


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """All rows so far, in the order of the table, each against the best rival."""
    return against_best_rival([entry.finished_row() for entry in entries])


def against_best_rival(rows: Sequence[Row]) -> list[Row]:
    """The rows with `times_best_rival`: the rival whose median is the smallest, and ratios within rounds."""
    rivals = [row for row in rows if row.kind == "rival" and row.latency is not None]
    if not rivals:
        return list(rows)
    best = min(rivals, key=lambda row: row.latency.median_ms if row.latency else 0)
    return [
        replace(row, times_best_rival=clock.times_as_fast(row.rounds_ms, best.rounds_ms))
        if row.rounds_ms and row.kind != "limit"
        else row
        for row in rows
    ]
