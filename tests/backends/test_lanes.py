"""Callers and the lanes that they compute in."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ugatit_fast.backends.lanes import Lanes


def numbered(most: int, room: int | None = None) -> Lanes[int]:
    """Lanes 0, 1, ...; there is memory for `room` of them."""
    made: list[int] = []

    def make() -> int:
        if len(made) == room:
            raise MemoryError("out of memory")
        made.append(len(made))
        return made[-1]

    return Lanes(make, most)


def test_callers_at_once_have_lanes_of_their_own_and_later_ones_take_them_again() -> None:
    lanes = numbered(most=2)
    for _ in range(2):
        with lanes.lane() as one, lanes.lane() as other:
            assert {one, other} == {0, 1}


def test_more_callers_than_lanes_wait() -> None:
    lanes, together = numbered(most=2), threading.Barrier(2, timeout=30)
    used: list[int] = []

    def call(_: int) -> None:
        with lanes.lane() as lane:
            together.wait()  # two are inside, every time
            used.append(lane)

    with ThreadPoolExecutor(6) as callers:
        list(callers.map(call, range(6)))
    assert sorted(used) == [0, 0, 0, 1, 1, 1]


def test_where_memory_ends_callers_share_what_there_is() -> None:
    lanes = numbered(most=4, room=1)
    with lanes.lane(), pytest.warns(UserWarning, match="1 threads compute at once, others wait"):
        assert lanes.another() is None
    with ThreadPoolExecutor(3) as callers:
        assert list(callers.map(lambda _: use(lanes), range(6))) == [0] * 6


def use(lanes: Lanes[int]) -> int:
    with lanes.lane() as lane:
        return lane


def test_other_errors_are_the_callers() -> None:
    def make() -> int:
        raise ValueError("no such engine")

    with pytest.raises(ValueError, match="no such engine"):
        Lanes(make, 2)


def test_closing_waits_for_callers_and_leaves_none() -> None:
    lanes = numbered(most=2)
    with lanes.lane(), lanes.lane():
        pass
    assert sorted(lanes.close()) == [0, 1]
    assert list(lanes.close()) == []
