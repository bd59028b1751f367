from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import LIGHT
from ugatit_fast.bench.cost import Activation, CountingOperations, Work, count, roofline_seconds
from ugatit_fast.fold import fold
from ugatit_fast.folded_weights import AttentionWeights
from ugatit_fast.graph import StageOptions, TorchOperations
from ugatit_fast.kernels.schedule import Gpu
from ugatit_fast.model import Generator, GeneratorConfig


def macs(work: list[Work], name: str | None = None) -> int:
    return sum(one.macs for one in work if name in (None, one.name))


def test_light_256_is_what_the_design_says() -> None:
    """46.9 GMAC: counted by hand from the paper's layers at 64 x 64 positions, up-convolutions as four 2x2 phases."""
    work = count(GeneratorConfig(light=True), 1, 256, 256, "fp32")
    bottleneck = 64 * 64
    by_hand = {
        "convolution 7x7": 3 * 64 * 49 * 256 * 256,
        "convolution 3x3": 64 * 128 * 9 * 128 * 128 + 128 * 256 * 9 * bottleneck + 16 * 256 * 256 * 9 * bottleneck,
        "attention 1x1": 256 * 256 * bottleneck,
        "style": 256 * 256 * 4,
        "up-convolution": 4 * 128 * 256 * 4 * bottleneck + 4 * 64 * 128 * 4 * 128 * 128,
        "last convolution, rows": 3 * 64 * 49 * 256 * 256,
    }
    for name, expected in by_hand.items():
        assert macs(work, name) == expected, name
    assert macs(work) == sum(by_hand.values())
    assert round(macs(work) / 1e9, 1) == 46.9


def test_full_generator_reads_its_first_linear_layer_once() -> None:
    first_bytes = 2 * 256 * 256 * 64 * 64  # 537 MB, as the design says
    one, many = (count(GeneratorConfig(), n, 256, 256, "fp16") for n in (1, 8))
    styles = [next(work for work in counted if work.name == "style") for counted in (one, many)]
    assert first_bytes == 536_870_912
    assert [style.bytes > first_bytes for style in styles] == [True, True]
    assert styles[1].bytes - styles[0].bytes == 7 * (2 * 256 * 64 * 64 + 4 * 512)


def test_bytes_of_one_stage_by_hand() -> None:
    folded = fold(Generator(LIGHT))
    operations = CountingOperations(4)
    y = operations.stage(Activation(2, 3, 22, 26), folded.stem, StageOptions(pad=1))
    assert y == Activation(2, 8, 18, 22)
    convolution, normalisation = operations.work
    x_bytes, weight_bytes, conv_bytes = 4 * 2 * 3 * 22 * 26, 4 * 8 * 3 * 49, 4 * 2 * 8 * 16 * 20
    assert convolution == Work("convolution 7x7", 2 * 8 * 16 * 20 * 3 * 49, x_bytes + weight_bytes + conv_bytes)
    assert normalisation.bytes == conv_bytes + 2 * 2 * 8 * 4 + 4 * 2 * 8 * 18 * 22


class Comparing(CountingOperations):
    """Counts, and holds the shapes of every verb against those of PyTorch."""

    def __init__(self) -> None:
        super().__init__(4)
        self.real = TorchOperations(torch.float32)

    def __getattribute__(self, name: str) -> object:
        found = super().__getattribute__(name)
        if name not in ("normalise", "stage", "up_stage", "attend", "to_image"):
            return found

        def both(x: tuple[Activation, torch.Tensor], *arguments: object, **named: object) -> object:
            shapes = {key: value[0] if isinstance(value, tuple) else value for key, value in named.items()}
            tensors = {key: value[1] if isinstance(value, tuple) else value for key, value in named.items()}
            if named.get("style") is not None:
                shapes["style"], tensors["style"] = None, named["style"]
            expected = getattr(self.real, name)(x[1], *arguments, **tensors)
            y = found(x[0], *arguments, **shapes)  # type: ignore[operator]
            n, c, h, w = expected.shape if name != "to_image" else expected.permute(0, 3, 1, 2).shape
            assert y == Activation(n, c, h, w), name
            return y, expected

        return both

    def style(self, attended: object, weights: object) -> object:
        return self.real.style(attended[1], weights)  # type: ignore[index, arg-type]

    def heatmap(self, attended: object, weights: AttentionWeights) -> object:
        return attended


@torch.inference_mode()
def test_shapes_are_those_of_the_network_that_runs() -> None:
    folded = fold(Generator(LIGHT).eval())
    image = torch.zeros(2, 16, 24, 3, dtype=torch.uint8)
    shape, picture = folded.graph(Comparing(), (Activation(2, 3, 16, 24), image))[0]  # each verb compares on its way
    assert (shape, picture.shape) == (Activation(2, 3, 16, 24), image.shape)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(2, 20), st.integers(2, 20))
def test_work_grows_with_the_batch_and_weights_do_not(n: int, h4: int, w4: int) -> None:
    one, many = (count(LIGHT, batch, 4 * h4, 4 * w4, "fp32") for batch in (1, n))
    weight_bytes = sum(t.nbytes for name, t in fold(Generator(LIGHT)).tensors().items() if is_matrix(name))
    assert macs(many) == n * macs(one)
    assert sum(work.bytes for work in many) - weight_bytes == n * (sum(work.bytes for work in one) - weight_bytes)


def is_matrix(name: str) -> bool:
    return name.endswith(("weight", "first", "second", "heads"))


def test_half_precision_halves_what_is_half() -> None:
    config = replace(LIGHT, ch=64)
    full, half = (count(config, 1, 64, 64, precision) for precision in ("fp32", "fp16"))  # type: ignore[arg-type]
    assert macs(full) == macs(half)
    ratio = sum(work.bytes for work in half) / sum(work.bytes for work in full)
    assert 0.5 < ratio < 0.52


def test_each_operation_is_bound_by_the_slower_of_its_two_times() -> None:
    work = [Work("arithmetic", 50, 10), Work("bytes", 0, 30)]
    assert roofline_seconds(work, bytes_per_second=10, operations_per_second=20) == pytest.approx(5 + 3)


def test_our_convolutions_move_the_statistics_and_fewer_activations() -> None:
    """By hand for one picture of the light generator at 256x256 in float16."""
    h100 = Gpu((9, 0), 132, 228 * 1024)
    plain, ours = (count(GeneratorConfig(light=True), 1, 256, 256, "fp16", gpu) for gpu in (None, h100))
    assert macs(plain) == macs(ours)
    assert len(ours) == len(plain) - 1, "the attention's bias, ReLU and border"
    trunk = 33 * (256 + 4) * 2 * 4  # 33 splits of 128 rows; of a channel, and of a tile of 64, a mean and a square
    first_up, second_up = 4 * 33 * (128 + 1) * 8, 4 * 65 * (64 + 1) * 8
    statistics = 2 * (16 * trunk + first_up + second_up)  # written and read
    attention = 2 * 2 * 256 * 64 * 64
    edges = 2 * 2 * (4 * 128 * (65 * 65 - 64 * 64) + 4 * 64 * (129 * 129 - 128 * 128))  # of phases, no image's
    saved = sum(work.bytes for work in plain) - sum(work.bytes for work in ours)
    assert saved == attention + edges - statistics
