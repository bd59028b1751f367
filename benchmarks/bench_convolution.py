"""Our convolution against cuDNN's, each with what follows it: `pytest benchmarks/bench_convolution.py`."""

from collections.abc import Callable

import pytest

from ugatit_fast.bench.kernel_subjects import Subject
from ugatit_fast.bench.kernels import ALL_CONTENDERS, subjects_of

SUBJECTS = subjects_of("convolution")


@pytest.mark.parametrize("contender", ALL_CONTENDERS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_convolution(measure: Callable[[Subject, str], None], subject: Subject, contender: str) -> None:
    measure(subject, contender)
