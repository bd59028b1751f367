import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translate.fake_translator import SPEC, FakeTranslator
from ugatit_fast.choices import Box
from ugatit_fast.errors import InputError
from ugatit_fast.media.clip import ClipError, Frame, Picture
from ugatit_fast.media.images import Pixels
from ugatit_fast.translate.clips import ClipReport, every_nth, translate_clip
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.report import StageSeconds

PATIENCE = 10
"""Seconds to wait for another thread before a test fails."""


def pixels_of(number: int) -> Pixels:
    return np.full((32, 32, 3), number % 256, np.uint8)


class FakeReader:
    time_base = Fraction(1, 1000)
    rate = Fraction(10)
    plays = 1
    sound = None
    broken = 0

    def __init__(self, count: int, pixels: Callable[[int], Pixels] = pixels_of) -> None:
        self.path = Path("clip")
        self.expected = count
        self.pixels = pixels

    def frames(self) -> Iterator[Frame]:
        for number in range(self.expected):
            yield Frame(100 * number, 100, lambda number=number: self.pixels(number))

    def __enter__(self) -> "FakeReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class FakeWriter:
    def __init__(self, finished: int = 0, before: Callable[[int], None] = lambda number: None) -> None:
        """before: called with the number of pictures that were taken, before the next is."""
        self.finished = finished
        self.before = before
        self.skipped: list[int] = []
        self.times: list[tuple[int, int]] = []
        self.levels: list[int] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.ended = False

    def skip(self, frame: Frame) -> None:
        self.skipped.append(frame.start)

    def write(self, pictures: Iterator[Picture]) -> None:
        for number, (frame, pixels) in enumerate(pictures):
            self.before(number)
            self.times.append((frame.start, frame.duration))
            self.levels.append(int(pixels[0, 0, 0]))
            self.shapes.add(pixels.shape)
        self.ended = True


def run(
    reader: FakeReader,
    writer: FakeWriter,
    translator: FakeTranslator | None = None,
    *,
    stride: int = 1,
    threads: int = 2,
    on_frame: Callable[[], None] = lambda: None,
    **options: object,
) -> ClipReport:
    chosen = TranslateOptions(**options)  # type: ignore[arg-type]
    return translate_clip(
        translator or FakeTranslator(),
        reader,
        writer,
        Framing(chosen, (32, 32)),
        stride=stride,
        paste_back=chosen.paste_back,
        threads=threads,
        stages=StageSeconds(),
        on_frame=on_frame,
    )


def no_threads_left() -> bool:
    return not any(thread.name.startswith("ugatit-fast") for thread in threading.enumerate())


@given(
    count=st.integers(1, 23),
    batch_sizes=st.sampled_from([(), (1,), (1, 4), (8,)]),
    stride=st.integers(1, 4),
    finished=st.integers(0, 3),
    threads=st.integers(1, 3),
)
def test_every_frame_is_translated_once_in_order(
    count: int, batch_sizes: tuple[int, ...], stride: int, finished: int, threads: int
) -> None:
    translator = FakeTranslator(replace(SPEC, batch_sizes=batch_sizes))
    kept = list(range(0, count, stride))
    writer = FakeWriter(min(finished, len(kept)))
    done: list[None] = []
    report = run(
        FakeReader(count), writer, translator, stride=stride, threads=threads, on_frame=lambda: done.append(None)
    )
    assert writer.skipped + [start for start, _ in writer.times] == [100 * number for number in kept]
    assert writer.levels == [255 - number for number in kept[writer.finished :]]
    assert report == ClipReport(len(writer.times), writer.finished, 0)
    assert len(done) == len(writer.times)
    largest = max(batch_sizes, default=1)
    assert all(shape[0] == largest for shape in translator.shapes[:-1])
    assert writer.ended
    assert no_threads_left()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 25))
def test_a_stride_keeps_times_and_length(durations: list[int], stride: int) -> None:
    starts = [sum(durations[:number]) for number in range(len(durations))]
    frames = [Frame(start, duration, lambda: pixels_of(0)) for start, duration in zip(starts, durations, strict=True)]
    kept = list(every_nth(iter(frames), stride))
    assert [frame.start for frame in kept] == starts[::stride]
    ends = [frame.start + frame.duration for frame in kept]
    assert ends == [*starts[stride::stride], sum(durations)]


def test_what_is_cut_and_pasted(tmp_path: Path) -> None:
    tall = np.zeros((64, 32, 3), np.uint8)
    for options, shape in (
        ({"fit": "pad"}, (32, 16, 3)),
        ({"fit": "crop"}, (32, 32, 3)),
        ({"paste_back": True}, (64, 32, 3)),
        ({"paste_back": True, "crop": Box(4, 8, 16, 20)}, (64, 32, 3)),
    ):
        writer = FakeWriter()
        run(FakeReader(2, lambda _: tall), writer, **options)  # type: ignore[arg-type]
        assert writer.shapes == {shape}


