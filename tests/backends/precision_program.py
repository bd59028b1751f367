"""A program that sets PyTorch's precision in every way, and runs our convolutions; a process of its own.

Each argument is a setting to make. Prints a JSON list a setting: what could be read before and after running, and after
an exception in the middle, and what each convolution was told.
"""

import json
import sys
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.conftest import LIGHT, random_generator
from ugatit_fast.backends.cudnn import OurConvolutions
from ugatit_fast.fold import fold

PLACES = [("generic", "all"), *((kind, of) for kind in ("cuda", "mkldnn") for of in ("all", "conv", "rnn", "matmul"))]
OTHERS = (
    torch._C._get_cudnn_allow_tf32,
    torch._C._get_cublas_allow_tf32,
    torch.get_float32_matmul_precision,
    torch._C._get_cudnn_enabled,
    torch._C._get_cudnn_benchmark,
    torch._C._get_cudnn_deterministic,
    torch.are_deterministic_algorithms_enabled,
)


def read() -> list[object]:
    """Every setting; where old and new names were mixed, that PyTorch says so."""
    found: list[object] = [torch._C._get_fp32_precision_getter(*place) for place in PLACES]
    for ask in OTHERS:
        try:
            found.append(ask())
        except RuntimeError as error:
            found.append(str(error))
    return found


def inherits() -> list[object]:
    """The settings again under another general one: what is set for convolutions, and what is only inherited."""
    general = torch.backends.fp32_precision
    found = []
    for precision in ("ieee", "none"):
        torch.backends.fp32_precision = precision
        found += read()
    torch.backends.fp32_precision = general
    return found


class Watch(TorchDispatchMode):
    """What convolutions are told: benchmark, deterministic, enabled, TF32; nothing where they take PyTorch's word."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[bool, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._convolution.default:
            self.told.append(tuple(args[9:13]))
        elif func is torch.ops.aten.convolution.default:
            self.told.append(())
        return func(*args, **(kwargs or {}))


def main() -> None:
    folded, pictures = fold(random_generator(LIGHT)), torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    for setting in sys.argv[1:]:
        if setting != "pass":  # for a program that sets nothing they stay as PyTorch began
            torch.backends.fp32_precision = "none"
            for place in PLACES:
                torch._C._set_fp32_precision_setter(*place, "none")
            torch.set_float32_matmul_precision("highest")
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.enabled = True
            torch.use_deterministic_algorithms(False)
        exec(setting)  # noqa: S102 - from the test beside this
        before = read() + inherits()
        with OurConvolutions(), Watch() as watch:
            folded(pictures)
        after = read() + inherits()
        try:
            with OurConvolutions():
                folded(pictures[0])
        except (ValueError, RuntimeError, IndexError):
            print(json.dumps([before, after, read() + inherits(), watch.told]))


if __name__ == "__main__":
    main()
