import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugatit_fast.backends.relay import pieces

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
