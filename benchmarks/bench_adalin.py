"""AdaLIN and its family, fused and in plain PyTorch: `pytest benchmarks/bench_adalin.py`."""

from collections.abc import Callable

import pytest

from ugatit_fast.bench.kernel_subjects import Subject
from ugatit_fast.bench.kernels import ALL_CONTENDERS, subjects_of

SUBJECTS = subjects_of("adalin")


@pytest.mark.parametrize("contender", ALL_CONTENDERS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_adalin(measure: Callable[[Subject, str], None], subject: Subject, contender: str) -> None:
    measure(subject, contender)
