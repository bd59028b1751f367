"""KID and FID against hand-computed numbers, their definitions, and torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from ugatit_fast.train.evaluation.kid_fid import blocks, blocks_of, fid, kid_of_blocks, kid_of_subsets, squared_mmd

Rows = NDArray[np.float64]
A, B = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
MMD_OF_A_AND_B = 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
"""(0 * 1 + 1)^3 within A, (1 * 2 + 1)^3 within B, and the four pairs across."""


def rows(n: int, d: int = 6, seed: int = 0, shift: float = 0) -> Rows:
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


class Toy(nn.Module):
    """Eight features of a picture, uint8 or float (n, 3, h, w): a stand-in for Inception."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.randn(3 * 4, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64) / 3

    def forward(self, pictures: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(pictures.double() / 64, (2, 2))
        return torch.tanh(pooled.flatten(1) @ self.mix)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor]:
    """40 and 30 of noise, of two brightnesses."""
    random = np.random.default_rng(7)
    made = (random.integers(0, top, (n, 3, 6, 6), dtype=np.uint8) for n, top in ((40, 256), (30, 200)))
    first, second = map(torch.from_numpy, made)
    return first, second


def test_mmd_by_hand() -> None:
    assert squared_mmd(A, B) == pytest.approx(MMD_OF_A_AND_B)


def test_mmd_is_its_definition() -> None:
    """Loops over pairs, in sets of different size."""
    x, y = rows(5), rows(4, seed=1, shift=1)

    def k(a: Rows, b: Rows) -> float:
        return float(a @ b / len(a) + 1) ** 3

    in_x = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    in_y = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    across = [k(a, b) for a in x for b in y]
    assert squared_mmd(x, y) == pytest.approx(np.mean(in_x) + np.mean(in_y) - 2 * np.mean(across))


@given(seed=st.integers(0, 1000))
def test_the_order_of_pictures_and_of_sides_changes_nothing(seed: int) -> None:
    x, y = rows(7, seed=seed), rows(9, seed=seed + 1, shift=0.5)
    random = np.random.default_rng(seed)
    expected = pytest.approx(squared_mmd(x, y), abs=1e-10)
    assert squared_mmd(random.permutation(x), random.permutation(y)) == expected
    assert squared_mmd(y, x) == expected
    assert fid(random.permutation(x), random.permutation(y)) == pytest.approx(fid(y, x))


def test_mmd_of_sets_alike_is_0_on_average_and_below_0_at_times() -> None:
    found = [squared_mmd(rows(20, seed=2 * i), rows(20, seed=2 * i + 1)) for i in range(400)]
    assert min(found) < 0
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert np.mean([squared_mmd(rows(20, seed=2 * i), rows(20, seed=2 * i + 1, shift=1)) for i in range(20)]) > 1


def test_a_set_against_itself_is_below_0_by_what_the_diagonal_adds() -> None:
    """Across, every picture meets itself; within, none does."""
    x = rows(50)
    kernel = (x @ x.T / 6 + 1) ** 3
    off_diagonal = (kernel.sum() - kernel.trace()) / (50 * 49)
    assert squared_mmd(x, x) == pytest.approx(2 * (off_diagonal - kernel.mean()))
    assert fid(x, x) == pytest.approx(0, abs=1e-9)


def test_subsets_are_those_of_torch_fidelity() -> None:
    """Drawn from NumPy's first generator, x before y; mean and population standard deviation."""
    x, y = rows(11), rows(8, seed=1, shift=1)
    random = np.random.RandomState(2020)
    expected = []
    for _ in range(3):
        first = random.choice(11, 5, replace=False)
        expected.append(squared_mmd(x[first], y[random.choice(8, 5, replace=False)]))
    found = kid_of_subsets(x, y, size=5, count=3, seed=2020)
    assert (found.mean, found.spread) == pytest.approx((np.mean(expected), np.std(expected)))
    assert found != kid_of_subsets(x, y, size=5, count=3, seed=1)
    assert kid_of_subsets(x, y, size=8, count=1, seed=0).spread is None


def test_blocks_by_hand() -> None:
    x, y = np.concatenate([A, A, A]), np.concatenate([B, B, A])
    found = kid_of_blocks(x, y, largest=2)
    of_a_and_a = 1 + 1 - 2 * (1 + 1 + 1 + 8) / 4
    values = [MMD_OF_A_AND_B, MMD_OF_A_AND_B, of_a_and_a]
    assert found.mean == pytest.approx(np.mean(values))
    mean = sum(values) / 3
    assert found.spread == pytest.approx((sum((v - mean) ** 2 for v in values) / 2 / 3) ** 0.5)
    assert kid_of_blocks(A, B, largest=10).spread is None


@given(n=st.integers(1, 300), m=st.integers(1, 300), largest=st.integers(1, 40))
def test_blocks_hold_every_row_once_and_no_more_than_allowed(n: int, m: int, largest: int) -> None:
    count = blocks_of(n, m, largest)
    sizes = [len(block) for block in blocks(np.arange(n)[:, None], count)]
    assert len(sizes) == count
    assert max(sizes) <= largest
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes)
    np.testing.assert_array_equal(np.concatenate(blocks(np.arange(n)[:, None], count))[:, 0], np.arange(n))
    assert count == 1 or max(n, m) > largest * (count - 1)  # no fewer would do


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all")
def test_kid_is_that_of_torchmetrics(pictures: tuple[Tensor, Tensor]) -> None:
    real, fake = pictures
    metric = KernelInceptionDistance(feature=Toy(), subsets=1, subset_size=30)
    metric.update(real[:30], real=True)
    metric.update(fake, real=False)
    mean, _ = metric.compute()
    features = [Toy()(some).numpy() for some in (real[:30], fake)]
    assert kid_of_subsets(features[0], features[1], 30, 1, 0).mean == pytest.approx(mean.item(), rel=1e-4)
    fixed = [of_side[5:25] for of_side in features]
    assert squared_mmd(*fixed) == pytest.approx(poly_mmd(*map(torch.from_numpy, fixed)).item(), rel=1e-9)


def test_fid_is_that_of_torchmetrics(pictures: tuple[Tensor, Tensor]) -> None:
    metric = FrechetInceptionDistance(feature=Toy()).set_dtype(torch.float64)
    for side, real in zip(pictures, (True, False), strict=True):
        metric.update(side, real=real)
    first, second = (Toy()(side).numpy() for side in pictures)
    assert fid(first, second) == pytest.approx(metric.compute().item(), rel=1e-6)


def test_fid_by_hand() -> None:
    """Of independent features: squared differences of means and of standard deviations."""
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)  # variances of 1, dividing by 3
    x, y = signs * [1.0, 2.0], signs * [3.0, 5.0] + [10.0, 0.0]
    assert fid(x, y) == pytest.approx(10**2 + (3 - 1) ** 2 + (5 - 2) ** 2)


@pytest.mark.parametrize(("n", "m"), [(5, 4), (5, 40), (40, 50)], ids=["few", "few and many", "many"])
def test_fid_is_the_trace_of_a_matrix_root(n: int, m: int) -> None:
    """Of covariances with and without full rank, each a way of its own through the code."""
    x, y = rows(n, d=9), rows(m, d=9, seed=1, shift=0.3) * 2
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * root
    assert fid(x, y) == pytest.approx(expected, rel=1e-5)
