"""The operations of kernels/ timed against the same arithmetic in plain PyTorch and torch.compile.

Inputs rotate through more memory than any cache holds. Bytes are those that must move: each input read once, each
output written once. A contender with a CUDA graph replays one graph of a whole rotation, so that launching costs it
nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.bench import clock
from ugatit_fast.bench.kernel_subjects import SUBJECTS, Inputs, Subject
from ugatit_fast.bench.results import KernelRow, Target
from ugatit_fast.bench.session import judged
from ugatit_fast.kernels.counters import graph_counters

ROTATED_BYTES: dict[Target, int] = {"cuda": 2**28, "cpu": 2**26}
MAX_SETS = 48
COPY_BYTES: dict[Target, int] = {"cuda": 2**30, "cpu": 2**27}
ROUNDS = 7
PASSES = 5
"""Timed passes through the rotation in a round."""
WARMUP_PASSES = 3
MAX_RELATIVE_ERROR = 1e-2
"""‖y - y64‖ / ‖y64‖ beyond which a result is wrong rather than rounded to float16."""

# Contenders -------------------------------------------------------------------------------------------------------

FUSED, EAGER, COMPILED = "ugatit-fast", "eager", "torch.compile"
CONTENDERS = (FUSED, EAGER, COMPILED)
WITH_GRAPH = ", CUDA graph"
ALL_CONTENDERS = (*CONTENDERS, *[name + WITH_GRAPH for name in CONTENDERS])
COPY = "copy"

Pass = Callable[[], object]
"""One run through the rotation."""


def device_here() -> Target:
    return "cuda" if torch.cuda.is_available() else "cpu"


def subjects_of(file: str) -> list[Subject]:
    """Those of one file of kernels/ on this machine."""
    return SUBJECTS[device_here()][file]


def contenders_of(subject: Subject, target: Target) -> tuple[str, ...]:
    """Compiling takes a GPU's torch.compile some 20 s: there it is a contender where the aims name one."""
    names = ALL_CONTENDERS if target == "cuda" else CONTENDERS
    compiles = target == "cpu" or subject.aimed_at
    return names if compiles else tuple(name for name in names if not name.startswith(COMPILED))


def function_of(subject: Subject, contender: str) -> Callable[..., Tensor]:
    plain = contender.removesuffix(WITH_GRAPH)
    if plain == COMPILED:
        return torch.compile(subject.plain, dynamic=False)
    return {FUSED: subject.fused, EAGER: subject.plain}[plain]


def rotation(subject: Subject, target: Target) -> list[Inputs]:
    """As many sets of random inputs as it takes to pass through `ROTATED_BYTES`."""
    torch.manual_seed(0)
    dtype, device = torch.float16 if target == "cuda" else torch.float32, torch.device(target)
    first = subject.make(subject.shape, dtype, device)
    sets = min(MAX_SETS, max(1, -(-ROTATED_BYTES[target] // size(first))))
    return [first, *[subject.make(subject.shape, dtype, device) for _ in range(sets - 1)]]


def size(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def moved_bytes(subject: Subject, inputs: Inputs) -> int:
    """What one call must read and write."""
    return size(inputs) + size([subject.fused(*inputs)])


def relative_error(subject: Subject, function: Callable[..., Tensor], inputs: Inputs) -> float:
    """Against the plain arithmetic in float64 on the same inputs."""
    wide = [one.double() if one.is_floating_point() else one for one in inputs]
    expected, found = subject.plain(*wide).double(), function(*inputs).double()
    if found.shape != expected.shape:
        raise ValueError(f"{subject.name}: expected {tuple(expected.shape)}, got {tuple(found.shape)}")
    return float((found - expected).norm() / expected.norm())


def pass_of(function: Callable[..., Tensor], sets: Sequence[Inputs], graph: bool) -> Pass:
    """A warmed-up pass, recorded as one CUDA graph where asked."""

    def once() -> None:
        for inputs in sets:
            function(*inputs)

    for _ in range(WARMUP_PASSES):
        once()
    if not graph:
        return once
    torch.cuda.synchronize()
    recorded = torch.cuda.CUDAGraph()
    with graph_counters(torch.device("cuda", torch.cuda.current_device())) as counters, torch.cuda.graph(recorded):
        once()

    def replay(counters: Tensor = counters) -> None:  # which must live as long as the graph
        recorded.replay()

    return replay


def timed_pass(once: Pass, target: Target) -> float:
    """Milliseconds on the device."""
    if target == "cpu":
        return clock.timed_ms(lambda i: once(), 0)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    once()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def copy_pass(target: Target) -> Pass:
    source = torch.randint(0, 256, (COPY_BYTES[target],), dtype=torch.uint8, device=target)
    destination = torch.empty_like(source)
    return lambda: destination.copy_(source)


@torch.inference_mode()
def measure_subject(subject: Subject, target: Target, seconds: float) -> list[KernelRow]:
    """A row for every contender, timed in interleaved rounds together with a large copy; about `seconds` of timing."""
    sets = rotation(subject, target)
    names = contenders_of(subject, target)
    passes: dict[str, Pass] = {COPY: copy_pass(target)}
    rows: dict[str, KernelRow] = {}
    moved = moved_bytes(subject, sets[0])
    for name in names:
        rows[name] = KernelRow(subject.op, subject.shape_text, name, "ok", moved_bytes=moved)
        try:
            function = function_of(subject, name)
            error = relative_error(subject, function, sets[0])
            rows[name] = replace(rows[name], relative_error=error)
            if not error <= MAX_RELATIVE_ERROR:
                raise ArithmeticError(f"relative error {error:.2g}, allowed {MAX_RELATIVE_ERROR:.0g}")
            passes[name] = pass_of(function, sets, name.endswith(WITH_GRAPH))
        except ArithmeticError as wrong:
            rows[name] = replace(rows[name], status="wrong pictures", reason=str(wrong))
        except Exception as failure:  # noqa: BLE001 - what a contender raises is its row
            status, reason = judged(failure)
            rows[name] = replace(rows[name], status=status, reason=reason)
    times = interleaved(passes, target, seconds)
    copied = 2 * COPY_BYTES[target] / float(np.median(times.pop(COPY)))
    for name, samples in times.items():
        each = clock.spread([sample / len(sets) for sample in samples])
        rate = moved / each.median_ms
        rows[name] = replace(rows[name], time=each, gigabytes_per_second=rate / 1e6, share_of_copy=rate / copied)
    return list(rows.values())


def interleaved(passes: dict[str, Pass], target: Target, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of passes: rounds of a few each, until there are enough or time is up."""
    times: dict[str, list[float]] = {name: [] for name in passes}
    started = perf_counter()
    for i in range(ROUNDS):
        for name, once in passes.items():
            times[name] += [timed_pass(once, target) for _ in range(PASSES)]
        if i and perf_counter() - started > seconds:
            break
    return times
