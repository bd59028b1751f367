"""AdaLIN's reference: the paper's formula, its gradients, and what float32 does with a large mean."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.padding import pad_reference
from ugatit_fast.kernels.phases import interleave_phases
from ugatit_fast.model import layer_instance_norm


def doubles(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 3), c=st.integers(1, 7), h=st.integers(1, 6), w=st.integers(2, 6), relu=st.booleans())
def test_it_is_the_papers_formula(n: int, c: int, h: int, w: int, relu: bool) -> None:
    x, gamma, beta, rho = doubles(n, c, h, w), doubles(n, c), doubles(n, c), torch.rand(c, dtype=torch.float64)
    bias, residual = doubles(c), doubles(n, c, h, w)
    expected = layer_instance_norm(x + bias[:, None, None], rho[:, None, None])
    expected = gamma[:, :, None, None] * expected + beta[:, :, None, None]
    expected = (expected.relu() if relu else expected) + residual
    torch.testing.assert_close(adalin(x, gamma, beta, rho, bias, residual, relu), expected)
    torch.testing.assert_close(
        adalin(x, gamma, beta, rho, bias, residual, relu, 1, "replicate"), pad_reference(expected, 1, "replicate")
    )


def test_without_rho_it_is_instance_norm() -> None:
    x = doubles(2, 3, 5, 4)
    expected = torch.nn.functional.instance_norm(x)
    torch.testing.assert_close(adalin(x, unbiased=False), expected)
    torch.testing.assert_close(adalin(x, bias=doubles(3), unbiased=False), expected)  # which it cancels


def test_phases_are_interleaved_first() -> None:
    phases, rho = doubles(2, 12, 3, 5), torch.rand(3, dtype=torch.float64)
    torch.testing.assert_close(
        adalin(phases, rho=rho, pad=2, phases=True), adalin(interleave_phases(phases), rho=rho, pad=2)
    )


def test_phases_have_no_gradient() -> None:
    y = adalin(doubles(1, 4, 3, 3).requires_grad_(), phases=True)
    with pytest.raises(NotImplementedError, match="interleave the phases first"):
        y.sum().backward()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_result_has_the_memory_format_of_x(layout: torch.memory_format) -> None:
    x = torch.randn(2, 8, 4, 5).to(memory_format=layout)
    assert adalin(x, pad=1).is_contiguous(memory_format=layout)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_statistics_are_float32(dtype: torch.dtype) -> None:
    x = (torch.randn(1, 4, 64, 64) + 300).to(dtype)  # sums far beyond float16, spreads of a few of its units
    torch.testing.assert_close(adalin(x).double(), adalin(x.double()), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(dtype: torch.dtype, pad: int) -> None:
    """On the CPU it pads in float32, and would leave the result so."""
    x, residual = (torch.randn(1, 4, 6, 5, dtype=dtype).requires_grad_() for _ in range(2))
    expected = adalin(x, residual=residual, relu=True, pad=pad)
    with torch.autocast("cpu", torch.bfloat16):
        found = adalin(x, residual=residual, relu=True, pad=pad)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype


def test_a_large_mean_leaves_the_spread() -> None:
    x = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(
        adalin((x + 1000).float()).double(), adalin((x + 1000).float().double()), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("pad", "pad_mode"), [(0, "reflect"), (1, "reflect"), (2, "reflect"), (1, "replicate")])
def test_gradients(relu: bool, pad: int, pad_mode: str) -> None:
    torch.manual_seed(1)
    inputs = (
        doubles(2, 3, 3, 4),
        doubles(2, 3),
        doubles(2, 3),
        torch.rand(3).double(),
        doubles(3),
        doubles(2, 3, 3, 4),
    )
    leaves = tuple(t.requires_grad_() for t in inputs)
    assert torch.autograd.gradcheck(lambda *given: adalin(*given, relu, pad, pad_mode), leaves)


@pytest.mark.parametrize("unbiased", [False, True])
def test_gradients_of_shared_and_missing_parameters(unbiased: bool) -> None:
    torch.manual_seed(2)
    x, shared, rho = (t.requires_grad_() for t in (doubles(2, 3, 3, 4), doubles(1, 3), torch.rand(3).double()))
    arguments = {"unbiased": unbiased}
    assert torch.autograd.gradcheck(lambda x: adalin(x, **arguments), (x,))
    assert torch.autograd.gradcheck(lambda x, g: adalin(x, g, g, **arguments), (x, shared))
    assert torch.autograd.gradcheck(lambda x, r: adalin(x, rho=r, **arguments), (x, rho))
