"""What became of each photo of a run, as it becomes known: behind the progress that is told, and the report."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from ugatit_fast.progress import Counted
from ugatit_fast.translate.report import Failure, OnFailure, Report, StageSeconds
from ugatit_fast.translate.sources import ClipSource, Source


class Ledger:
    """Only the thread that drives the run writes in it."""

    def __init__(self, on_progress: Counted | None, on_failure: OnFailure | None) -> None:
        self.on_progress = on_progress or (lambda done, total: None)
        self.on_failure = on_failure or (lambda failure: None)
        self.translated: list[Source] = []
        self.skipped: list[Source] = []
        self.failures: dict[PurePath, Failure] = {}
        self.stages = StageSeconds()
        self.wall_seconds = 0.0
        self.frames = 0
        self.done, self.total = 0, 0

    def expect(self, count: int) -> None:
        """So many more photos, or frames of a clip, will come."""
        self.total += count

    def skip(self, sources: Sequence[Source]) -> None:
        """Their translations are there already."""
        self.skipped += sources
        self.done += len(sources)

    def succeed(self, source: Source) -> None:
        self.translated.append(source)
        self.failures.pop(source.relative, None)  # what has been mended since
        self.tell()

    def fail(self, source: Source, failure: Failure) -> None:
        self.failures[source.relative] = failure
        self.on_failure(failure)
        self.tell()

    def count_frame(self) -> None:
        """A frame of a clip has been translated."""
        self.frames += 1
        self.tell()

    def tell(self) -> None:
        self.done += 1
        self.on_progress(self.done, self.total)

    def seen(self) -> set[PurePath]:
        """The names of all that have come so far."""
        return {source.relative for source in self.translated + self.skipped} | self.failures.keys()

    def report(self, out: Path, page: Path | None) -> Report:
        """out: what the run writes to."""
        return Report(
            translated=tuple(out / source.relative for source in self.translated),
            failures=tuple(self.failures.values()),
            out=out,
            page=page,
            wall_seconds=self.wall_seconds,
            stages=self.stages,
            skipped=len(self.skipped),
            clips=sum(isinstance(source, ClipSource) for source in self.translated),
            frames=self.frames,
        )
