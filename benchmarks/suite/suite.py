"""A whole run of `ugatit-fast bench`: which networks, in which order, and what is written when."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from ugatit_fast.bench import endtoend, environment, pictures, scaling
from ugatit_fast.bench.contenders import PLAIN_ORT, TABLE, Case, Contender, Lazily
from ugatit_fast.bench.kernel_subjects import SUBJECTS
from ugatit_fast.bench.kernels import FUSED, measure_subject
from ugatit_fast.bench.limits import limits_of
from ugatit_fast.bench.networks import network_of
from ugatit_fast.bench.options import BenchOptions
from ugatit_fast.bench.outputs import refuse_taken
from ugatit_fast.bench.race import TIME_WAS_UP, Judged, race
from ugatit_fast.bench.random_weights import random_generator
from ugatit_fast.bench.results import (
    FULL,
    QUICK,
    SCHEMA_VERSION,
    KernelRow,
    Network,
    Results,
    Row,
    Settings,
    Target,
    write_results,
)
from ugatit_fast.bench.roofline import against_limits
from ugatit_fast.bench.widened import times_shipped, write_widened_checkpoint
from ugatit_fast.bench.worker import ContenderFailed, Worker
from ugatit_fast.checkpoint import read_checkpoint, save_generator
from ugatit_fast.choices import EIGHT_BITS, Device, Direction
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.export.calibration import calibration_pictures
from ugatit_fast.export.verify import exact_pictures
from ugatit_fast.machine import available_cores
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.progress import Say

QUICK_SIDE = 128
SEED = 0
BENCH_ENGINES = "ugatit_fast.bench.engines"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure."""

    files: tuple[Path, ...] = ()
    """Engines and checkpoints; none: seeded random weights."""
    configs: tuple[GeneratorConfig, ...] = (GeneratorConfig(light=True),)
    """Of the random weights."""
    sizes: tuple[tuple[int, int], ...] = ()
    """(height, width); none: the training size."""
    batches: tuple[int, ...] = (1,)
    directions: tuple[Direction, ...] = ("A2B",)
    device: Device = "auto"
    """As in `BenchOptions`."""
    names: tuple[str, ...] = ()
    """Contenders whose name has one of these in it; none: all."""
    quick: bool = False
    scaling: bool = False
    kernels: bool = False
    """Time the operations of kernels/ too."""
    force: bool = False
    """Replace the results that are where they go without an output."""

    @classmethod
    def of(cls, files: Sequence[Path], options: BenchOptions) -> "Plan":
        """What people ask for."""
        return cls(
            files=tuple(files),
            configs=(GeneratorConfig(light=options.network == "light"),),
            sizes=options.sizes,
            batches=options.batches,
            directions=("A2B", "B2A") if options.direction == "both" else (options.direction,),
            device=options.device,
            names=options.names,
            quick=options.quick,
            scaling=options.scaling,
            force=options.force,
        )

    def target(self) -> Target:
        if self.device != "auto":
            return self.device
        return "cuda" if environment.has_nvidia_gpu() else "cpu"

    def contenders(self, table: Sequence[Contender]) -> list[Contender]:
        """Those of a table that take part. Raises InputError where a name is nobody's."""
        known = ", ".join(dict.fromkeys(contender.name for contender in table))
        for name in self.names:
            if not any(name in contender.name for contender in table):
                raise InputError(f"no contender is called {name!r}; known: {known}")
        chosen = [one for one in table if not self.names or any(name in one.name for name in self.names)]
        return [one for one in chosen if one.quick or not self.quick or self.names]


@dataclass(frozen=True)
class Weights:
    """One checkpoint to measure, and engines made from it that people gave."""

    checkpoint: Path
    label: str
    """SHA-256, `random` or `widened`."""
    engines: tuple[tuple[Path, EngineSpec], ...] = ()


class Run:
    """The results so far; every change is on disk before the next measurement begins."""

    def __init__(self, output: Path, settings: Settings) -> None:
        self.output, self.started = output, perf_counter()
        self.deadline = self.started + (inf if settings.budget_seconds is None else settings.budget_seconds)
        self.results = Results(
            schema=SCHEMA_VERSION,
            machine=environment.machine(),
            settings=settings,
            started=environment.now(),
            seconds=0.0,
            conditions=(environment.condition(),),
        )

    def record(self, results: Results) -> None:
        self.results = replace(results, seconds=perf_counter() - self.started)
        write_results(self.results, self.output)


