"""What the hardware can do: a large copy and dense arithmetic, timed in the same rounds as the contenders."""

from collections.abc import Callable
from pathlib import Path

import torch

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.contenders import Case, Contender, Lazily
from ugatit_fast.bench.results import CONVOLUTION, COPY, PRODUCT, Target
from ugatit_fast.choices import Precision

COPY_BYTES: dict[Target, int] = {"cpu": 2**27, "cuda": 2**31}
"""Of each of source and destination: far beyond any cache."""
SIDE: dict[Target, int] = {"cpu": 1536, "cuda": 8192}
"""Of the square matrices: large enough to run at the full rate, small enough for a few calls a round."""
CHANNELS, KERNEL, CONVOLVED_SIDE = 256, 3, 64
"""Of the convolution: those of a light generator's trunk at 256x256."""
REPEATS: dict[Target, int] = {"cpu": 1, "cuda": 8}
"""In one call, so that waiting for a GPU costs next to nothing of it."""


class Measured:
    """A piece of work in a loop; pictures are ignored."""

    concurrent = False
    build_seconds = 0.0

    def __init__(self, work: Callable[[], object], target: Target) -> None:
        self.work, self.target = work, target

    def run(self, images: Images) -> Images:
        for _ in range(REPEATS[self.target]):
            self.work()
        if self.target == "cuda":
            torch.cuda.synchronize()
        return images


def load_copy(case: Case, file: Path | None, *, target: Target) -> Measured:
    torch.set_num_threads(case.network.threads)
    source = torch.randint(0, 256, (COPY_BYTES[target],), dtype=torch.uint8, device=target)
    destination = torch.empty_like(source)
    return Measured(lambda: destination.copy_(source), target)


def load_product(case: Case, file: Path | None, *, target: Target, precision: Precision) -> Measured:
    torch.set_num_threads(case.network.threads)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    a, b = (torch.randn(SIDE[target], SIDE[target], dtype=dtype, device=target) for _ in range(2))
    out = torch.empty_like(a)
    return Measured(lambda: torch.mm(a, b, out=out), target)


def load_convolution(case: Case, file: Path | None, *, target: Target) -> Measured:
    """Float32, channels-last; oneDNN computes it directly, so its operations are the counted ones."""
    torch.set_num_threads(case.network.threads)
    side = CONVOLVED_SIDE + KERNEL - 1
    x = torch.randn(1, CHANNELS, side, side, device=target).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(CHANNELS, CHANNELS, KERNEL, KERNEL, device=target)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    return Measured(torch.inference_mode()(lambda: torch.conv2d(x, kernel)), target)


def copied_bytes(target: Target) -> int:
    """Read plus written by one call."""
    return 2 * COPY_BYTES[target] * REPEATS[target]


def operations_of(name: str, target: Target) -> int:
    """Of one call of the arithmetic with this name; a multiply-add is two."""
    macs = CONVOLVED_SIDE**2 * CHANNELS**2 * KERNEL**2 if name == CONVOLUTION else SIDE[target] ** 3
    return 2 * macs * REPEATS[target]


def limits_of(target: Target) -> tuple[Contender, ...]:
    """The limits to measure for contenders on `target`.

    PyTorch's float32 product isn't the fastest arithmetic of every CPU; its convolution can be faster. On a GPU the
    product is, being what the vendors tune first.
    """
    module = "ugatit_fast.bench.limits"
    precisions: tuple[Precision, ...] = ("fp32", "fp16") if target == "cuda" else ("fp32",)
    copy = Contender(COPY, "limit", target, "fp32", ("torch",), "", Lazily(module, "load_copy", {"target": target}))
    products = [
        Contender(
            PRODUCT[precision],
            "limit",
            target,
            precision,
            ("torch",),
            "",
            Lazily(module, "load_product", {"target": target, "precision": precision}),
        )
        for precision in precisions
    ]
    if target == "cuda":
        return (copy, *products)
    load = Lazily(module, "load_convolution", {"target": target})
    return (copy, *products, Contender(CONVOLUTION, "limit", target, "fp32", ("torch",), "", load))
