import pickle

import pytest
import torch
from torch import Tensor

from ugatit_fast.bench import kernels
from ugatit_fast.bench.kernel_subjects import SUBJECTS, Subject, norm_inputs, phase_inputs, plain_norm_relu_pad
from ugatit_fast.bench.kernels import measure_subject, moved_bytes, relative_error, rotation

SMALL: dict[str, tuple[int, ...]] = {"style": (1, 8, 4, 4), "image": (1, 16, 16, 3), "rows to picture": (1, 21, 22, 16)}


def shrunk(subject: Subject, file: str) -> Subject:
    shape = SMALL.get(subject.op, SMALL.get(file, (2, 8, 8, 12)))
    return Subject(subject.op, shape, subject.make, subject.fused, subject.plain)


EVERY = [(file, subject) for file, subjects in SUBJECTS["cpu"].items() for subject in subjects]


@pytest.mark.parametrize(("file", "subject"), EVERY, ids=[subject.op for _, subject in EVERY])
def test_both_sides_compute_the_same(file: str, subject: Subject) -> None:
    torch.manual_seed(0)
    small = shrunk(subject, file)
    inputs = small.make(small.shape, torch.float32, torch.device("cpu"))
    for function in (small.fused, small.plain):
        assert relative_error(small, function, inputs) < 1e-5


def test_bytes_are_one_read_and_one_write() -> None:
    shape = (2, 8, 6, 10)
    subject = Subject("x", shape, norm_inputs, SUBJECTS["cpu"]["adalin"][0].fused, plain_norm_relu_pad)
    inputs = norm_inputs(shape, torch.float32, torch.device("cpu"))
    parameters = 4 * (2 * 8 + 2 * 8 + 8)
    assert moved_bytes(subject, inputs) == 4 * 2 * 8 * 6 * 10 + parameters + 4 * 2 * 8 * 8 * 12


def test_shapes_of_the_gpu_are_the_networks() -> None:
    ops = {subject.op: subject.shape for subject in SUBJECTS["cuda"]["adalin"]}
    assert ops["AdaLIN, ReLU, pad"][1:] == (256, 64, 64)
    first = phase_inputs((1, 64, 256, 256), torch.float16, torch.device("cpu"))[0]
    assert first.shape == (1, 256, 129, 129)


def fails(*inputs: Tensor) -> Tensor:
    raise RuntimeError("no such kernel")


def is_wrong(*inputs: Tensor) -> Tensor:
    return plain_norm_relu_pad(*inputs) * 1.1


@pytest.mark.parametrize(("plain_of_ours", "status"), [(plain_norm_relu_pad, "ok"), (is_wrong, "wrong pictures")])
def test_rows_of_a_subject(monkeypatch: pytest.MonkeyPatch, plain_of_ours: object, status: str) -> None:
    monkeypatch.setattr(kernels, "CONTENDERS", (kernels.FUSED, kernels.EAGER))
    monkeypatch.setattr(kernels, "ROTATED_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(kernels, "COPY_BYTES", {"cpu": 2**20})
    subject = Subject("x", (2, 8, 6, 10), norm_inputs, plain_of_ours, plain_norm_relu_pad)  # type: ignore[arg-type]
    rows = {row.contender: row for row in measure_subject(subject, "cpu", 0.1)}
    assert rows[kernels.EAGER].status == "ok"
    assert rows[kernels.FUSED].status == status
    assert (rows[kernels.FUSED].time is not None) == (status == "ok")
    assert rows[kernels.EAGER].gigabytes_per_second is not None
    assert rows[kernels.EAGER].gigabytes_per_second > 0


def test_inputs_rotate_through_more_than_a_cache() -> None:
    subject = SUBJECTS["cpu"]["bias_relu"][0]
    sets = rotation(subject, "cpu")
    assert sum(t.nbytes for inputs in sets for t in inputs) >= kernels.ROTATED_BYTES["cpu"]
    assert not torch.equal(sets[0][0], sets[1][0])


def test_subjects_reach_other_processes() -> None:
    for _, subject in EVERY:
        assert pickle.loads(pickle.dumps(subject)).op == subject.op  # noqa: S301 - our own
