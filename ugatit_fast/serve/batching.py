"""Single pictures into batches for the engine, which runs one at a time on a thread of its own.

    translate(picture) -> waiting -> batch -> engine thread -> each caller's own result

A batch goes to the engine once it is full, or once its first picture has waited long enough; pictures that came while
the engine was busy have waited already. Pictures of another size than the first's wait for a batch of their own.
Whoever stops waiting leaves the queue at once. Knows nothing of HTTP.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ugatit_fast.media.images import Pixels

OLD_SHARE = 0.8
"""How much of the average time of a picture the batches before the last one make up."""


class Translated(NamedTuple):
    """What the engine makes of one picture."""

    picture: Pixels
    heatmap: npt.NDArray[np.float32] | None
    """(h / 4, w / 4), where the engine computes it."""


class Batch(NamedTuple):
    """What a batch took, for whoever keeps count."""

    waited_s: Sequence[float]
    """By each of its pictures, before the engine took it."""
    engine_s: float


class Overloaded(Exception):
    """Every place is taken."""


class Places:
    """A bounded number of things in hand."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.free = asyncio.Semaphore(count)
        self.taken = 0

    def check(self) -> None:
        """Raises Overloaded where there is no place at the moment."""
        if self.free.locked():
            raise Overloaded

    @asynccontextmanager
    async def one(self, *, patient: bool = False) -> AsyncIterator[None]:
        """Hold a place for the block. Without one, the patient wait for it, in turn; others get Overloaded."""
        if not patient:
            self.check()
        async with self.free:
            self.taken += 1
            try:
                yield
            finally:
                self.taken -= 1


@dataclass(eq=False, repr=False)
class Waiting:
    """A picture in the queue, and where its result is to go."""

    picture: Pixels
    run: Callable[[Pixels], Sequence[Translated]]
    """What translates it: `Batcher.run`, or the same in a style."""
    result: asyncio.Future[Translated]
    since: float
    """On the event loop's clock."""

    @property
    def kind(self) -> tuple[object, ...]:
        """What pictures of a batch have in common."""
        return self.picture.shape, self.run


class Batcher:
    """The queue before one engine. Bounding it is up to the callers: see `Places`."""

    def __init__(
        self,
        run: Callable[[Pixels], Sequence[Translated]],
        thread: Executor,
        *,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[Batch], None] = lambda batch: None,
    ) -> None:
        """run: translates uint8 (n, h, w, 3), 1 <= n <= max_batch, in order. Called on `thread`, one call at a time.

        Several batchers may share a thread, and so take turns. on_batch is called on the event loop.
        """
        self.run = run
        self.thread = thread
        self.max_batch = max_batch
        self.max_wait_s = max_wait_s
        self.on_batch = on_batch
        self.waiting: deque[Waiting] = deque()
        self.changed = asyncio.Event()
        self.picture_s = 0.0
        """What a picture took lately."""
        self.closing = False
        self.worker: asyncio.Task[None] | None = None

    async def translate(
        self, picture: Pixels, run: Callable[[Pixels], Sequence[Translated]] | None = None
    ) -> Translated:
        """Translate a picture, uint8 (h, w, 3).

        Raises what `run` raised for its batch. Cancelling gives up the place in the queue.
        """
        assert self.worker is not None, "start() comes first"
        assert not self.closing, "close() comes last"
        loop = asyncio.get_running_loop()
        waiting = Waiting(picture, run or self.run, loop.create_future(), loop.time())
        self.waiting.append(waiting)
        self.changed.set()
        try:
            return await waiting.result
        except asyncio.CancelledError:
            with suppress(ValueError):  # the engine has taken it
                self.waiting.remove(waiting)
            raise

    def retry_after_s(self) -> int:
        """When the queue as it is now will have been worked off, in whole seconds from 1 to 60."""
        return min(60, max(1, math.ceil(self.picture_s * len(self.waiting))))

    def start(self) -> None:
        """Start taking pictures; call on the event loop that will translate."""
        self.worker = asyncio.create_task(self.serve_batches())

    async def close(self) -> None:
        """Translate what is waiting, then stop."""
        self.closing = True
        self.changed.set()
        if self.worker is not None:
            await self.worker

    async def serve_batches(self) -> None:
        while self.waiting or not self.closing:
            await self.fill_batch()
            batch = self.take_batch()
            if batch:
                await self.translate_batch(batch)

    def take_batch(self) -> list[Waiting]:
        """The first that wait, as many as a batch takes, and as have the first one's size and are run as it is."""
        alike = (one for one in self.waiting if one.kind == self.waiting[0].kind)
        batch = list(islice(alike, self.max_batch))
        for one in batch:
            self.waiting.remove(one)
        return batch

    async def fill_batch(self) -> None:
        """Return when a batch is due, or there is nothing left to wait for."""
        loop = asyncio.get_running_loop()
        while len(self.waiting) < self.max_batch and not self.closing:
            due = self.waiting[0].since + self.max_wait_s if self.waiting else None
            if due is not None and due <= loop.time():
                return
            self.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self.changed.wait()

    async def translate_batch(self, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            results = await loop.run_in_executor(self.thread, batch[0].run, np.stack([one.picture for one in batch]))
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for the batch, and is raised there
            for one in batch:
                if not one.result.done():
                    one.result.set_exception(error)
            return
        engine_s = loop.time() - start
        mean = engine_s / len(batch)
        self.picture_s = OLD_SHARE * self.picture_s + (1 - OLD_SHARE) * mean if self.picture_s else mean
        self.on_batch(Batch([start - one.since for one in batch], engine_s))
        for one, result in zip(batch, results, strict=True):
            if not one.result.done():  # cancelled: nobody waits for it any more
                one.result.set_result(result)
