"""How far a kernel may be from the truth: the one place where tolerances of tests/kernels/ are set.

Three runs judge a result: the truth (the reference in float64), PyTorch (the reference in the kernel's own dtype,
float32 statistics included), and ours. With u the unit roundoff of the dtype:

    largest error of ours <= MULTIPLE * (largest error of PyTorch's) + FLOOR[dtype] * (largest magnitude of the truth)

MULTIPLE is 3: both round the result once to the dtype (at most u of its magnitude each), and sum in different orders,
so that the largest of a few errors may be unlucky in one where it is lucky in the other. FLOOR is for results that
PyTorch gets exactly or nearly so:

    float32   32 u = 1.9e-6   the GPU's reciprocal square root errs by 2 u, a multiply-add or two by u each, and sums of
                              2^k terms by up to k u (k about 20, partly systematic)
    float16    2 u = 9.8e-4   the rounding of the result, and of a residual, once each
    bfloat16   4 u = 1.6e-2   the same; but the interpreter cuts off where a GPU rounds, at twice the error

Products of half precision that tensor cores sum in float32 have another floor, whatever their result's dtype is: those
cut off where others round, so that a long sum drifts. Of 2^20 terms, 1.2e-5 of the truth was seen on an H200.

A large mean against a small spread (mean / spread = r) magnifies what float32 can hold of x - mean by r; both runs
suffer it alike, and MULTIPLE covers it.
"""

import torch
from torch import Tensor

MULTIPLE = 3.0
FLOOR = {torch.float32: 32 * 2.0**-24, torch.float16: 2 * 2.0**-11, torch.bfloat16: 4 * 2.0**-8}

FLOOR_OF_TENSOR_CORES = 2.0**-15

LEVELS_OF_TIES = 1
"""uint8 results may differ by one level where float32 and float64 fall on different sides of a half."""
SHARE_OF_TIES = 1e-3
"""At most this share of them: a float32 error of 1e-6 reaches a half in about 1e-4 of all cases."""


def assert_as_close(ours: Tensor, pytorch: Tensor, truth: Tensor, *, tensor_cores: bool = False) -> None:
    """The rule above; ours and PyTorch's in their dtype, the truth in float64. NaN anywhere in ours fails."""
    assert ours.shape == truth.shape
    assert ours.dtype == pytorch.dtype
    if truth.numel() == 0:
        return
    error = (ours.double() - truth).abs().max().item()
    of_pytorch = (pytorch.double() - truth).abs().max().item()
    floor = max(FLOOR[ours.dtype], FLOOR_OF_TENSOR_CORES if tensor_cores else 0.0)
    allowed = MULTIPLE * of_pytorch + floor * truth.abs().max().item()
    assert error <= allowed, f"error {error:.3g}, PyTorch's {of_pytorch:.3g}, allowed {allowed:.3g}"
