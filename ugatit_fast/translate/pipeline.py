"""Many photos through one engine: threads decode ahead of it and encode behind it, so that it never waits.

    sources -> decode, frame (threads) -> batches -> engine (the calling thread) -> encode, write (threads) -> report

What can't be read is the photo's failure: it is reported, and the others go on. What can't be written is the run's:
the next photo would meet the same full disk.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import numpy as np

from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.files import make_folder
from ugatit_fast.machine import available_cores
from ugatit_fast.media.clip import ClipError
from ugatit_fast.media.folders import HEATMAP_FOLDER, INPUT_FOLDER
from ugatit_fast.media.images import encode_image
from ugatit_fast.translate import gallery
from ugatit_fast.translate.clip_files import translate_clip_file
from ugatit_fast.translate.framing import Framed, Framing
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.products import Product, Stack, Translation
from ugatit_fast.translate.refusals import refuse_contradictions, refuse_overwriting
from ugatit_fast.translate.report import Failure, OnFailure, Progress, Report, StageSeconds
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
    on_progress: Progress | None = None,
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
    with _Run(translator, open_sink(out), options, stack, on_progress, on_failure) as run:
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
    with _Run(translator, sink, options, stack, None, on_failure) as run:
        try:
            for sources in rounds:
                run.translate(sources)
                if on_round:
                    on_round(run.report())
        except KeyboardInterrupt:
            run.settle(0)
        return run.report()


# The run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Photo:
    """A photo on its way through the engine."""

    source: Source
    framed: Framed
    decode_seconds: float
    resize_seconds: float


class _Run:
    """One run, of any number of rounds of photos; a context manager. Only the calling thread touches its state."""

    def __init__(
        self,
        translator: Translates,
        sink: Sink,
        options: TranslateOptions | None,
        stack: Translates | None,
        on_progress: Progress | None,
        on_failure: OnFailure | None,
    ) -> None:
        self.options = options or TranslateOptions()
        self.translator, self.sink, self.stack = translator, sink, stack
        self.heatmap = translator.heatmap and stack is None
        self.gallery = self.options.gallery and stack is None and not sink.one_picture
        refuse_contradictions(self.options, sink, stack, self.heatmap)
        self.size = served_size(translator.spec, self.options)
        self.framing = Framing(self.options, self.size)
        self.product: Product = (
            Stack(translator, stack, self.framing)
            if stack
            else Translation(translator, self.framing, self.options.paste_back, self.gallery)
        )
        self.on_progress = on_progress or (lambda done, total: None)
        self.on_failure = on_failure or (lambda failure: None)

        # An engine for any number gets one: on a CPU a batch only adds latency, all cores being busy with one image.
        self.batch_size = max(translator.spec.batch_sizes, default=1)
        self.threads = self.options.threads or available_cores()
        # On each side of the engine: the next batch whole, and for each thread one photo in hand and one to come.
        self.depth = self.batch_size + 2 * self.threads

        self.translated: list[Source] = []
        self.skipped: list[Source] = []
        self.failures: dict[PurePath, Failure] = {}
        self.stages = StageSeconds()
        self.wall_seconds = 0.0
        self.done, self.total = 0, 0
        self.frames = 0
        self.writing: deque[tuple[Source, Future[float | Failure]]] = deque()

    def __enter__(self) -> "_Run":
        self.sink.__enter__()
        # One pool, so that whichever side of the engine lags behind gets the threads.
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="ugatit-fast")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self.pool.shutdown(cancel_futures=True)  # waits for what is being written, and for nothing else
        return self.sink.__exit__(kind, error, trace)

    def translate(self, sources: Sequence[Source]) -> None:
        """Translate all of `sources`, but for those that are to be skipped."""
        start = time.perf_counter()
        if self.sink.one_picture and len(sources) != 1:
            raise InputError(
                f"stdout takes one picture, and there are {len(sources)} photos; write to a folder or .zip"
            )
        refuse_overwriting(sources, self.sink, self.gallery)
        missing = self.without_existing(sources)
        self.total += len(sources)
        self.done += len(sources) - len(missing)
        self.translate_photos([source for source in missing if not isinstance(source, ClipSource)])
        for source in missing:
            if isinstance(source, ClipSource):
                self.translate_clip(source)
        self.wall_seconds += time.perf_counter() - start

    def translate_photos(self, photos: Sequence[Source]) -> None:
        batch: list[_Photo] = []
        for source, photo in self.decoded(photos):
            if isinstance(photo, Failure):
                self.fail(source, photo)
                continue
            batch.append(photo)
            if len(batch) == self.batch_size:
                self.translate_batch(batch)
                batch = []
        if batch:
            self.translate_batch(batch)
        self.settle(0)

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
                stages=self.stages,
                on_start=self.expect_frames,
                on_frame=self.tell_frame,
            )
        except (ClipError, BackendUnavailable) as error:  # a video among photos, and no PyAV
            self.fail(source, Failure(source.path, str(error)))
        else:
            self.succeed(source)

    def report(self) -> Report:
        """What was done so far. Writes the page."""
        page = None
        if self.gallery:
            reasons = [failure.reason for failure in self.failures.values()]
            page = gallery.write_page(self.sink, self.shown(), reasons, size=self.size, heatmap=self.heatmap)
        return Report(
            translated=tuple(self.sink.root / source.relative for source in self.translated),
            failures=tuple(self.failures.values()),
            out=self.sink.root,
            page=page,
            wall_seconds=self.wall_seconds,
            stages=self.stages,
            skipped=len(self.skipped),
            clips=sum(isinstance(source, ClipSource) for source in self.translated),
            frames=self.frames,
        )

    def without_existing(self, sources: Sequence[Source]) -> Sequence[Source]:
        """Those to translate. What came in an earlier round has changed since, and is translated in any case."""
        if not self.options.skip_existing:
            return sources
        seen = {source.relative for source in self.translated + self.skipped} | self.failures.keys()
        skipped = [s for s in sources if s.relative not in seen and self.sink.holds(s.relative)]
        self.skipped += skipped
        names = {source.relative for source in skipped}
        return [source for source in sources if source.relative not in names]

    def shown(self) -> list[Source]:
        """What the page shows: what was translated, and what was skipped where its other pictures are there as well."""
        folders = [INPUT_FOLDER, *([HEATMAP_FOLDER] if self.heatmap else [])]
        whole = [
            source
            for source in self.skipped
            if isinstance(source, ClipSource) or all(self.sink.holds(folder / source.relative) for folder in folders)
        ]
        return list({source.relative: source for source in whole + self.translated}.values())

    def decoded(self, sources: Sequence[Source]) -> Iterator[tuple[Source, _Photo | Failure]]:
        """The photos in order, the next `depth` of them being decoded meanwhile."""
        reading: deque[tuple[Source, Future[_Photo | Failure]]] = deque()
        for source in sources:
            reading.append((source, self.pool.submit(_read, source, self.framing)))
            if len(reading) > self.depth:
                first, photo = reading.popleft()
                yield first, photo.result()
        while reading:
            first, photo = reading.popleft()
            yield first, photo.result()

    def translate_batch(self, batch: list[_Photo]) -> None:
        pixels = np.stack([photo.framed.pixels for photo in batch])
        start = time.perf_counter()
        made_of_each = self.product.run(pixels)
        self.stages.engine += time.perf_counter() - start
        for photo, made in zip(batch, made_of_each, strict=True):
            self.stages.decode += photo.decode_seconds
            self.stages.resize += photo.resize_seconds
            self.settle(self.depth - 1)
            self.writing.append((photo.source, self.pool.submit(_write, self.sink, self.product, photo, made)))

    def settle(self, left: int) -> None:
        """Collect what has been written, waiting until at most `left` pictures have not. Raises what writing raised."""
        while len(self.writing) > left or (self.writing and self.writing[0][1].done()):
            source, written = self.writing[0]
            outcome = written.result()
            self.writing.popleft()
            if isinstance(outcome, Failure):
                self.fail(source, outcome)
                continue
            self.stages.encode += outcome
            self.succeed(source)

    def succeed(self, source: Source) -> None:
        self.translated.append(source)
        self.failures.pop(source.relative, None)  # what has been mended since
        self.tell()

    def fail(self, source: Source, failure: Failure) -> None:
        self.failures[source.relative] = failure
        self.on_failure(failure)
        self.tell()

    def expect_frames(self, count: int) -> None:
        self.total += count

    def tell_frame(self) -> None:
        self.frames += 1
        self.tell()

    def tell(self) -> None:
        self.done += 1
        self.on_progress(self.done, self.total)


def _read(source: Source, framing: Framing) -> _Photo | Failure:
    """Decode a photo and fit it to the engine. Runs on a thread of the pool."""
    start = time.perf_counter()
    try:
        image = source.load(framing.at_least)
        decoded = time.perf_counter()
        framed = framing.frame(image, str(source.path))
    except InputError as error:
        return Failure(source.path, str(error))
    return _Photo(source, framed, decoded - start, time.perf_counter() - decoded)


def _write(sink: Sink, product: Product, photo: _Photo, made: Any) -> float | Failure:
    """Encode and write what comes of a photo; seconds it took. Runs on a thread of the pool."""
    start = time.perf_counter()
    try:
        files = list(_files(product, photo, made))
    except InputError as error:
        return Failure(photo.source.path, str(error))
    for relative, content in files:
        sink.put(relative, content)
    return time.perf_counter() - start


def _files(product: Product, photo: _Photo, made: Any) -> Iterator[tuple[PurePath, bytes]]:
    for relative, picture in product.pictures(photo.source, photo.framed, made):
        try:
            yield relative, encode_image(picture, relative.suffix)
        except InputError as error:
            raise InputError(f"{photo.source.path}: {error}") from error


# Checks before it -------------------------------------------------------------------------------------------------


def served_size(spec: EngineSpec, options: TranslateOptions) -> tuple[int, int]:
    """(height, width) to translate at. Raises InputError where the engine doesn't serve the size asked for."""
    size = options.size or (spec.height, spec.width)
    reason = spec.check_size(*size)
    if reason:
        raise InputError(f"cannot translate at {size[0]}x{size[1]}: {reason}")
    return size
