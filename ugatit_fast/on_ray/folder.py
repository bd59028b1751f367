"""Many photos through many engines with Ray Data.

    sources -> blocks of them -> replicas, each with an engine and the pipeline around it -> files -> one report

Photos are read and translations written by the replicas, so every machine of the cluster must see the same disk under
the same names; nothing but names and outcomes goes through Ray.
"""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from logging import ERROR, getLogger
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ugatit_fast.errors import BackendUnavailable, InputError, UgatitFastError
from ugatit_fast.on_ray.cluster import cluster, import_ray, load, resources
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.progress import Counted
from ugatit_fast.translate.options import Request, TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.report import Failure, OnFailure, Report, StageSeconds
from ugatit_fast.translate.request import work_of
from ugatit_fast.translate.sinks import FolderSink, open_sink
from ugatit_fast.translate.sources import Source

Block = dict[str, Any]
"""Columns of photos, or of what became of them, by name."""

BLOCK = 32
"""Most photos that a replica takes at once, and has to do again where it dies."""
BLOCKS_EACH = 4
"""At least as many for each replica, where there are photos enough, so that all end at about the same time."""
WRITTEN, FAILED, SKIPPED = 0, 1, 2


def translate_on_ray(
    engine: Path,
    sources: Sequence[Source],
    out: Path,
    options: TranslateOptions,
    ray_options: RayOptions,
    *,
    heatmap: bool = False,
    on_progress: Counted = lambda done, total: None,
    on_failure: OnFailure = lambda failure: None,
) -> Report:
    """As `pipeline.translate_files` into a folder, by `ray_options.replicas` engines at once, and without a gallery.

    A replica that dies is replaced, and its photos are translated again. `skip_existing` goes on with a run that ended
    early. Of the report's stages, the engine's is the mean of the replicas. Raises as `translate_files` and `cluster`
    do.
    """
    faces = options.face_model.absolute() if options.face_model else None
    options = replace(options, gallery=False, face_model=faces)
    if not isinstance(open_sink(out), FolderSink) or not all(type(source) is Source for source in sources):
        raise InputError("on Ray, photos are files or in folders, and translations go to a folder; leave --on out")
    start = time.perf_counter()
    with cluster(ray_options, [engine]):
        ray = import_ray()
        getLogger("ray.data").setLevel(ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        block = min(BLOCK, math.ceil(len(sources) / ray_options.replicas / BLOCKS_EACH))
        blocks = math.ceil(len(sources) / block)
        rows = [
            {"index": i, "path": os.fsencode(source.path.absolute()), "name": os.fsencode(source.relative)}
            for i, source in enumerate(sources)
        ]
        outcomes = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Replica,
            fn_constructor_args=(engine.absolute(), out.absolute(), options, ray_options, heatmap),
            batch_size=block,
            compute=ray.data.ActorPoolStrategy(size=min(ray_options.replicas, blocks)),
            **resources(ray_options, engine),
        )
        done = Outcomes(sources)
        try:
            for block in outcomes.iter_batches(batch_size=None):
                for failure in done.add(block):
                    on_failure(failure)
                on_progress(len(done.fates), len(sources))
        except ray.exceptions.RayError as error:
            raise BackendUnavailable(f"Ray gave up ({str(error).strip().splitlines()[-1]})") from error
    return done.report(out, time.perf_counter() - start, ray_options.replicas)


def translate_request_on_ray(
    engine: Path,
    inputs: Sequence[str],
    output: Path,
    *,
    request: Request,
    options: TranslateOptions,
    ray_options: RayOptions,
    on_progress: Counted = lambda done, total: None,
    on_failure: OnFailure = lambda failure: None,
) -> Report:
    """As `request.translate_request`, on Ray. Also raises InputError for what can't be done there."""
    if request.watch or request.stack:
        raise InputError("--watch and --stack can't be done on Ray; leave them out, or --on ray")
    work = work_of(inputs, output, request, options)
    return translate_on_ray(
        engine,
        work.sources,
        work.out,
        work.options,
        ray_options,
        heatmap=request.heatmap,
        on_progress=on_progress,
        on_failure=on_failure,
    )


class Replica:
    """An engine in a process of Ray's."""

    def __init__(
        self, engine: Path, out: Path, options: TranslateOptions, ray_options: RayOptions, heatmap: bool
    ) -> None:
        self.translator = load(ray_options, engine, heatmap=heatmap)
        self.out = out
        self.options = replace(options, threads=ray_options.cores)

    def __call__(self, block: Block) -> Block:
        """Translate a block of photos. Returns each one's fate and reason, and of the block what stopped it and the
        stages' seconds, in its first row.
        """
        n = len(block["index"])
        sources = [
            Source(Path(os.fsdecode(path)), PurePath(os.fsdecode(name)))
            for path, name in zip(block["path"], block["name"], strict=True)
        ]
        try:
            report = translate_files(self.translator, sources, self.out, self.options)
        except UgatitFastError as error:  # of the run, not of a photo: a full disk, say
            return self.answer(block, [FAILED] * n, [""] * n, StageSeconds(), str(error))
        reasons = {failure.path: failure.reason for failure in report.failures}
        written = set(report.translated)
        fates = [
            WRITTEN if self.out / source.relative in written else FAILED if source.path in reasons else SKIPPED
            for source in sources
        ]
        return self.answer(block, fates, [reasons.get(source.path, "") for source in sources], report.stages, "")

    def answer(self, block: Block, fates: list[int], reasons: list[str], stages: StageSeconds, stopped: str) -> Block:
        first = np.arange(len(fates)) == 0
        return {
            "index": block["index"],
            "fate": np.array(fates),
            "reason": np.array([os.fsencode(reason) for reason in reasons], object),
            "stopped": np.array([os.fsencode(stopped)] * len(fates), object),
            **{name: np.where(first, seconds, 0.0) for name, seconds in asdict(stages).items()},
        }


class Outcomes:
    """What has come back from the replicas, in any order."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.fates: dict[int, int] = {}
        self.failures: dict[int, Failure] = {}
        self.stages = StageSeconds()

    def add(self, block: Block) -> list[Failure]:
        """Take note of a block. Returns its failures. Raises InputError where it stopped the run."""
        for stopped in block["stopped"]:
            if stopped:
                raise InputError(os.fsdecode(stopped))
        for name in vars(self.stages):
            setattr(self.stages, name, getattr(self.stages, name) + float(block[name].sum()))
        failures = {}
        for index, fate, reason in zip(block["index"], block["fate"], block["reason"], strict=True):
            self.fates[int(index)] = int(fate)
            if fate == FAILED:
                failures[int(index)] = Failure(self.sources[index].path, os.fsdecode(reason))
        self.failures |= failures
        return list(failures.values())

    def report(self, out: Path, wall_seconds: float, replicas: int) -> Report:
        """In the order that the photos were given."""
        return Report(
            translated=tuple(out / s.relative for i, s in enumerate(self.sources) if self.fates.get(i) == WRITTEN),
            failures=tuple(self.failures[i] for i in sorted(self.failures)),
            out=out,
            page=None,
            wall_seconds=wall_seconds,
            stages=replace(self.stages, engine=self.stages.engine / replicas),
            skipped=sum(fate == SKIPPED for fate in self.fates.values()),
        )
