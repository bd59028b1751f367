"""What the hardware can do: a large copy and a large matrix product, timed in the same rounds as the contenders."""

from collections.abc import Callable
from pathlib import Path

import torch

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.contenders import Case, Contender, Lazily
from ugatit_fast.bench.results import COPY, PRODUCT, Target
from ugatit_fast.choices import Precision

COPY_BYTES: dict[Target, int] = {"cpu": 2**27, "cuda": 2**31}
"""Of each of source and destination: far beyond any cache."""
SIDE: dict[Target, int] = {"cpu": 1536, "cuda": 8192}
"""Of the square matrices: large enough to run at the full rate, small enough for a few calls a round."""
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


def copied_bytes(target: Target) -> int:
    """Read plus written by one call."""
    return 2 * COPY_BYTES[target] * REPEATS[target]


def product_operations(target: Target) -> int:
    """Of one call; a multiply-add is two."""
    return 2 * SIDE[target] ** 3 * REPEATS[target]


def limits_of(target: Target) -> tuple[Contender, ...]:
    """The limits to measure for contenders on `target`."""
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
    return (copy, *products)
