"""Runs the plugins' kernels, in Triton's interpreter or on a GPU, as TensorRT would, against the reference.

Launched with what plugin_kernels.py decides: pointers in its order, its constants, its grid. test_plugin_kernels.py
starts it in a process of its own, since Triton decides when it is imported whether to interpret.
"""

import os
from itertools import product
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.export import plugin_triton
from ugatit_fast.export.onnx_activations import ONNX_MODES
from ugatit_fast.export.plugin_kernels import KernelSpec, NormShape, apply_spec, stats_spec
from ugatit_fast.kernels.adalin import AdalinCall, adalin_reference

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
POINTERS = {torch.float32: "*fp32", torch.float16: "*fp16"}


def launch(spec: KernelSpec, n: int, tensors: dict[str, Tensor]) -> None:
    assert [name for name, _ in spec.pointers] == [*tensors], "inputs in the order of the node, then outputs"
    for name, kind in spec.pointers:
        assert POINTERS[tensors[name].dtype] == kind
    kernel: Any = getattr(plugin_triton, spec.kernel)
    assert [name for name in kernel.arg_names if name in tensors] == [*tensors], "and so of the kernel"
    kernel[(spec.programs * n,)](**tensors, **dict(spec.constants), num_warps=spec.warps)


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def check(
    shape: NormShape, dtype: torch.dtype, channels_last: bool, tactic: int, *, residual: bool, own_style: bool,
    relu: bool, pad: int, pad_mode: str, unbiased: bool,
) -> None:  # fmt: skip
    n, c, h, w = 2, shape.c, shape.h, shape.w
    torch.manual_seed(tactic)
    small = {"device": DEVICE, "dtype": torch.float32}
    x = laid_out((3 + 2 * torch.randn(n, c, h, w, device=DEVICE)).to(dtype), channels_last)
    added = laid_out(torch.randn(n, c, h + 2, w + 2, device=DEVICE).to(dtype), channels_last)
    gamma, beta = (torch.randn(n if own_style else 1, c, **small) for _ in range(2))
    rho, bias = torch.rand(c, **small), torch.randn(c, **small)
    channels = torch.full((n, shape.splits, 2, c), torch.nan, **small)
    layer = torch.full((n, shape.splits, shape.tiles, 2), torch.nan, **small)
    launch(
        stats_spec(shape, POINTERS[dtype], channels_last, tactic),
        n,
        {"x": x, "bias": bias, "channels": channels, "layer": layer},
    )
    y = laid_out(torch.full((n, c, h + 2 * pad, w + 2 * pad), torch.nan, device=DEVICE, dtype=dtype), channels_last)
    spec = apply_spec(
        shape, POINTERS[dtype], channels_last, tactic, residual=residual, style_of_each_image=own_style, relu=relu,
        pad=pad, mode=ONNX_MODES[pad_mode], unbiased=unbiased, eps=1e-5,
    )  # fmt: skip
    inputs = {"x": x, "channels": channels, "layer": layer, "gamma": gamma, "beta": beta, "rho": rho, "bias": bias}
    launch(spec, n, inputs | ({"residual": added} if residual else {}) | {"y": y})
    interior = added[:, :, 1:-1, 1:-1].double() if residual else None
    in_double = (tensor.double() for tensor in (x, gamma, beta, rho, bias))
    expected = adalin_reference(AdalinCall(*in_double, interior, relu, pad, pad_mode, unbiased, 1e-5))
    error = (y.double() - expected).abs().max().item()
    assert error < (2e-5 if dtype == torch.float32 else 2e-2), (spec.kernel, dtype, tactic, error)


runs = 0
for dtype, channels_last, tactic in product(POINTERS, (True, False), (1, 2, 3)):
    # Odd sizes and several splits; channels that don't fill their tile; two channel tiles.
    check(NormShape(24, 6, 10, 4, 1), dtype, channels_last, tactic, residual=True, own_style=True, relu=True, pad=1,
          pad_mode="reflect", unbiased=True)  # fmt: skip
    check(NormShape(128, 5, 7, 5, 2), dtype, channels_last, tactic, residual=False, own_style=False, relu=False, pad=3,
          pad_mode="replicate", unbiased=False)  # fmt: skip
    check(NormShape(24, 6, 10, 4, 1), dtype, channels_last, tactic, residual=True, own_style=False, relu=True, pad=1,
          pad_mode="zero", unbiased=False)  # fmt: skip
    runs += 3
print(f"{runs} normalisations agree")
