import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.bench.clock import is_wide, noise_band, settle, spread, times_as_fast

TIMES = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30)


def test_spread_of_known_times() -> None:
    times = spread([float(i) for i in range(101)])
    assert (times.p5_ms, times.median_ms, times.p95_ms, times.samples) == (5.0, 50.0, 95.0, 101)


def test_width_is_relative() -> None:
    assert not is_wide(spread([100.0, 101.0, 105.0]))
    assert is_wide(spread([1.0, 1.01, 1.5]))


@given(st.lists(st.tuples(st.floats(0.1, 1e3), st.floats(0.1, 10)), min_size=1, max_size=9), st.floats(0.1, 10))
def test_drift_of_whole_rounds_leaves_the_ratio(rounds: list[tuple[float, float]], ratio: float) -> None:
    ours = [time * drift for time, drift in rounds]
    assert times_as_fast(ours, [ratio * time for time in ours]) == pytest.approx(ratio)


@given(TIMES, st.floats(0.1, 100))
def test_noise_band_has_no_unit(rounds: list[float], factor: float) -> None:
    assert noise_band([factor * time for time in rounds]) == pytest.approx(noise_band(rounds))


def test_noise_band_narrows_with_rounds_and_survives_one_disturbed() -> None:
    noisy = [100.0, 110.0, 90.0, 105.0, 95.0]
    assert noise_band(noisy * 8) < noise_band(noisy)
    assert noise_band([100.0] * 8 + [1000.0]) == noise_band([100.0])


def test_warming_up_ends_when_calls_agree() -> None:
    def call(i: int) -> None:
        time.sleep(0.06 if i < 2 else 0.02)

    each_ms, settled = settle(call, 10.0)
    assert settled
    assert 20 <= each_ms < 60


def test_warming_up_ends_when_time_is_up() -> None:
    calls: list[int] = []

    def call(i: int) -> None:
        calls.append(i)
        time.sleep(0.01 * (1 + i % 2))

    _, settled = settle(call, 0.2)
    assert not settled
    assert calls == list(range(len(calls)))


def test_a_call_longer_than_the_limit_is_made_once() -> None:
    each_ms, settled = settle(lambda i: time.sleep(0.05), 0.01)
    assert settled
    assert each_ms >= 50
