"""Photos through the engine: threads decode ahead of it and encode behind it, so that it never waits.

    decode, frame (threads) -> batches -> engine (the calling thread) -> encode, write (threads) -> ledger

Memory holds a bounded number of photos on each side of the engine, however many there are.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Generic

import numpy as np

from ugatit_fast.choices import KeepMetadata
from ugatit_fast.errors import InputError, PlaceError
from ugatit_fast.media.images import encode_image
from ugatit_fast.translate.framing import Framed, Framing
from ugatit_fast.translate.ledger import Ledger
from ugatit_fast.translate.products import Made, Product
from ugatit_fast.translate.report import Failure
from ugatit_fast.translate.sinks import Sink
from ugatit_fast.translate.sources import Source


@dataclass(frozen=True)
class Photo:
    """A photo on its way through the engine."""

    source: Source
    framed: Framed
    exif: bytes
    """What goes with its translation."""
    decode_seconds: float
    resize_seconds: float


class Flow(Generic[Made]):
    """A pool of threads around an engine; a context manager. What becomes of each photo goes into the ledger."""

    def __init__(
        self,
        product: Product[Made],
        framing: Framing,
        sink: Sink,
        ledger: Ledger,
        *,
        keep: KeepMetadata,
        batch_size: int,
        threads: int,
    ) -> None:
        """keep: of what photos say about themselves. threads: that read and write."""
        self.product, self.framing, self.sink, self.ledger = product, framing, sink, ledger
        self.keep = keep
        self.batch_size = batch_size
        self.threads = threads
        # On each side of the engine: the next batch whole, and for each thread one photo in hand and one to come.
        self.depth = batch_size + 2 * threads
        self.writing: deque[tuple[Source, Future[float | Failure]]] = deque()

    def __enter__(self) -> "Flow[Made]":
        # One pool, so that whichever side of the engine lags behind gets the threads.
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="ugatit-fast")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown()  # waits for what is translated and being written; nobody reads any more

    def translate(self, photos: Sequence[Source]) -> None:
        """Translate photos, and wait until all are written. Raises what writing raised."""
        batch: list[Photo] = []
        with closing(self.decoded(photos)) as decoded:
            for source, photo in decoded:
                if isinstance(photo, Failure):
                    self.ledger.fail(source, photo)
                    continue
                batch.append(photo)
                if len(batch) == self.batch_size:
                    self.translate_batch(batch)
                    batch = []
        if batch:
            self.translate_batch(batch)
        self.settle(0)

    def decoded(self, sources: Sequence[Source]) -> Generator[tuple[Source, Photo | Failure], None, None]:
        """The photos in order, the next `depth` of them being decoded meanwhile, until it is closed."""
        reading: deque[tuple[Source, Future[Photo | Failure]]] = deque()
        try:
            for source in sources:
                reading.append((source, self.pool.submit(read, source, self.framing, self.keep)))
                if len(reading) > self.depth:
                    first, photo = reading.popleft()
                    yield first, photo.result()
            while reading:
                first, photo = reading.popleft()
                yield first, photo.result()
        finally:
            for _, unread in reading:
                unread.cancel()

    def translate_batch(self, batch: list[Photo]) -> None:
        pixels = np.stack([photo.framed.pixels for photo in batch])
        stages = self.ledger.stages
        start = time.perf_counter()
        made_of_each = self.product.run(pixels)
        stages.engine += time.perf_counter() - start
        for photo, made in zip(batch, made_of_each, strict=True):
            stages.decode += photo.decode_seconds
            stages.resize += photo.resize_seconds
            self.settle(self.depth - 1)
            self.writing.append((photo.source, self.pool.submit(write, self.sink, self.product, photo, made)))

    def settle(self, left: int) -> None:
        """Collect what has been written, waiting until at most `left` pictures have not. Raises what writing raised."""
        while len(self.writing) > left or (self.writing and self.writing[0][1].done()):
            source, written = self.writing[0]
            outcome = written.result()
            self.writing.popleft()
            if isinstance(outcome, Failure):
                self.ledger.fail(source, outcome)
                continue
            self.ledger.stages.encode += outcome
            self.ledger.succeed(source)


# On a thread of the pool -------------------------------------------------------------------------------------------


def read(source: Source, framing: Framing, keep: KeepMetadata) -> Photo | Failure:
    """Decode a photo and fit it to the engine."""
    start = time.perf_counter()
    try:
        photo = source.decode(framing.at_least, keep)
        decoded = time.perf_counter()
        framed = framing.frame(photo.pixels, str(source.path))
    except InputError as error:
        return Failure(source.path, str(error))
    return Photo(source, framed, photo.exif, decoded - start, time.perf_counter() - decoded)


def write(sink: Sink, product: Product[Made], photo: Photo, made: Made) -> float | Failure:
    """Encode and write what comes of a photo; seconds it took."""
    start = time.perf_counter()
    try:
        for relative, content in list(files_of(product, photo, made)):
            sink.put(relative, content)
    except PlaceError:
        raise
    except InputError as error:
        return Failure(photo.source.path, str(error))
    return time.perf_counter() - start


def files_of(product: Product[Made], photo: Photo, made: Made) -> Iterator[tuple[PurePath, bytes]]:
    for relative, picture in product.pictures(photo.source, photo.framed, made):
        exif = photo.exif if relative == photo.source.relative else b""
        try:
            yield relative, encode_image(picture, relative.suffix, exif)
        except InputError as error:
            raise InputError(f"{photo.source.path}: {error}") from error
