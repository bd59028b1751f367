"""What the kernel benchmarks share: `pytest benchmarks/bench_adalin.py` (pytest-benchmark)."""

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch

from ugatit_fast.bench.kernel_subjects import Subject
from ugatit_fast.bench.kernels import (
    COPY_BYTES,
    MAX_RELATIVE_ERROR,
    WITH_GRAPH,
    copy_pass,
    device_here,
    function_of,
    moved_bytes,
    pass_of,
    relative_error,
    rotation,
    timed_pass,
)

TARGET = device_here()
COPIES = 9


@pytest.fixture(scope="session")
def copy_rate() -> float:
    """Bytes read plus written in a millisecond by a large copy on this device."""
    once = copy_pass(TARGET)
    return 2 * COPY_BYTES[TARGET] / median(timed_pass(once, TARGET) for _ in range(COPIES))


@pytest.fixture
def measure(benchmark: Any, copy_rate: float) -> Callable[[Subject, str], None]:
    """Benchmark one contender on one subject: correct first, then passes through rotating inputs."""

    def run(subject: Subject, contender: str) -> None:
        graph = contender.endswith(WITH_GRAPH)
        if graph and TARGET == "cpu":
            pytest.skip("CUDA graphs need an NVIDIA GPU")
        with torch.inference_mode():
            sets, function = rotation(subject, TARGET), function_of(subject, contender)
            assert relative_error(subject, function, sets[0]) <= MAX_RELATIVE_ERROR
            once = pass_of(function, sets, graph)
            benchmark.pedantic(lambda: timed_pass(once, TARGET), rounds=9, warmup_rounds=1)
        rate = moved_bytes(subject, sets[0]) * len(sets) / (benchmark.stats["median"] * 1e3)
        benchmark.extra_info |= {
            "subject": subject.name,
            "calls_in_a_pass": len(sets),
            "gb_per_second": round(rate / 1e6, 1),
            "percent_of_copy": round(100 * rate / copy_rate, 1),
        }

    return run
