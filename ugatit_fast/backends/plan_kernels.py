"""The kernels that a TensorRT plan will run, as far as it names them: read from its bytes, without TensorRT.

TensorRT compiles what lies between convolutions and matrix products into kernels of its own, and a plan of TensorRT for
RTX carries their CUDA source. Their names say what they do: `__myl_CastMeanSubMulMean_0x4e1d...`. A kernel that a plan
has several pieces of is there several times. Kernels from NVIDIA's library of convolutions are not among them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ugatit_fast.errors import EngineError

KERNEL = re.compile(rb"__global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(")
HASH = re.compile(r"_0x[0-9a-f]+$")
STEP = re.compile(r"[A-Z][a-z]+")
MOVES = {"Tran", "Resh", "Move", "Cast"}
"""Steps that compute nothing."""


def generated_kernels(plan: bytes) -> list[str]:
    """Names of the kernels whose source a plan carries, without their hashes, in the order of the plan."""
    return [HASH.sub("", name.decode()) for name in KERNEL.findall(plan)]


def is_transposition(kernel: str) -> bool:
    """Whether a kernel does nothing but write an activation in another order."""
    steps = set(STEP.findall(kernel))
    return "Tran" in steps and steps <= MOVES


def ends_eight_bits(kernel: str) -> bool:
    """Whether a kernel begins by scaling the sums of a convolution in eight bits: there is one behind each."""
    return STEP.findall(kernel)[:2] == ["Mul", "Cast"]


def plans_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """The plans of an engine file by name. EngineError where it is damaged."""
    try:
        with safe_open(path, "np") as file:
            for name in sorted(name for name in file.keys() if name.startswith("plan.")):  # noqa: SIM118
                yield name, file.get_tensor(name).tobytes()
    except (SafetensorError, OSError) as error:
        raise EngineError(f"{path} is truncated or damaged ({error}); copy it again or build it again") from error


def describe_kernels(path: Path) -> str:
    """For people: of each plan of an engine file how many kernels, and which. EngineError where it is damaged."""
    lines = []
    for plan, content in plans_of(path):
        kernels = generated_kernels(content)
        transpositions = sum(map(is_transposition, kernels))
        found = f"{plan:22} {len(kernels)} generated kernels, {transpositions} of them transpositions"
        scaling = sum(map(ends_eight_bits, kernels))
        lines.append(f"{found}, {scaling} behind convolutions in eight bits" if scaling else found)
        lines += [f"  {count:3} {name}" for name, count in Counter(kernels).most_common()]
        if not kernels:
            lines.append("  it carries the source of none; plans of TensorRT for RTX do")
    return "\n".join(lines)
