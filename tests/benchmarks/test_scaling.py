from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.examples import NETWORK
from ugatit_fast.bench.scaling import curve, fitted, scaled, thread_counts, work_of


@given(st.floats(0, 100), st.floats(0.1, 100), st.lists(st.floats(0.5, 64), min_size=2, max_size=8, unique=True))
def test_a_line_is_found_again(fixed: float, slope: float, work: list[float]) -> None:
    cost = [fixed + slope * x for x in work]
    found_fixed, found_slope, worst = fitted(work, cost)
    assert worst < 1e-6
    assert [found_fixed + found_slope * x for x in work] == pytest.approx(cost)


def test_fixed_cost_is_never_negative() -> None:
    fixed, slope, _ = fitted([1.0, 2.0, 4.0], [1.0, 2.2, 4.6])
    assert fixed == 0
    assert slope == pytest.approx(1.1, rel=0.05)


def test_one_point_is_proportional() -> None:
    assert fitted([2.0], [10.0]) == pytest.approx((0.0, 5.0, 0.0))


def test_work_along_each_axis() -> None:
    assert work_of("batch", replace(NETWORK, batch=8)) == 8
    assert work_of("side", NETWORK) == pytest.approx(0.065536)
    assert work_of("threads", NETWORK) == 0.5
    assert round(work_of("channels", NETWORK), 1) == 46.9


def test_a_full_generator_has_one_size() -> None:
    assert set(scaled(NETWORK, "cpu")) == {"batch", "side", "channels", "threads"}
    assert set(scaled(NETWORK, "cuda")) == {"batch", "side", "channels"}
    assert set(scaled(replace(NETWORK, light=False), "cpu")) == {"batch", "threads"}
    assert [network.threads for network in scaled(NETWORK, "cpu")["threads"]] == [1, 2]
    assert max(network.batch for network in scaled(NETWORK, "cpu")["batch"]) == 64


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_threads_double_up_to_the_cores(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_a_curve_keeps_its_points() -> None:
    networks = [replace(NETWORK, batch=n) for n in (1, 2, 4)]
    made = curve("ours", "batch", networks, [11.0, 21.0, 41.0])
    assert (made.values, made.work, made.median_ms) == ((1, 2, 4), (1.0, 2.0, 4.0), (11.0, 21.0, 41.0))
    assert (made.fixed_ms, made.ms_per_work) == pytest.approx((1.0, 10.0))
