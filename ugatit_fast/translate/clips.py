"""Videos and animations through an engine, frame by frame, at the times that the frames had.

    reader (a thread) -> pixels, frame (threads) -> batches -> engine (the calling thread) -> writer (a thread) -> file

Each stage works on other frames at the same time, a bounded number of them, so that the engine never waits and memory
doesn't grow with the length. Readers and writers know files; this knows neither Pillow's nor PyAV's.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import cast

import numpy as np

from ugatit_fast.errors import InputError
from ugatit_fast.media.clip import ClipError, ClipReader, ClipWriter, Frame, Picture, troubles_of
from ugatit_fast.media.images import Pixels
from ugatit_fast.translate.framing import Framed, Framing
from ugatit_fast.translate.report import StageSeconds
from ugatit_fast.translator import Translates


@dataclass(frozen=True)
class ClipReport:
    """What a run over one clip did."""

    translated: int
    """Frames translated now."""
    finished: int
    """Frames that an earlier run had translated."""
    broken: int
    """Frames left out because they are damaged."""


def translate_clip(
    translator: Translates,
    reader: ClipReader,
    writer: ClipWriter,
    framing: Framing,
    *,
    stride: int,
    paste_back: bool,
    threads: int,
    stages: StageSeconds,
    on_frame: Callable[[], None] = lambda: None,
) -> ClipReport:
    """Translate every `stride`-th frame of what `reader` reads into what `writer` writes.

    framing: what of each frame the engine sees. paste_back: put it back into the frame, which keeps its size.
    threads: that make pixels of frames; reading and writing have one each besides.
    stages: the time that passes is added to it. on_frame: called on the calling thread after each frame.

    Raises ClipError where the clip can't be read or has no frames, InputError where the file can't be written. Then,
    and on Ctrl-C, all threads have ended, and the writer has kept what it can go on from.
    """
    # An engine for any number gets one, as in pipeline.
    batch_size = max(translator.spec.batch_sizes, default=1)
    depth = batch_size + 2 * threads
    translated = 0
    with ExitStack() as stack:
        # Read and framed ahead of the engine; the frames read, but not framed yet, wait in the pool.
        arriving = stack.enter_context(Arriving(reader, writer, framing, stride, paste_back, threads, depth))
        leaving = stack.enter_context(Leaving(reader.path, writer, framing, paste_back, depth))
        for batch in arriving.batches(batch_size):
            pixels = np.stack([seen.framed.pixels for seen in batch])
            start = time.perf_counter()
            pictures = translator.translate(pixels).pictures
            stages.engine += time.perf_counter() - start
            for seen, picture in zip(batch, pictures, strict=True):
                leaving.put((seen, picture))
                stages.decode += seen.decode_seconds
                stages.resize += seen.resize_seconds
                translated += 1
                on_frame()
        if not translated and not writer.finished:
            raise ClipError(f"{reader.path} holds no frame that can be decoded; copy or export it again")
        leaving.finish()
        stages.encode += leaving.encode_seconds
    return ClipReport(translated, writer.finished, reader.broken)


def every_nth(frames: Iterator[Frame], stride: int) -> Iterator[Frame]:
    """The first frame and each `stride`-th after it, shown until the next is: the clip keeps its length."""
    kept: Frame | None = None
    end = 0
    for number, frame in enumerate(frames):
        if number % stride == 0:
            if kept:
                yield replace(kept, duration=frame.start - kept.start)
            kept = frame
        end = frame.start + frame.duration
    if kept:
        yield replace(kept, duration=end - kept.start)


# Before the engine ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A frame as the engine sees it."""

    frame: Frame
    framed: Framed
    whole: Pixels | None
    """The whole frame, where the result is to be pasted into it."""
    decode_seconds: float
    resize_seconds: float


