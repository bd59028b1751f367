"""AdaLIN's kernels, forward and backward, against float64; interpreted on any machine, compiled on a GPU."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from tests.kernels.tolerances import assert_as_close
from ugatit_fast.kernels import adalin_launch
from ugatit_fast.kernels.adalin import AdalinCall, adalin_reference
from ugatit_fast.kernels.adalin_backward import BackwardCall, adalin_backward_reference
from ugatit_fast.kernels.adalin_backward_launch import adalin_backward_on_gpu
from ugatit_fast.kernels.adalin_launch import Normalised, adalin_on_gpu
from ugatit_fast.kernels.counters import COUNTERS
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.schedule import BackwardPlan, NormPlan, Tile, cdiv, even_splits

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
SCHEDULES = ["two-stage", "one split", "resident", "resident, two tiles", "resident, one program"]
# A dtype changes what is loaded and stored, not how many splits are combined.
KINDS = [(schedule, dtype) for schedule in ("two-stage", "resident") for dtype in DTYPES]
KINDS += [
    ("one split", torch.float32),
    ("resident, two tiles", torch.float16),
    ("resident, one program", torch.float16),
]


@dataclass(frozen=True)
class Case:
    """A call of `adalin` worth testing, and why."""

    why: str
    shape: tuple[int, int, int, int]
    pad: int = 0
    pad_mode: str = "reflect"
    relu: bool = True
    unbiased: bool = True
    residual: bool = False
    phases: bool = False
    instance: bool = False  # no gamma, beta and rho
    shared: bool = False  # gamma and beta of all images
    bias: bool = False
    rho: float | None = None  # None: random
    slope: float = 0.0
    eps_outside: bool = False
    mean: float = 0.5
    spread: float = 1.0


CASES = [
    Case("everything at once, odd sizes, channels not a power of two", (2, 24, 5, 7), 1, residual=True, bias=True),
    Case("nothing ragged: whole tiles of pixels and of channels", (2, 32, 8, 8), 1, residual=True, bias=True),
    Case("one row, five channels", (1, 5, 1, 13)),
    Case("one pixel", (3, 16, 1, 1), unbiased=False),
    Case("border nearly as wide as the image", (1, 16, 4, 4), 3),
    Case("two rows that both borders repeat", (1, 8, 2, 6), 1, bias=True),
    Case("border for the up-sampling", (2, 16, 5, 6), 1, "replicate", residual=True),
    Case("instance norm of the encoder", (1, 20, 6, 6), 1, unbiased=False, instance=True, residual=True, relu=False),
    Case("border of zeros, as a transposed convolution wants it", (2, 20, 5, 6), 1, "zero", residual=True, bias=True),
    Case("border of zeros, read from phases", (1, 12, 4, 6), 1, "zero", phases=True, shared=True, slope=0.2),
    Case("ILN, read from its phases", (2, 12, 4, 6), 1, "replicate", phases=True, shared=True),
    Case("ILN, read from its phases, before the last convolution", (1, 16, 6, 4), 3, phases=True, shared=True),
    Case("mean a thousand times the spread", (1, 16, 6, 6), mean=1000.0),
    Case("constant channels", (1, 16, 4, 5), 1, mean=3.0, spread=0.0, relu=False),
    Case("rho 0: layer norm", (1, 16, 4, 5), rho=0.0, bias=True),
    Case("layer norm, its epsilon outside the root", (2, 16, 4, 5), 1, rho=0.0, bias=True, eps_outside=True),
    Case("a deviation as small as the epsilon", (1, 16, 6, 6), rho=0.0, spread=1e-5, mean=0.0, eps_outside=True),
    Case("rho 1: instance norm", (1, 16, 4, 5), rho=1.0, bias=True),
    Case("empty batch", (0, 16, 4, 4), 1),
    Case("five images", (5, 16, 3, 3), 1),
]


@dataclass(frozen=True)
class Call:
    """Random arguments for a case."""

    case: Case
    x: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    residual: Tensor | None

    def reference(self, dtype: torch.dtype | None = None) -> Tensor:
        """PyTorch's result, in `dtype` throughout where one is given."""
        tensors = (self.x, self.gamma, self.beta, self.rho, self.bias, self.residual)
        case = self.case
        x, *others = (t if t is None or dtype is None else t.to(dtype) for t in tensors)
        assert x is not None
        settings = (case.relu, case.pad, case.pad_mode, case.unbiased, 1e-5, case.phases, case.slope, case.eps_outside)
        return adalin_reference(AdalinCall(x, *others, *settings))

    def inputs(self) -> Normalised:
        case = self.case
        parameters = self.gamma, self.beta, self.rho, self.bias
        return Normalised(self.x, *parameters, case.unbiased, 1e-5, case.phases, case.eps_outside)

    def ours(self, plan: NormPlan, patience: int) -> Tensor:
        case = self.case
        ending = (case.relu, case.pad, case.pad_mode, plan, patience, case.slope)
        return adalin_on_gpu(self.inputs(), self.residual, *ending)


