"""Both ends of the network, fused and in plain PyTorch: `pytest benchmarks/bench_image.py`."""

from collections.abc import Callable

import pytest

from ugatit_fast.bench.kernel_subjects import Subject
from ugatit_fast.bench.kernels import ALL_CONTENDERS, subjects_of

SUBJECTS = subjects_of("image")


@pytest.mark.parametrize("contender", ALL_CONTENDERS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_image(measure: Callable[[Subject, str], None], subject: Subject, contender: str) -> None:
    measure(subject, contender)