class Arriving:
    """Frames on their way to the engine: read by one thread, framed by several."""

    def __init__(
        self,
        reader: ClipReader,
        writer: ClipWriter,
        framing: Framing,
        stride: int,
        paste_back: bool,
        threads: int,
        depth: int,
    ) -> None:
        self.reader, self.writer, self.framing, self.paste_back, self.depth = reader, writer, framing, paste_back, depth
        self.frames = self.missing(stride)
        self.reading = ThreadPoolExecutor(1, thread_name_prefix="ugatit-fast-read")
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="ugatit-fast")

    def __enter__(self) -> "Arriving":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reading.shutdown(wait=False, cancel_futures=True)
        self.pool.shutdown(cancel_futures=True)
        self.reading.shutdown()

    def missing(self, stride: int) -> Iterator[Frame]:
        for number, frame in enumerate(every_nth(self.reader.frames(), stride)):
            if number < self.writer.finished:
                self.writer.skip(frame)
            else:
                yield frame

    def batches(self, size: int) -> Iterator[list[Seen]]:
        """Frames in order; all batches but the last have `size`."""
        batch: list[Seen] = []
        for seen in self.seen():
            batch.append(seen)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def seen(self) -> Iterator[Seen]:
        coming: deque[Future[Seen | None]] = deque()
        while True:
            while len(coming) <= self.depth:
                coming.append(self.pool.submit(self.see, self.reading.submit(self.read)))
            seen = coming.popleft().result()
            if seen is None:
                return
            yield seen

    def read(self) -> tuple[Frame | None, float]:
        """The next frame, None after the last, and the seconds that it took. Runs on the reader's thread."""
        start = time.perf_counter()
        with troubles_of(self.reader.path):
            return next(self.frames, None), time.perf_counter() - start

    def see(self, reading: Future[tuple[Frame | None, float]]) -> Seen | None:
        """Make pixels of a frame, and fit them to the engine. Runs on a thread of the pool."""
        frame, read_seconds = reading.result()
        if frame is None:
            return None
        start = time.perf_counter()
        with troubles_of(self.reader.path):
            pixels = frame.pixels()
        decoded = time.perf_counter()
        try:
            framed = self.framing.frame(pixels, str(self.reader.path))
        except InputError as error:
            raise ClipError(str(error)) from error
        resize_seconds = time.perf_counter() - decoded
        whole = pixels if self.paste_back else None
        return Seen(frame, framed, whole, read_seconds + decoded - start, resize_seconds)


# After it ---------------------------------------------------------------------------------------------------------


class Abandoned(BaseException):
    """Ends the writer without a file: the run has ended elsewhere."""


Result = tuple[Seen, Pixels]


class Leaving:
    """Results on their way to the writer, which runs on a thread of its own."""

    def __init__(self, path: Path, writer: ClipWriter, framing: Framing, paste_back: bool, depth: int) -> None:
        """path: the clip's, for messages."""
        self.path, self.writer, self.framing, self.paste_back = path, writer, framing, paste_back
        self.results: queue.Queue[Result | type[Abandoned] | None] = queue.Queue(depth)
        self.idle_seconds = 0.0
        self.encode_seconds = 0.0
        """Time that the writer took; known when it has finished."""
        self.ended = False
        self.failed = False
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="ugatit-fast-write")

    def __enter__(self) -> "Leaving":
        self.writing = self.thread.submit(self.write)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.writing.done():
            self.results.put(Abandoned)
        self.thread.shutdown()

    def put(self, result: Result) -> None:
        """Hand over a result, waiting while too many do. Raises what the writer has raised."""
        self.results.put(result)
        if self.failed:
            self.finish()

    def finish(self) -> None:
        """Wait until the file is there. Raises what the writer has raised."""
        self.results.put(None)
        self.writing.result()

    def write(self) -> None:
        start = time.perf_counter()
        try:
            with troubles_of(self.path):
                self.writer.write(self.pictures())
        except BaseException:
            # Whoever is about to hand over a result must not wait for a writer that is gone.
            self.failed = True
            while not self.ended:
                self.take()
            raise
        self.encode_seconds = time.perf_counter() - start - self.idle_seconds

    def pictures(self) -> Iterator[Picture]:
        while True:
            start = time.perf_counter()
            result = self.take()
            self.idle_seconds += time.perf_counter() - start
            if result is None:
                return
            seen, pixels = result
            if self.paste_back:
                yield Picture(seen.frame, self.framing.paste(cast(Pixels, seen.whole), pixels, seen.framed))
            else:
                yield Picture(seen.frame, self.framing.cut(pixels, seen.framed))

    def take(self) -> Result | None:
        """The next result, None after the last. Raises Abandoned where no more will come."""
        result = self.results.get()
        self.ended = not isinstance(result, tuple)
        if result is Abandoned:
            raise Abandoned
        return cast(Result | None, result)