def call(case: Case, dtype: torch.dtype, device: torch.device) -> Call:
    n, c, h, w = case.shape
    of_x = (n, 4 * c, h // 2 + 1, w // 2 + 1) if case.phases else case.shape
    x = (torch.randn(of_x, device=device) * case.spread + case.mean).to(dtype)
    x = x.to(memory_format=torch.channels_last)
    table = (1 if case.shared else n, c)
    random = lambda *shape: torch.randn(shape, device=device)  # noqa: E731
    plain = case.instance
    rho = torch.rand(c, device=device) if case.rho is None else torch.full((c,), case.rho, device=device)
    padded = random(n, c, h + 2, w + 2).to(dtype).to(memory_format=torch.channels_last)
    return Call(
        case,
        x,
        None if plain else random(*table),
        None if plain else random(*table),
        None if plain else rho,
        random(c) if case.bias else None,
        interior(padded, 1) if case.residual else None,
    )


def plan_of(schedule: str, case: Case) -> NormPlan:
    """Tiles small enough for several programs an image, splits that end inside a tile, and a single one."""
    _, c, h, w = case.shape
    pixels = h * w
    tile = Tile(8, 16, 4).fitted(pixels, c)
    if schedule == "two-stage":
        splits, split_pixels = even_splits(1, c, pixels, tile, 3, 3)
        return NormPlan(tile, tile, splits, split_pixels, 2 * tile.rows)
    if schedule == "one split":
        return NormPlan(tile, tile, 1, cdiv(pixels, tile.rows) * tile.rows, tile.rows)
    if schedule == "resident":
        tile = Tile(16, 16, 4).fitted(pixels, c)
        return NormPlan(tile, None, cdiv(pixels, tile.rows), tile.rows, 0)
    if schedule == "resident, two tiles":
        tile = Tile(8, 16, 4).fitted(pixels, c)
        splits = cdiv(pixels, tile.rows)
        return NormPlan(tile, None, splits, tile.rows, 0, tiles=1 if splits % 2 else 2)
    whole = Tile(64, 32, 4).fitted(pixels, c)
    return NormPlan(whole, None, 1, whole.rows, 0)


@pytest.mark.parametrize(("schedule", "dtype"), KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_forward_is_as_close_as_pytorch(case: Case, schedule: str, dtype: torch.dtype, device: torch.device) -> None:
    made = call(case, dtype, device)
    # Programs of the interpreter run one after another: without patience, each computes what others haven't yet.
    assert_as_close(made.ours(plan_of(schedule, case), patience=0), made.reference(), made.reference(torch.float64))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_element_is_written(schedule: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(CASES[0], pad=3)
    made = call(case, torch.float32, device)
    empty = torch.empty
    poison = lambda *args, **kwargs: empty(*args, **kwargs).fill_(torch.nan)  # noqa: E731
    monkeypatch.setattr(adalin_launch.torch, "empty", poison)
    ours = made.ours(plan_of(schedule, case), patience=0)
    monkeypatch.undo()
    assert_as_close(ours, made.reference(), made.reference(torch.float64))


@pytest.mark.parametrize("schedule", ["resident", "resident, one program"])
def test_counters_are_zero_again_and_a_barrier_serves_many_launches(
    schedule: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[-1]
    counters = torch.zeros(COUNTERS, dtype=torch.int32, device=device)
    monkeypatch.setattr(adalin_launch, "current_counters", lambda device: counters)
    made = call(case, torch.float16, device)
    results = [made.ours(plan_of(schedule, case), patience=0) for _ in range(3)]
    assert not counters.any()
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_program_alone_with_its_image_needs_no_patience(device: torch.device) -> None:
    case = CASES[0]
    made = call(case, torch.float32, device)
    plan = plan_of("resident, one program", case)
    assert torch.equal(made.ours(plan, patience=1_000_000), made.ours(plan, patience=0))


@pytest.mark.parametrize("layout", ["contiguous", "every other channel", "transposed"])
def test_other_layouts_give_the_same_result(layout: str, device: torch.device) -> None:
    case = Case("layouts", (2, 16, 6, 6), 1, residual=True)
    made = call(case, torch.float16, device)

    def laid_out(x: Tensor) -> Tensor:
        if layout == "contiguous":
            return x.contiguous()
        if layout == "every other channel":
            return torch.stack([x, x], dim=2).flatten(1, 2)[:, ::2]
        return x.transpose(2, 3).contiguous().transpose(2, 3)

    assert made.residual is not None
    other = replace(made, x=laid_out(made.x), residual=laid_out(made.residual))
    plan = plan_of("two-stage", case)
    assert torch.equal(other.ours(plan, 0), made.ours(plan, 0))


BACKWARD_CASES = [case for case in CASES if not case.phases] + [
    Case("a wide replicated border", (1, 8, 3, 4), 2, "replicate", bias=True)
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", BACKWARD_CASES, ids=lambda case: case.why)
def test_backward_is_as_close_as_pytorch(case: Case, dtype: torch.dtype, device: torch.device) -> None:
    made = call(case, dtype, device)
    n, c, h, w = case.shape
    grad = torch.randn(n, c, h + 2 * case.pad, w + 2 * case.pad, device=device).to(dtype)
    settings = (case.residual, case.relu, case.pad, case.pad_mode)
    tensors = (grad, made.x, made.gamma, made.beta, made.rho, made.bias)
    pytorch = adalin_backward_reference(BackwardCall(*tensors, *settings, case.unbiased, 1e-5))
    in_double = (None if t is None else t.double() for t in tensors)
    truth = adalin_backward_reference(BackwardCall(*in_double, *settings, case.unbiased, 1e-5))
    tile = Tile(8, 16, 4).fitted(h * w, c)
    splits, split_pixels = even_splits(1, c, h * w, tile, 3, 3)
    ours = adalin_backward_on_gpu(
        grad, made.inputs(), *settings, BackwardPlan(tile, tile, splits, split_pixels, 2 * tile.rows)
    )
    for mine, theirs, true in zip(ours, pytorch, truth, strict=True):
        assert_as_close(mine, theirs, true)
