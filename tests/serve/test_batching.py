import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ugatit_fast.media.images import Pixels
from ugatit_fast.serve.batching import Batch, Batcher, Overloaded, Places, Translated


def numbered(number: int) -> Pixels:
    return np.full((2, 2, 3), number, np.uint8)


def number_of(translated: Translated) -> int:
    return int(translated.picture[0, 0, 0])


def invert(pictures: Pixels) -> list[Translated]:
    return [Translated(255 - picture, None) for picture in pictures]


class Gate:
    """An engine that waits to be let go, and tells what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.busy = threading.Event()
        self.open = threading.Event()

    def run(self, pictures: Pixels) -> list[Translated]:
        self.batches.append([int(picture[0, 0, 0]) for picture in pictures])
        self.busy.set()
        assert self.open.wait(10)
        return invert(pictures)


@asynccontextmanager
async def batching(
    run: Callable[[Pixels], Sequence[Translated]],
    *,
    max_batch: int = 4,
    max_wait_s: float = 0.0,
    on_batch: Callable[[Batch], None] = lambda batch: None,
) -> AsyncIterator[Batcher]:
    with ThreadPoolExecutor(1) as thread:
        batcher = Batcher(run, thread, max_batch=max_batch, max_wait_s=max_wait_s, on_batch=on_batch)
        batcher.start()
        yield batcher
        await batcher.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.0005, 0.002]), st.booleans()), max_size=30),
    max_batch=st.integers(1, 5),
    max_wait_s=st.sampled_from([0.0, 0.001, 0.004]),
    failing=st.sets(st.integers(0, 5), max_size=2),
)
def test_everyone_gets_their_own_or_its_batch_s_error(
    arrivals: list[tuple[float, bool]], max_batch: int, max_wait_s: float, failing: set[int]
) -> None:
    """arrivals: the pause before each picture, and whether whoever sent it gives up."""
    batches: list[list[int]] = []

    def run(pictures: Pixels) -> list[Translated]:
        batches.append([int(picture[0, 0, 0]) for picture in pictures])
        if len(batches) - 1 in failing:
            raise RuntimeError("engine")
        return invert(pictures)

    async def send_all() -> list[object]:
        tasks = []
        async with batching(run, max_batch=max_batch, max_wait_s=max_wait_s) as batcher:
            for number, (pause, gives_up) in enumerate(arrivals):
                await asyncio.sleep(pause)
                tasks.append(asyncio.create_task(batcher.translate(numbered(number))))
                if gives_up:
                    await asyncio.sleep(0)
                    tasks[-1].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not batcher.waiting
        return list(outcomes)

    outcomes = asyncio.run(send_all())

    served = [number for batch in batches for number in batch]
    lost = {number for index in failing if index < len(batches) for number in batches[index]}
    assert served == sorted(set(served))  # in turn, none twice
    assert all(1 <= len(batch) <= max_batch for batch in batches)
    for number, (outcome, (_, gives_up)) in enumerate(zip(outcomes, arrivals, strict=True)):
        if isinstance(outcome, Translated):
            assert number_of(outcome) == 255 - number
            assert number in served
        elif isinstance(outcome, RuntimeError):
            assert number in lost
        else:
            assert isinstance(outcome, asyncio.CancelledError)
            assert gives_up


def test_what_comes_while_the_engine_is_busy_shares_the_next_batch() -> None:
    gate, counted = Gate(), []

    async def run() -> None:
        async with batching(gate.run, max_batch=3, on_batch=counted.append) as batcher:
            tasks = [asyncio.create_task(batcher.translate(numbered(0)))]
            await until(gate.busy.is_set)
            tasks += [asyncio.create_task(batcher.translate(numbered(number))) for number in range(1, 6)]
            await until(lambda: len(batcher.waiting) == 5)
            gate.open.set()
            assert [number_of(one) for one in await asyncio.gather(*tasks)] == [255 - number for number in range(6)]
            assert batcher.retry_after_s() == 1

    asyncio.run(run())
    assert gate.batches == [[0], [1, 2, 3], [4, 5]]
    assert [len(batch.waited_s) for batch in counted] == [1, 3, 2]
    assert all(waited >= 0 for batch in counted for waited in batch.waited_s)


def test_an_idle_engine_waits_for_a_batch_to_fill_and_no_longer() -> None:
    batches: list[Batch] = []

    async def run() -> None:
        async with batching(invert, max_batch=2, max_wait_s=30, on_batch=batches.append) as batcher:
            await asyncio.gather(batcher.translate(numbered(1)), batcher.translate(numbered(2)))  # full: no 30 s pass
        async with batching(invert, max_batch=9, max_wait_s=0.01, on_batch=batches.append) as batcher:
            await batcher.translate(numbered(1))

    asyncio.run(run())
    assert [len(batch.waited_s) for batch in batches] == [2, 1]


def test_who_gives_up_leaves_the_queue() -> None:
    gate = Gate()

    async def run() -> None:
        async with batching(gate.run, max_batch=1) as batcher:
            first = asyncio.create_task(batcher.translate(numbered(0)))
            await until(gate.busy.is_set)
            second, third = (asyncio.create_task(batcher.translate(numbered(number))) for number in (1, 2))
            await until(lambda: len(batcher.waiting) == 2)
            second.cancel()
            await until(lambda: len(batcher.waiting) == 1)
            first.cancel()  # the engine has it already; its result is nobody's
            gate.open.set()
            assert number_of(await third) == 253

    asyncio.run(run())
    assert gate.batches == [[0], [2]]


def test_a_batch_has_pictures_of_one_size_and_nobody_is_passed_over_for_long() -> None:
    gate = Gate()

    async def run() -> None:
        async with batching(gate.run, max_batch=2) as batcher:
            sizes = [2, 2, 4, 2, 4, 4]
            pictures = [np.full((size, size, 3), number, np.uint8) for number, size in enumerate(sizes)]
            tasks = [asyncio.create_task(batcher.translate(picture)) for picture in pictures]
            await until(gate.busy.is_set)
            gate.open.set()
            translated = await asyncio.gather(*tasks)
            assert [number_of(one) for one in translated] == [255 - number for number in range(6)]
            assert [one.picture.shape[0] for one in translated] == sizes

    asyncio.run(run())
    assert [number for batch in gate.batches for number in batch][:2] == [0, 1]
    assert gate.batches == [[0, 1], [2, 4], [3], [5]]


def test_closing_finishes_what_waits() -> None:
    gate = Gate()

    async def run() -> list[Translated]:
        async with batching(gate.run, max_batch=2, max_wait_s=60) as batcher:
            tasks = [asyncio.create_task(batcher.translate(numbered(number))) for number in range(5)]
            await until(gate.busy.is_set)
            gate.open.set()
        return [task.result() for task in tasks]

    assert [number_of(one) for one in asyncio.run(run())] == [255, 254, 253, 252, 251]


def test_places_refuse_the_impatient_and_serve_the_patient_in_turn() -> None:
    async def run() -> None:
        places = Places(1)
        order: list[int] = []

        async def take(number: int) -> None:
            async with places.one(patient=True):
                order.append(number)

        async with places.one():
            assert places.taken == 1
            with pytest.raises(Overloaded):
                async with places.one():
                    pass
            waiting = [asyncio.create_task(take(number)) for number in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 2]
        assert places.taken == 0
        places.check()

    asyncio.run(run())