def test_heat_maps_are_left_aside() -> None:
    writer = FakeWriter()
    run(FakeReader(3), writer, FakeTranslator(heatmap=True))
    assert writer.levels == [255, 254, 253]


def test_decoding_engine_and_encoding_overlap() -> None:
    """At call 3 the engine waits until picture 1 is written and frame 5 decoded: one after the other, for ever."""
    decoded, written, in_time = threading.Event(), threading.Event(), []

    def decode(number: int) -> Pixels:
        if number == 5:
            decoded.set()
        return pixels_of(number)

    def wait(call: int) -> None:
        if call == 3:
            in_time.extend([decoded.wait(PATIENCE), written.wait(PATIENCE)])

    writer = FakeWriter(before=lambda number: written.set() if number == 1 else None)
    run(FakeReader(9, decode), writer, FakeTranslator(before=wait), threads=1)
    assert in_time == [True, True]


@pytest.mark.parametrize("slow", ["engine", "writer"])
def test_memory_does_not_grow_with_the_length(slow: str) -> None:
    alive, most, lock = 0, 0, threading.Lock()

    def change(by: int) -> None:
        nonlocal alive, most
        with lock:
            alive += by
            most = max(most, alive)

    def decode(number: int) -> Pixels:
        pixels = pixels_of(number)
        change(+1)
        weakref.finalize(pixels, change, -1)
        return pixels

    def pause(_: int) -> None:
        time.sleep(0.002)

    writer = FakeWriter(before=pause if slow == "writer" else lambda number: None)
    translator = FakeTranslator(
        replace(SPEC, batch_sizes=(4,)), before=pause if slow == "engine" else lambda call: None
    )
    # Pasting back keeps whole frames, the largest thing there is.
    run(FakeReader(200, decode), writer, translator, paste_back=True)
    depth = 4 + 2 * 2
    assert 4 < most <= 2 * depth + 2 * 4 + 2


# What goes wrong


def test_no_frames() -> None:
    writer = FakeWriter()
    with pytest.raises(ClipError, match="holds no frame"):
        run(FakeReader(0), writer)
    assert not writer.ended
    assert no_threads_left()


@pytest.mark.parametrize("after", [0, 7, 19])
def test_a_writer_that_fails_ends_the_run(after: int) -> None:
    def fail(number: int) -> None:
        if number == after:
            raise InputError("cannot write: the disk is full")

    with pytest.raises(InputError, match="disk is full"):
        run(FakeReader(20), FakeWriter(before=fail))
    assert no_threads_left()


def test_a_writer_that_fails_at_its_end_ends_the_run() -> None:
    class Failing(FakeWriter):
        def write(self, pictures: Iterator[Picture]) -> None:
            super().write(pictures)
            raise InputError("cannot write: the disk is full")

    with pytest.raises(InputError, match="disk is full"):
        run(FakeReader(20), Failing())
    assert no_threads_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_run_the_writer_is_told(error: type[BaseException]) -> None:
    def end(call: int) -> None:
        if call == 10:
            raise error

    writer = FakeWriter()
    with pytest.raises(error):
        run(FakeReader(60), writer, FakeTranslator(before=end))
    assert not writer.ended
    assert no_threads_left()


def test_a_reader_that_fails_ends_the_clip() -> None:
    def fail(number: int) -> Pixels:
        if number == 6:
            raise ClipError("clip is damaged")
        return pixels_of(number)

    writer = FakeWriter()
    with pytest.raises(ClipError, match="damaged"):
        run(FakeReader(20, fail), writer)
    assert not writer.ended
    assert no_threads_left()


def test_a_box_outside_the_frame_is_the_clip_s_failure() -> None:
    with pytest.raises(ClipError, match="reaches outside"):
        run(FakeReader(3), FakeWriter(), crop=Box(0, 0, 100, 100))


def test_time_is_measured_by_stage() -> None:
    def decode(number: int) -> Pixels:
        time.sleep(0.01)
        return pixels_of(number)

    stages = StageSeconds()
    translate_clip(
        FakeTranslator(before=lambda call: time.sleep(0.02)),
        FakeReader(3, decode),
        FakeWriter(before=lambda number: time.sleep(0.03)),
        Framing(TranslateOptions(), (32, 32)),
        stride=1,
        paste_back=False,
        threads=1,
        stages=stages,
    )
    assert stages.decode >= 0.03
    assert stages.engine >= 0.06
    assert 0.09 <= stages.encode < 0.2