def run_suite(
    plan: Plan,
    output: Path | None = None,
    *,
    settings: Settings | None = None,
    table: Sequence[Contender] | None = None,
    say: Say = lambda _: None,
) -> tuple[Results, Path]:
    """Measure what `plan` says and write it to `output` (named after the machine unless given), after every round.

    table: the contenders; those of the plan's device unless given. Raises InputError for files or sizes that don't
    fit, for results that are there already and for what can't be written; nothing that a contender does raises.
    """
    target = plan.target()
    settings = settings or (QUICK if plan.quick else FULL)
    contenders = plan.contenders(TABLE[target] if table is None else table)
    output = output or default_output(plan.force)
    with tempfile.TemporaryDirectory(prefix="ugatit-fast-bench-") as scratch:
        cases = all_cases(plan, Path(scratch))  # before anything is written: what is asked for may not fit
        run = Run(output, settings)
        run.record(run.results)
        if plan.kernels:
            measure_kernels(run, target, settings, say)
        for weights, case in cases:
            say(f"{case.network.label}, {target}")
            own = [engine_contender(path, target) for path, spec in weights.engines if serves(spec, case.network)]
            measure_case(run, case, [*limits_of(target), *own, *contenders], settings, say)
        if plan.scaling:
            for case in {weights.checkpoint: case for weights, case in cases}.values():
                measure_scaling(run, case, [one for one in contenders if one.kind == "ours"], settings, say)
    run.record(replace(run.results, conditions=(*run.results.conditions, environment.condition())))
    return run.results, output


def default_output(force: bool) -> Path:
    """Named after the machine: among the committed results in a checkout, else in the current folder.

    Raises InputError where there is one already, unless `force`.
    """
    committed = Path("benchmarks/results")
    folder = committed if committed.is_dir() else Path()
    output = folder / f"{environment.file_stem(environment.machine().name)}.json"
    if not force:
        refuse_taken([output])
    return output


# What to measure --------------------------------------------------------------------------------------------------


def weights_of(plan: Plan, scratch: Path) -> list[Weights]:
    """The checkpoints of a plan. Raises InputError for an engine without the checkpoint that it was made from."""
    engines: list[tuple[Path, EngineSpec]] = []
    checkpoints: list[Path] = []
    for file in plan.files:
        try:
            engines.append((file, read_spec(file)))
        except EngineError:
            checkpoints.append(file)
    if not plan.files:
        return [weights_for(config, scratch) for config in plan.configs]
    digests = {path: read_checkpoint(path).sha256 for path in checkpoints}
    for path, spec in engines:
        if spec.checkpoint_sha256 not in digests.values():
            raise InputError(
                f"{path} can't be checked without the checkpoint it was made from (SHA-256 "
                f"{spec.checkpoint_sha256[:12]}...); name that too: ugatit-fast bench {path} CHECKPOINT"
            )
    return [
        Weights(path, digest, tuple(engine for engine in engines if engine[1].checkpoint_sha256 == digest))
        for path, digest in digests.items()
    ]


def weights_for(config: GeneratorConfig, scratch: Path) -> Weights:
    """The shipped generator widened, where that has the shape, because random weights say nothing about eight bits."""
    times = times_shipped(config)
    if times is None:
        return Weights(random_checkpoint(scratch, config), "random")
    path = scratch / f"widened-{config.ch}-{config.img_size}.safetensors"
    write_widened_checkpoint(path, times, img_size=config.img_size)
    return Weights(path, "widened")


def all_cases(plan: Plan, scratch: Path) -> list[tuple[Weights, Case]]:
    """Every network of a plan; those of one generator share a folder for what is built from it."""
    cases = []
    for i, weights in enumerate(weights_of(plan, scratch)):
        for case in cases_of(plan, weights, scratch / f"built-{i}"):
            case.folder.mkdir(parents=True, exist_ok=True)
            cases.append((weights, case))
    return cases


def random_checkpoint(scratch: Path, config: GeneratorConfig) -> Path:
    """Seeded random weights."""
    path = scratch / f"{'light' if config.light else 'full'}-{config.ch}-{config.n_res}-{config.img_size}.safetensors"
    if not path.exists():
        torch.manual_seed(SEED)
        save_generator(path, random_generator(config), "A2B")
    return path


def cases_of(plan: Plan, weights: Weights, folder: Path) -> Iterator[Case]:
    """Every direction, size and batch; weights that nobody gave have one direction."""
    for direction in plan.directions if weights.label not in ("random", "widened") else ("A2B",):
        checkpoint = read_checkpoint(weights.checkpoint, direction)
        config, side = checkpoint.config, checkpoint.config.training_side
        side = min(config.sides.above(QUICK_SIDE), side) if plan.quick and config.any_size else side
        for height, width in plan.sizes or ((side, side),):
            if not config.any_size and (height, width) != (side, side):
                raise InputError(
                    f"{weights.checkpoint.name} is a full generator, which serves {side}x{side} only; leave out "
                    f"{height}x{width}"
                )
            for batch in plan.batches:
                network = network_of(
                    checkpoint, (height, width), batch, threads=available_cores(), weights=weights.label
                )
                yield Case(weights.checkpoint, network, folder / direction)


def serves(spec: EngineSpec, network: Network) -> bool:
    fits = spec.check_size(network.height, network.width) is None
    return fits and spec.direction == network.direction and network.batch in (spec.batch_sizes or (network.batch,))


def engine_contender(path: Path, target: Target) -> Contender:
    """A file that somebody built, beside those that are built for the run."""
    spec = read_spec(path)
    load = Lazily(BENCH_ENGINES, "load", {"target": target})
    return Contender(path.name, "ours", target, spec.precision, (), "", load, file=path, quick=True)


