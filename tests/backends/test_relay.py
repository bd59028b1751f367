"""Pieces of a batch, and their flight through two slots."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.gpu_parts import GpuError
from ugatit_fast.backends.relay import Results, pieces, relay, relay_on_device

SIZES = st.lists(st.integers(1, 9), max_size=3, unique=True).map(tuple)


@given(st.integers(0, 60), SIZES)
def test_every_image_goes_once_and_in_order(count: int, sizes: tuple[int, ...]) -> None:
    done = 0
    for where, size in pieces(count, sizes):
        assert where.start == done
        assert 0 < where.stop - where.start <= size
        assert size in sizes or not sizes
        assert where.stop - where.start == size or (size == min(sizes) and where.stop == count)
        done = where.stop
    assert done == count


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [(6, (4,), [4, 4]), (6, (1, 4), [4, 1, 1]), (1, (2, 8), [2]), (5, (), [5]), (0, (3,), []), (0, (), [])],
)
def test_sizes(count: int, sizes: tuple[int, ...], expected: list[int]) -> None:
    assert [size for _, size in pieces(count, sizes)] == expected


class FakeSlot:
    """Adds 1 to its piece, and writes down what happens to it."""

    def __init__(self, name: str, events: list[str], fails: str = "") -> None:
        self.name, self.events, self.fails = name, events, fails
        self.waiting: Images | None = None

    def note(self, event: str) -> None:
        self.events.append(f"{event} {self.name}")
        if self.events[-1] == self.fails:
            raise GpuError("refused")

    def send(self, images: Images) -> None:
        assert self.waiting is None, "still under way"
        self.waiting = images + 1
        self.note("send")

    def land(self, where: slice, results: Results) -> None:
        self.note("land")
        assert self.waiting is not None
        results["translated"][where] = self.waiting
        results["heatmap"][where] = self.waiting[:, 0, 0, :1, None]
        self.waiting = None

    def settle(self) -> None:
        self.waiting = None
        self.note("settle")


def fake_slots(events: list[str], *sizes: int, fails: str = "") -> dict[int, tuple[FakeSlot, FakeSlot]]:
    return {size: (FakeSlot(f"{size}a", events, fails), FakeSlot(f"{size}b", events, fails)) for size in sizes}


def numbered(n: int) -> Images:
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 4, 4, 3)).copy()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 11])
@pytest.mark.parametrize("sizes", [(1, 4), (4,), (2, 3)])
def test_all_pieces_come_back_in_their_places(n: int, sizes: tuple[int, ...]) -> None:
    translated, heatmaps = relay(numbered(n), fake_slots([], *sizes))
    assert np.array_equal(translated, numbered(n) + 1)
    assert np.array_equal(heatmaps[:, 0, 0], np.arange(1, n + 1))


def test_two_fly_and_land_in_order() -> None:
    events: list[str] = []
    relay(numbered(10), fake_slots(events, 1, 4))
    assert events == ["send 4a", "send 4b", "land 4a", "send 1a", "land 4b", "send 1b", "land 1a", "land 1b"]


@pytest.mark.parametrize(
    ("fails", "flying"), [("send 4a", "4a"), ("send 1a", "4b 1a"), ("land 4a", "4a 4b"), ("land 1b", "1b")]
)
@pytest.mark.parametrize("lost", [False, True], ids=["one refusal", "nothing works any more"])
def test_after_a_failure_nothing_flies_and_the_slots_can_be_used(fails: str, flying: str, lost: bool) -> None:
    events: list[str] = []
    slots = fake_slots(events, 1, 4, fails=fails)
    everyone = [slot for pair in slots.values() for slot in pair]
    if lost:
        for slot in everyone:
            slot.settle = partial(FakeSlotLost.settle, slot)  # type: ignore[method-assign]
    with pytest.raises(GpuError, match="refused"):
        relay(numbered(10), slots)
    assert [event.split()[1] for event in events if event.startswith("settle")] == flying.split()
    assert all(slot.waiting is None for slot in everyone)
    for slot in everyone:
        slot.fails = ""
    assert np.array_equal(relay(numbered(10), slots)[0], numbered(10) + 1)


class FakeSlotLost(FakeSlot):
    """Its GPU refuses to be waited for as well."""

    def settle(self) -> None:
        FakeSlot.settle(self)
        raise GpuError("lost")


class FakeStream:
    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events

    def wait_stream(self, other: "FakeStream") -> None:
        self.events.append(f"{self.name} waits for {other.name}")


@pytest.mark.parametrize("fails_at", [None, 1, 4])
def test_on_the_device(monkeypatch: pytest.MonkeyPatch, fails_at: int | None) -> None:
    events: list[str] = []
    ours = FakeStream("ours", events)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: FakeStream("caller", events))
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, _: events.append(f"keep {tensor.dtype}"))

    def compute(size: int, images: torch.Tensor, translated: torch.Tensor, heatmaps: torch.Tensor) -> None:
        events.append(f"{len(images)} of {size}")
        if size == fails_at:
            raise GpuError("refused")
        translated.copy_(images + 1)
        heatmaps.copy_(images[:, 0, 0, :1, None])

    images, done = torch.from_numpy(numbered(5)), True
    try:
        translated, heatmaps = relay_on_device(images, (1, 4), ours, compute)  # type: ignore[arg-type]
    except GpuError:
        done = False
    assert done == (fails_at is None)
    if done:
        assert torch.equal(translated, images + 1)
        assert torch.equal(heatmaps[:, 0, 0], torch.arange(5.0))
    computed = ["4 of 4", "1 of 1"][: 1 if fails_at == 4 else 2]
    kept = ["keep torch.uint8", "keep torch.uint8", "keep torch.float32"]
    assert events == ["ours waits for caller", *computed, "caller waits for ours", *kept]
