"""Many photos and clips through one engine.

    sources -> what is to be skipped -> photos (`flow`), then clips (`clip_files`) -> page -> report

What goes wrong with a photo or a clip is its own failure: it is reported, and the others go on. Only a place that takes
no more files (`PlaceError`) ends the run: the next photo would meet the same full disk.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, InputError, PlaceError
from ugatit_fast.files import make_folder
from ugatit_fast.machine import available_cores
from ugatit_fast.media.clip import ClipError
from ugatit_fast.media.folders import HEATMAP_FOLDER, INPUT_FOLDER
from ugatit_fast.progress import Counted
from ugatit_fast.translate import gallery
from ugatit_fast.translate.clip_files import translate_clip_file
from ugatit_fast.translate.flow import Flow
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.ledger import Ledger
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.products import Product, Stack, Translation
from ugatit_fast.translate.refusals import refuse_contradictions, refuse_overwriting
from ugatit_fast.translate.report import Failure, OnFailure, Report
from ugatit_fast.translate.sinks import FolderSink, Sink, open_sink
from ugatit_fast.translate.sources import ClipSource, Source
from ugatit_fast.translator import Translates


def translate_files(
    translator: Translates,
    sources: Sequence[Source],
    out: Path,
    options: TranslateOptions | None = None,
    *,
    stack: Translates | None = None,
    on_progress: Counted | None = None,
    on_failure: OnFailure | None = None,
) -> Report:
    """Translate photos (from `sources.find_images`) into `out`, under their relative names.

    out: a folder, made if missing; a zip archive (`.zip`), which appears when the run ends; `-`, stdout, for one photo.
    stack: the engine of the other direction; the published seven tiles are written in place of the translations.

    Memory does not grow with the number of photos. A photo that can't be read, or framed as the options say, is a
    `Failure` in the report. Whatever ends the run early (Ctrl-C too), every file in `out` is whole.

    Raises InputError for a size the engine doesn't serve, options that don't go together, an output that would
    overwrite a photo of the run or a page that isn't ours, and, at once, where `out` can't be written or its disk fills
    up.
    """
    with Run(translator, open_sink(out), options, stack, on_progress, on_failure) as run:
        run.translate(sources)
        return run.report()


def watch_folders(
    translator: Translates,
    rounds: Iterable[Sequence[Source]],
    out: Path,
    options: TranslateOptions | None = None,
    *,
    stack: Translates | None = None,
    on_failure: OnFailure | None = None,
    on_round: Callable[[Report], None] | None = None,
) -> Report:
    """As `translate_files` into a folder, for photos that keep coming, until Ctrl-C; then the report is as complete.

    rounds: photos that are there to be translated, in any number of goes (`watch.Watcher`). One that comes again is
    translated again. The gallery is kept up to date, and `on_round` called with the report so far, after each.
    """
    sink = open_sink(out)
    if not isinstance(sink, FolderSink):
        raise InputError(f"what is watched is translated into a folder; {out} is none")
    with Run(translator, sink, options, stack, None, on_failure) as run:
        try:
            for sources in rounds:
                run.translate(sources)
                if on_round:
                    on_round(run.report())
        except KeyboardInterrupt:
            run.flow.settle(0)
        return run.report()


# The run ----------------------------------------------------------------------------------------------------------


class Run:
    """One run, of any number of rounds of photos; a context manager."""

    def __init__(
        self,
        translator: Translates,
        sink: Sink,
        options: TranslateOptions | None,
        stack: Translates | None,
        on_progress: Counted | None,
        on_failure: OnFailure | None,
    ) -> None:
        self.options = options = options or TranslateOptions()
        self.translator, self.sink, self.stack = translator, sink, stack
        heatmap = translator.heatmap and stack is None
        refuse_contradictions(options, sink, stack, heatmap)
        size = served_size(translator.spec, options)
        with_page = options.gallery and stack is None and not sink.one_picture
        self.page = Page(sink, size, heatmap) if with_page else None
        self.framing = Framing(options, size)
        self.ledger = Ledger(on_progress, on_failure)
        product: Product[Any] = (
            Stack(translator, stack, self.framing)
            if stack
            else Translation(translator, self.framing, options.paste_back, with_page)
        )
        # An engine for any number gets one: on a CPU a batch only adds latency, all cores being busy with one image.
        batch_size = max(translator.spec.batch_sizes, default=1)
        threads = options.threads or available_cores()
        self.flow = Flow(
            product,
            self.framing,
            sink,
            self.ledger,
            keep=options.keep_metadata,
            batch_size=batch_size,
            threads=threads,
        )

    def __enter__(self) -> "Run":
        self.sink.__enter__()
        self.flow.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self.flow.__exit__(kind, error, trace)
        return self.sink.__exit__(kind, error, trace)

    def translate(self, sources: Sequence[Source]) -> None:
        """Translate all of `sources`, but for those that are to be skipped."""
        start = time.perf_counter()
        if self.sink.one_picture and len(sources) != 1:
            raise InputError(
                f"stdout takes one picture, and there are {len(sources)} photos; write to a folder or .zip"
            )
        refuse_overwriting(sources, self.sink, with_gallery=self.page is not None)
        self.ledger.expect(len(sources))
        missing = self.without_existing(sources)
        self.flow.translate([source for source in missing if not isinstance(source, ClipSource)])
        for source in missing:
            if isinstance(source, ClipSource):
                self.translate_clip(source)
        self.ledger.wall_seconds += time.perf_counter() - start

    def without_existing(self, sources: Sequence[Source]) -> Sequence[Source]:
        """Those to translate. What came in an earlier round has changed since, and is translated in any case."""
        if not self.options.skip_existing:
            return sources
        seen = self.ledger.seen()
        skipped = [s for s in sources if s.relative not in seen and self.sink.holds(s.relative)]
        self.ledger.skip(skipped)
        names = {source.relative for source in skipped}
        return [source for source in sources if source.relative not in names]

    def translate_clip(self, source: ClipSource) -> None:
        try:
            if self.stack or not isinstance(self.sink, FolderSink):
                into = "as tiles" if self.stack else f"into {self.sink.root}, but into a folder or a file"
                raise ClipError(f"{source.path} is a {source.kind}, which can't be written {into}")
            target = self.sink.root / source.relative
            make_folder(target.parent)
            translate_clip_file(
                self.translator,
                source.path,
                source.kind,
                target,
                self.framing,
                self.options,
                stages=self.ledger.stages,
                on_start=self.ledger.expect,
                on_frame=self.ledger.count_frame,
            )
        except PlaceError:
            raise
        except (InputError, BackendUnavailable) as error:  # a video among photos, and no PyAV
            self.ledger.fail(source, Failure(source.path, str(error)))
        else:
            self.ledger.succeed(source)

    def report(self) -> Report:
        """What was done so far. Writes the page."""
        return self.ledger.report(self.sink.root, self.page.write(self.ledger) if self.page else None)


@dataclass(frozen=True)
class Page:
    """The gallery of a run."""

    sink: Sink
    size: tuple[int, int]
    """(height, width) that is translated at."""
    heatmap: bool

    def write(self, ledger: Ledger) -> Path:
        reasons = [failure.reason for failure in ledger.failures.values()]
        return gallery.write_page(self.sink, self.shown(ledger), reasons, size=self.size, heatmap=self.heatmap)

    def shown(self, ledger: Ledger) -> list[Source]:
        """What was translated, and what was skipped where its other pictures are there as well."""
        folders = [INPUT_FOLDER, *([HEATMAP_FOLDER] if self.heatmap else [])]
        whole = [
            source
            for source in ledger.skipped
            if isinstance(source, ClipSource) or all(self.sink.holds(folder / source.relative) for folder in folders)
        ]
        return list({source.relative: source for source in whole + ledger.translated}.values())


# Checks before it -------------------------------------------------------------------------------------------------


def served_size(spec: EngineSpec, options: TranslateOptions) -> tuple[int, int]:
    """(height, width) to translate at. Raises InputError where the engine doesn't serve the size asked for."""
    size = options.size or (spec.height, spec.width)
    reason = spec.check_size(*size)
    if reason:
        raise InputError(f"cannot translate at {size[0]}x{size[1]}: {reason}")
    return size