def reference_of(case: Case) -> np.ndarray:
    """The reference generator on the first pictures, float32 (k, h, w, 3), one at a time to save memory."""
    network = case.network
    generator = read_checkpoint(case.checkpoint, network.direction).generator()
    chosen = pictures.pool(network.height, network.width)[: network.batch]
    return exact_pictures(generator, chosen)


def judged_photos(case: Case, contenders: Sequence[Contender]) -> list[Judged]:
    """The sample photos in batches of the case's size, where somebody computes in eight bits."""
    network = case.network
    if all(one.precision not in EIGHT_BITS for one in contenders):
        return []
    photos = calibration_pictures(None, (network.height, network.width))
    expected = exact_pictures(read_checkpoint(case.checkpoint, network.direction).generator(), photos)
    numbers = np.arange(-(-len(photos) // network.batch) * network.batch) % len(photos)
    return [Judged(np.stack(photos)[some], expected[some]) for some in numbers.reshape(-1, network.batch)]


# Measuring --------------------------------------------------------------------------------------------------------


def measure_case(run: Run, case: Case, contenders: Sequence[Contender], settings: Settings, say: Say) -> None:
    """Race one network and add its rows, limits and pipelines to the run."""
    before = run.results

    def keep(rows: list[Row]) -> None:
        judged, limits, rooflines = against_limits(rows)
        run.record(
            replace(
                before,
                rows=(*before.rows, *judged),
                limits=(*before.limits, *limits),
                rooflines=(*before.rooflines, *rooflines),
            )
        )

    photos = judged_photos(case, contenders)
    race(contenders, case, reference_of(case), settings, say, keep, run.deadline, photos)
    run.record(replace(run.results, conditions=(*run.results.conditions, environment.condition())))
    if settings.photos and case.network.batch == 1:
        measure_pipelines(run, case, contenders, settings, say)


def measure_kernels(run: Run, target: Target, settings: Settings, say: Say) -> None:
    """Every operation in a process of its own, so that one that hangs is a row."""
    for subject in chain.from_iterable(SUBJECTS[target].values()):
        say(f"kernel: {subject.name}")
        try:
            if perf_counter() > run.deadline:
                raise ContenderFailed("skipped", TIME_WAS_UP)
            with Worker() as worker:
                rows = worker.ask(
                    "run", measure_subject, subject, target, settings.turn_seconds, limit_seconds=settings.limit_seconds
                )
        except ContenderFailed as failed:
            rows = [KernelRow(subject.op, subject.shape_text, FUSED, failed.status, failed.reason)]
        run.record(replace(run.results, kernels=(*run.results.kernels, *rows)))


def measure_pipelines(run: Run, case: Case, contenders: Sequence[Contender], settings: Settings, say: Say) -> None:
    """Photos end to end through our engines, the best rival and plain ONNX Runtime."""
    rows = {row.contender: row for row in run.results.rows if row.network == case.network and row.latency is not None}
    rivals = [row for row in rows.values() if row.kind == "rival" and row.latency is not None]
    best = min(rivals, key=lambda row: row.latency.median_ms if row.latency else 0, default=None)
    chosen = {PLAIN_ORT, best.contender if best else PLAIN_ORT}
    for contender in contenders:
        if contender.name in rows and (contender.kind == "ours" or contender.name in chosen):
            say(f"  {settings.photos} photos: {contender.name}")
            pipeline = endtoend.measure(contender, case, contender.file, settings)
            run.record(replace(run.results, pipelines=(*run.results.pipelines, pipeline)))


def measure_scaling(run: Run, case: Case, contenders: Sequence[Contender], settings: Settings, say: Say) -> None:
    """Our engines along every axis from the network of `case`, batch 1."""
    brief = replace(settings, rounds=2, callers=1, photos=0)
    start = replace(case.network, batch=1)
    for contender in contenders:
        for axis, networks in scaling.scaled(start, contender.target).items():
            points: list[tuple[Network, float]] = []
            for network in networks:
                say(f"scaling, {axis}: {network.label}, {network.threads} threads")
                row = lone_row(case, network, contender, brief, say)
                if row.latency is not None:
                    points.append((network, row.latency.median_ms))
            if points:
                curve = scaling.curve(contender.name, axis, *zip(*points, strict=True))
                run.record(replace(run.results, curves=(*run.results.curves, curve)))


def lone_row(case: Case, network: Network, contender: Contender, settings: Settings, say: Say) -> Row:
    """One contender on one network, checked and timed as in a race."""
    checkpoint, folder = case.checkpoint, case.folder
    if network.ch != case.network.ch:
        config = GeneratorConfig(ch=network.ch, n_res=network.n_res, light=network.light)
        folder = case.folder / f"ch-{network.ch}"
        folder.mkdir(exist_ok=True)
        checkpoint = random_checkpoint(folder, config)
    scaled_case = Case(checkpoint, network, folder)
    return race([contender], scaled_case, reference_of(scaled_case), settings, say, lambda rows: None)[0]
