"""What every launcher does to its tensors before a kernel may touch them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

MAX_ELEMENTS = 2**31
"""Kernels index inside a tensor with int32."""


def channels_last(x: Tensor) -> Tensor:
    """x, densely (n, h, w, c) in memory: itself where it already is, else one copy."""
    return x.contiguous(memory_format=torch.channels_last)


def memory_format_of(x: Tensor) -> torch.memory_format:
    """The format that a result follows: channels-last beside a channels-last x, else contiguous."""
    return torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format


def check_size(op: str, *elements: int) -> None:
    """ValueError where a tensor would have more elements than int32 can index."""
    if max(elements) >= MAX_ELEMENTS:
        raise ValueError(f"{op}: tensors must have fewer than 2^31 elements, got {max(elements)}; split the batch")


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Launches inside go to x's GPU, on its current stream."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def span(x: Tensor) -> int:
    """Elements from x's first to its last in memory, both counted."""
    return 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0


def contiguous(parameter: Tensor | None) -> Tensor | None:
    """A parameter as kernels read it."""
    return None if parameter is None else parameter.contiguous()


def pixel_strides(x: Tensor | None) -> tuple[int, int, int]:
    """Elements from one image, row and pixel of x to the next; its channels lie together."""
    return (0, 0, 0) if x is None else (x.stride(0), x.stride(2), x.stride(3))
