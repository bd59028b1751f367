"""The convolution of ours and the normalisation that follows it, against float64; interpreted on any machine, compiled
on a GPU.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from tests.kernels.tolerances import assert_as_close
from ugatit_fast.kernels import adalin_streamed_launch, convolution_launch
from ugatit_fast.kernels.adalin import AdalinCall, adalin_reference
from ugatit_fast.kernels.adalin_launch import Normalised
from ugatit_fast.kernels.adalin_streamed import StreamedCall, adalin_from_partials_reference, check_streamed
from ugatit_fast.kernels.adalin_streamed_launch import adalin_streamed_on_gpu
from ugatit_fast.kernels.convolution import (
    HALF,
    Convolved,
    convolution_bias_relu_reference,
    convolution_reference,
    convolved,
)
from ugatit_fast.kernels.convolution_launch import convolution_bias_relu_on_gpu, convolution_on_gpu
from ugatit_fast.kernels.convolution_layout import RowSplits, layer_statistics, split_statistics
from ugatit_fast.kernels.convolution_schedule import ConvolutionTile
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.schedule import Tile

TILE = ConvolutionTile(rows=16, channels=16, inputs=16, warps=4, stages=2)
OF_NORM = Tile(16, 16, 4)


@dataclass(frozen=True)
class Case:
    """A convolution and a normalisation worth testing, and why."""

    why: str
    shape: tuple[int, int, int, int]
    """n, inputs, h, w: of the result, or of one of its phases."""
    outputs: int
    kernel: tuple[int, int] = (3, 3)
    phases: bool = False
    tiles: int = 1
    pad: int = 1
    pad_mode: str = "reflect"
    relu: bool = True
    unbiased: bool = True
    residual: bool = False
    bias: bool = False
    instance: bool = False
    shared: bool = False
    mean: float = 0.0
    spread: float = 1.0


CASES = [
    Case("nothing ragged: whole tiles of pixels and channels", (2, 16, 8, 6), 32, residual=True, bias=True),
    Case("odd sizes, channels not a power of two", (2, 24, 5, 7), 20, residual=True, bias=True),
    Case("inputs that descriptors don't take", (1, 20, 4, 5), 24),
    Case("a split of two tiles, the last of one that is not full", (1, 16, 7, 7), 16, tiles=2, instance=True),
    Case("a split larger than the image", (1, 16, 3, 4), 16, tiles=9),
    Case("one row", (1, 16, 1, 13), 16, pad=0),
    Case("one column", (1, 16, 9, 1), 16, pad=0),
    Case("one pixel", (3, 16, 1, 1), 16, pad=0, unbiased=False),
    Case("1x1: no border between the lines", (2, 16, 4, 5), 16, (1, 1), bias=True),
    Case("a wide kernel of one row", (1, 16, 4, 9), 21, (1, 7)),
    Case("up-sampling: four phases", (2, 16, 3, 4), 16, (2, 2), phases=True, shared=True, pad_mode="replicate"),
    Case("up-sampling, odd phases, two tiles a split", (1, 24, 5, 7), 12, (2, 2), phases=True, tiles=2, pad=3),
    Case("up-sampling of one pixel", (1, 16, 1, 1), 16, (2, 2), phases=True),
    Case("border nearly as wide as the image", (1, 16, 4, 4), 16, pad=3),
    Case("a border of zeros", (1, 16, 5, 4), 16, pad_mode="zero"),
    Case("instance norm of the encoder", (1, 16, 6, 6), 16, unbiased=False, instance=True, residual=True, relu=False),
    Case("mean three hundred times the spread", (1, 16, 6, 6), 16, mean=30.0, spread=0.1),
    Case("constant channels", (1, 16, 4, 5), 16, mean=3.0, spread=0.0, relu=False),
    Case("empty batch", (0, 16, 4, 4), 16, residual=True),
    Case("five images", (5, 16, 3, 3), 16),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
DTYPES = pytest.mark.parametrize("dtype", HALF, ids=str)
# A dtype changes what is loaded and stored, not where from.
WAYS = pytest.mark.parametrize(
    ("descriptors", "dtype"),
    [(True, torch.float16), (True, torch.bfloat16), (False, torch.float16)],
    ids=["descriptors", "descriptors, bfloat16", "pointers"],
)


def streamed(call: StreamedCall, tile: Tile = OF_NORM, splits_at_once: int = 64) -> Tensor:
    inputs = Normalised(call.x, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps)
    partials = (call.channel_partials, call.layer_partials, call.splits, call.channels)
    rest = (call.residual, call.relu, call.pad, call.pad_mode)
    return adalin_streamed_on_gpu(inputs, *partials, *rest, tile, splits_at_once)


@dataclass(frozen=True)
class Made:
    """Random arguments for a case."""

    case: Case
    x: Tensor
    weight: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    residual: Tensor | None

    def to(self, dtype: torch.dtype) -> "Made":
        tensors = {name: value.to(dtype) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    @property
    def call(self) -> tuple[Tensor, Tensor, Tensor | None, bool, bool, int, int, int]:
        return (
            self.x, self.weight, self.bias, self.rho is not None, self.case.phases, TILE.rows, TILE.channels,
            self.case.tiles,
        )  # fmt: skip

    @property
    def splits(self) -> RowSplits:
        _, _, h, w = self.case.shape
        return RowSplits(h, w, self.x.shape[3], TILE.rows * self.case.tiles, 4 if self.case.phases else 1)

    def convolved(self, descriptors: bool) -> Convolved:
        possible = descriptors and self.x.shape[1] % 8 == 0
        return Convolved(*convolution_on_gpu(*self.call, TILE, possible))

    def streamed(self, made: Convolved) -> StreamedCall:
        case = self.case
        call = StreamedCall(
            *made, self.x.shape[3], TILE.rows * case.tiles, TILE.channels, case.phases, self.gamma, self.beta, self.rho,
            self.bias, self.residual, case.relu, case.pad, case.pad_mode, case.unbiased, 1e-5,
        )  # fmt: skip
        check_streamed(call)
        return call

    def stage(self) -> Tensor:
        """Convolution and normalisation in plain PyTorch."""
        case, y = self.case, convolved(self.x, self.weight, self.case.phases)
        norm = (self.gamma, self.beta, self.rho, self.bias, self.residual)
        settings = (case.relu, case.pad, case.pad_mode, case.unbiased, 1e-5)
        return adalin_reference(AdalinCall(y, *norm, *settings))


def made(case: Case, dtype: torch.dtype, device: torch.device) -> Made:
    n, inputs, h, w = case.shape
    kernel_h, kernel_w = case.kernel
    outputs, scale, extra = case.outputs, 1 + case.phases, int(case.phases)
    padded = (n, inputs, h + kernel_h - 1 + extra, w + kernel_w - 1 + extra)
    random = lambda *shape: torch.randn(shape, device=device)  # noqa: E731
    x = (random(*padded) * case.spread + case.mean).to(dtype)
    weight = (random(outputs * scale**2, inputs, kernel_h, kernel_w) / (inputs * kernel_h * kernel_w) ** 0.5).to(dtype)
    table, plain = (1 if case.shared else n, outputs), case.instance
    around = random(n, outputs, scale * h + 2, scale * w + 2).to(dtype).to(memory_format=torch.channels_last)
    return Made(
        case,
        x.to(memory_format=torch.channels_last),
        weight.to(memory_format=torch.channels_last),
        None if plain else random(*table),
        None if plain else random(*table),
        None if plain else torch.rand(outputs, device=device),
        random(outputs) if case.bias else None,
        interior(around, 1) if case.residual else None,
    )


@WAYS
@EVERY
def test_results_are_as_close_as_pytorchs_and_statistics_are_theirs(
    case: Case, dtype: torch.dtype, descriptors: bool, device: torch.device
) -> None:
    given = made(case, dtype, device)
    ours, splits = given.convolved(descriptors), given.splits
    true = convolved(given.x.double(), given.weight.double(), case.phases)
    assert_as_close(ours.y, convolved(given.x, given.weight, case.phases), true)
    assert ours.y.is_contiguous(memory_format=torch.channels_last)
    pytorch, truth = split_statistics(ours.y, splits), split_statistics(ours.y.double(), splits)
    for i in (0, 1):
        assert_as_close(*(one[:, :, i] for one in (ours.channel_partials, pytorch, truth)))
    if given.rho is not None:
        bias = None if given.bias is None else given.bias.double()
        theirs = layer_statistics(pytorch, given.bias, splits, TILE.channels)
        truth = layer_statistics(truth, bias, splits, TILE.channels)
        for i in (0, 1):
            assert_as_close(*(one[..., i] for one in (ours.layer_partials, theirs, truth)))


@DTYPES
@EVERY
def test_the_normalisation_is_as_close_as_pytorch(case: Case, dtype: torch.dtype, device: torch.device) -> None:
    """On one and the same result of a convolution, whose splits are combined two at a time."""
    given = made(case, dtype, device)
    call = given.streamed(Convolved(*convolution_reference(*given.call)))
    double = given.streamed(Convolved(call.x, call.channel_partials, call.layer_partials)).rest
    true = AdalinCall(*(value.double() if isinstance(value, Tensor) else value for value in vars(double).values()))
    ours = streamed(call, OF_NORM.fitted(call.x.shape[2] * call.x.shape[3], case.outputs), 2)
    assert_as_close(ours, adalin_from_partials_reference(call), adalin_reference(true))
    assert ours.is_contiguous(memory_format=torch.channels_last)


@EVERY
def test_a_whole_stage_is_as_close_as_pytorch(case: Case, device: torch.device) -> None:
    given = made(case, torch.float16, device)
    ours = streamed(given.streamed(given.convolved(descriptors=True)))
    if case.spread == 0 or case.mean > 1:  # rounding is what such channels consist of: only the stored values count
        return assert_as_close(ours, given.stage(), normalised_in_double(given))
    return assert_as_close(ours, given.stage(), given.to(torch.float64).stage())


def normalised_in_double(given: Made) -> Tensor:
    """What follows the convolution as it is stored."""
    y = given.convolved(descriptors=True).y.double()
    case, wide = given.case, given.to(torch.float64)
    norm = (wide.gamma, wide.beta, wide.rho, wide.bias, wide.residual)
    return adalin_reference(AdalinCall(y, *norm, case.relu, case.pad, case.pad_mode, case.unbiased, 1e-5))


@WAYS
@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "pad", "pad_mode"),
    [
        ((2, 16, 6, 8), 32, (1, 1), 1, "reflect"),
        ((1, 24, 5, 7), 20, (1, 1), 1, "replicate"),
        ((1, 16, 5, 4), 16, (3, 3), 3, "reflect"),
        ((1, 16, 1, 9), 16, (1, 1), 0, "reflect"),
        ((1, 16, 3, 4), 16, (1, 1), 1, "zero"),
        ((0, 16, 4, 4), 16, (1, 1), 1, "reflect"),
    ],
    ids=str,
)
def test_bias_relu_and_border(
    shape: tuple[int, int, int, int],
    outputs: int,
    kernel: tuple[int, int],
    pad: int,
    pad_mode: str,
    dtype: torch.dtype,
    descriptors: bool,
    device: torch.device,
) -> None:
    given = made(Case("", shape, outputs, kernel, bias=True), dtype, device)
    assert given.bias is not None
    rest = (pad, pad_mode)
    ours = convolution_bias_relu_on_gpu(given.x, given.weight, given.bias, *rest, 16, 16, TILE, descriptors)
    pytorch = convolution_bias_relu_reference(given.x, given.weight, given.bias, *rest)
    wide = given.to(torch.float64)
    assert wide.bias is not None
    assert_as_close(ours, pytorch, convolution_bias_relu_reference(wide.x, wide.weight, wide.bias, *rest))


@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("case", [CASES[1], CASES[11]], ids=lambda case: case.why)
def test_every_element_is_written(
    case: Case, descriptors: bool, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = made(case, torch.float16, device)
    expected = streamed(given.streamed(given.convolved(descriptors)))
    empty = torch.empty
    poison = lambda *args, **kwargs: empty(*args, **kwargs).fill_(torch.nan)  # noqa: E731
    monkeypatch.setattr(convolution_launch.torch, "empty", poison)
    monkeypatch.setattr(adalin_streamed_launch.torch, "empty", poison)
    ours = given.convolved(descriptors)
    assert all(one.isfinite().all() for one in ours)
    assert torch.equal(streamed(given.streamed(ours)), expected)


@pytest.mark.parametrize("layout", ["contiguous", "every other channel", "transposed"])
def test_other_layouts_give_the_same_result(layout: str, device: torch.device) -> None:
    given = made(replace(CASES[0], residual=False), torch.float16, device)

    def laid_out(x: Tensor) -> Tensor:
        if layout == "contiguous":
            return x.contiguous()
        if layout == "every other channel":
            return torch.stack([x, x], dim=2).flatten(1, 2)[:, ::2]
        return x.transpose(2, 3).contiguous().transpose(2, 3)

    other = replace(given, x=laid_out(given.x), weight=laid_out(given.weight))
    for one, expected in zip(other.convolved(True), given.convolved(True), strict=True):
        assert torch.equal(one, expected)


def test_how_a_batch_is_made_changes_no_picture(device: torch.device) -> None:
    given = made(replace(CASES[8], shape=(3, 16, 4, 5)), torch.float16, device)
    together = given.convolved(True)
    for i in range(3):
        alone = replace(given, x=given.x[i : i + 1]).convolved(True)
        assert all(torch.equal(one[0], whole[i]) for one, whole in zip(alone, together, strict=True))
