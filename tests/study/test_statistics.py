"""Statistics against published worked examples, and against what they promise."""

import math

import numpy as np
import pytest

from ugatit_fast.study.statistics import Z, agreement, effective, student, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_in_newcombe_1998(hits: int, count: int, low: float, high: float) -> None:
    """Statistics in Medicine 17, 857, table I, method 3."""
    assert wilson(hits / count, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (19, 2.093), (29, 2.045), (120, 1.980)]
)
def test_student_as_in_the_tables(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=6e-3 if freedom == 3 else 1e-3)


FLEISS_1971 = """
0 0 0 6 0|0 3 0 0 3|0 1 4 0 1|0 0 0 0 6|0 3 0 3 0|2 0 4 0 0|0 0 4 0 2|2 0 3 1 0|2 0 0 4 0|0 0 0 0 6|1 0 0 5 0|1 1 0 4 0
0 3 3 0 0|1 0 0 5 0|0 2 0 3 1|0 0 5 0 1|3 0 0 1 2|5 1 0 0 0|0 2 0 4 0|1 0 2 0 3|0 0 0 0 6|0 1 0 5 0|0 2 0 1 3|2 0 0 4 0
1 0 0 4 1|0 5 0 1 0|4 0 0 0 2|0 2 0 4 0|1 0 5 0 0|0 0 0 0 6
"""


def rows_of(text: str) -> list[list[int]]:
    return [[int(count) for count in row.split()] for row in text.strip().replace("\n", "|").split("|")]


def test_kappa_as_in_fleiss_1971() -> None:
    """Table 1: 30 patients, 6 psychiatrists, 5 diagnoses."""
    rows = rows_of(FLEISS_1971)
    assert {sum(row) for row in rows} == {6}
    found = agreement(rows)
    assert found is not None
    assert (found.photos, found.observed, found.kappa) == (
        30,
        pytest.approx(0.556, abs=1e-3),
        pytest.approx(0.430, abs=1e-3),
    )


def test_kappa_where_different_numbers_saw_each_photo() -> None:
    """By hand: agreement 1 and 1/3 and one that tells nothing; shares (1 + 2/3 + 0) / 3 and (0 + 1/3 + 1) / 3."""
    found = agreement([[2, 0], [2, 1], [0, 1], [0, 0]])
    assert found is not None
    expected = (5 / 9) ** 2 + (4 / 9) ** 2
    assert found.photos == 2
    assert found.observed == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx((2 / 3 - expected) / (1 - expected))


def test_kappa_at_its_ends() -> None:
    always = agreement([[5, 0], [0, 5]])
    assert always is not None
    assert always.kappa == 1
    same = agreement([[5, 0], [5, 0]])
    assert same is not None
    assert same.kappa is None
    assert same.observed == 1
    assert agreement([[1, 0], [0, 1]]) is None
    assert agreement([]) is None
    by_chance = agreement(np.random.default_rng(0).multinomial(20, [0.5, 0.3, 0.2], 300).tolist())
    assert by_chance is not None
    assert by_chance.kappa == pytest.approx(0, abs=0.02)


def test_one_answer_each_is_worth_itself_but_for_few_people() -> None:
    chosen, answers = [1] * 30 + [0] * 70, [1] * 100
    worth = effective(chosen, answers)
    deff = 100 / 99  # of m people who were drawn one by one
    assert worth == pytest.approx(100 / deff * (Z / student(99)) ** 2)


def test_people_who_never_vary_are_worth_one_answer_each() -> None:
    alike = effective([10] * 6 + [0] * 14, [10] * 20)
    once = effective([1] * 6 + [0] * 14, [1] * 20)
    assert alike == pytest.approx(once)
    never = effective([0] * 20, [10] * 20)
    assert never == pytest.approx(20 * (Z / student(19)) ** 2)


def test_answers_are_never_worth_more_than_themselves() -> None:
    """All people chose the method equally often: luck, not knowledge."""
    worth = effective([3] * 10, [10] * 10)
    assert worth == pytest.approx(100 * (Z / student(9)) ** 2)


def test_one_person_cannot_speak_for_others() -> None:
    assert effective([3], [10]) is None


@pytest.mark.parametrize(("people", "spread"), [(12, 4.0), (40, 4.0), (40, 1e6)])
def test_intervals_hold_the_truth_as_often_as_they_say(people: int, spread: float) -> None:
    """People differ (beta-binomial, mean 0.3): ours covers in about 95 of 100 studies, Wilson's alone"""
    random = np.random.default_rng(people)
    ours, naive, studies, each = 0, 0, 1500, 15
    for _ in range(studies):
        taste = random.beta(0.3 * spread, 0.7 * spread, people)
        chosen = random.binomial(each, taste)
        share = chosen.sum() / (people * each)
        worth = effective(chosen.tolist(), [each] * people)
        assert worth is not None
        low, high = wilson(share, worth)
        ours += low <= 0.3 <= high
        low, high = wilson(share, people * each)
        naive += low <= 0.3 <= high
    assert 0.93 < ours / studies < 0.985
    assert math.isclose(naive / studies, 0.95, abs_tol=0.02) is (spread > 100)
