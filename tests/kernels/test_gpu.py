"""What only a GPU can show: real sizes, several streams at once, CUDA graphs, and the operations' own launches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.kernels.tolerances import LEVELS_OF_TIES, SHARE_OF_TIES, assert_as_close
from ugatit_fast.kernels.adalin import AdalinCall, adalin, adalin_reference
from ugatit_fast.kernels.adalin_launch import Normalised, adalin_on_gpu
from ugatit_fast.kernels.adalin_streamed import adalin_from_partials
from ugatit_fast.kernels.convolution import HALF, convolution, convolution_bias_relu, convolved
from ugatit_fast.kernels.convolution_layout import RowSplits, result_shape, split_statistics
from ugatit_fast.kernels.convolution_schedule import convolution_tiles, tiles_of_split
from ugatit_fast.kernels.counters import current_counters, graph_counters
from ugatit_fast.kernels.image import image_of, normalise_image, rows_to_image, sum_of_rows
from ugatit_fast.kernels.schedule import gpu_of, norm_plan, two_stage_plan
from ugatit_fast.kernels.style import StyleCall, style, style_reference

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a CUDA build of torch"),
]

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
MAPS = [(256, 64, 64), (128, 128, 128), (64, 256, 256)]


def image(n: int, c: int, h: int, w: int, dtype: torch.dtype) -> Tensor:
    return (torch.randn(n, c, h, w, device="cuda") + 0.5).to(dtype, memory_format=torch.channels_last)


def parameters(n: int, c: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(n, c, device="cuda"), torch.randn(n, c, device="cuda"), torch.rand(c, device="cuda")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", MAPS, ids=str)
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("schedule", ["chosen", "two-stage"])
def test_adalin_at_the_networks_sizes(schedule: str, n: int, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    x, residual, (gamma, beta, rho) = image(n, *shape, dtype), image(n, *shape, dtype), parameters(n, shape[0])
    gpu = gpu_of(x.device)
    if schedule == "chosen":
        plan = norm_plan(n, *shape, dtype, 3, "reflect", gpu)
    else:
        plan = two_stage_plan(n, *shape, dtype, 3, gpu)
    ours = adalin_on_gpu(Normalised(x, gamma, beta, rho, None, True, 1e-5), residual, True, 3, "reflect", plan)
    rest = (residual, True, 3, "reflect", True, 1e-5)
    pytorch = adalin_reference(AdalinCall(x, gamma, beta, rho, None, *rest))
    double = [tensor.double() for tensor in (x, gamma, beta, rho)]
    truth = adalin_reference(AdalinCall(*double, None, residual.double(), *rest[1:]))
    assert_as_close(ours, pytorch, truth)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_at_the_networks_size(dtype: torch.dtype) -> None:
    def gradients(work: torch.dtype, device: str) -> list[Tensor]:
        torch.manual_seed(3)
        tensors = [torch.randn(2, 256, 64, 64), *(torch.randn(2, 256) for _ in range(2)), torch.rand(256)]
        x, gamma, beta, rho = (t.to(device) for t in tensors)
        double = work == torch.float64
        x = x.to(dtype).to(work).to(memory_format=torch.channels_last).requires_grad_()
        leaves = [x, *(t.to(torch.float64 if double else torch.float32).requires_grad_() for t in (gamma, beta, rho))]
        y = adalin(*leaves, None, None, True, 1)
        weights = torch.linspace(-1, 1, y.numel(), device=device).to(dtype).view_as(y)
        return list(torch.autograd.grad(y, leaves, weights.to(work)))

    on_gpu, on_cpu, truth = gradients(dtype, "cuda"), gradients(dtype, "cpu"), gradients(torch.float64, "cpu")
    for ours, pytorch, true in zip(on_gpu, on_cpu, truth, strict=True):
        assert_as_close(ours.cpu(), pytorch, true)


def test_ten_thousand_resident_launches_on_several_streams_agree_to_the_bit() -> None:
    launches = 10_000
    x, residual, (gamma, beta, rho) = (
        image(2, *MAPS[0], torch.float16),
        image(2, *MAPS[0], torch.float16),
        parameters(2, 256),
    )
    assert norm_plan(2, *MAPS[0], torch.float16, 1, "reflect", gpu_of(x.device)).resident
    run = lambda: adalin(x, gamma, beta, rho, None, residual, True, 1)  # noqa: E731
    expected = run()
    streams = [torch.cuda.Stream(priority=-(i % 2)) for i in range(4)]
    differing = torch.zeros((), dtype=torch.int64, device="cuda")
    torch.cuda.synchronize()
    counts = [torch.zeros_like(differing) for _ in streams]
    for launch in range(launches):
        which = launch % len(streams)
        with torch.cuda.stream(streams[which]):
            counts[which] += (run() != expected).any()
    torch.cuda.synchronize()
    assert [int(count) for count in counts] == [0] * len(streams)
    for stream in streams:
        with torch.cuda.stream(stream):
            assert not current_counters(x.device).any()


def captured(run: Callable[[], Tensor], keep: bool) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor | None]:
    """A graph of three launches, its result, and its counters where it has some of its own."""
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    if not keep:
        with torch.cuda.graph(graph):
            result = [run() for _ in range(3)][-1]
        return graph, result, None
    with graph_counters(torch.device("cuda", torch.cuda.current_device())) as counters, torch.cuda.graph(graph):
        result = [run() for _ in range(3)][-1]
    return graph, result, counters


@pytest.mark.parametrize("keep", [False, True], ids=["fresh counters", "counters of the graph"])
def test_graphs_run_beside_each_other(keep: bool) -> None:
    x, (gamma, beta, rho) = image(1, *MAPS[0], torch.float16), parameters(1, 256)
    run = lambda: adalin(x, gamma, beta, rho, None, None, True, 1)  # noqa: E731
    expected = run()
    graphs = [captured(run, keep) for _ in range(3)]
    streams = [torch.cuda.Stream() for _ in graphs]
    for _ in range(500):
        for (graph, _, _), stream in zip(graphs, streams, strict=True):
            with torch.cuda.stream(stream):
                graph.replay()
    torch.cuda.synchronize()
    assert all(torch.equal(result, expected) for _, result, _ in graphs)
    assert not any(counters.any() for _, _, counters in graphs if counters is not None)


def test_a_starved_barrier_helps_itself() -> None:
    x, (gamma, beta, rho) = image(1, *MAPS[0], torch.float16), parameters(1, 256)
    inputs = Normalised(x, gamma, beta, rho, None, True, 1e-5)
    plan = norm_plan(1, *MAPS[0], torch.float16, 1, "reflect", gpu_of(x.device))
    patient = adalin_on_gpu(inputs, None, True, 1, "reflect", plan)
    assert torch.equal(adalin_on_gpu(inputs, None, True, 1, "reflect", plan, patience=0), patient)


def test_contiguous_input_comes_back_contiguous() -> None:
    x, rho = torch.randn(2, 16, 8, 8, device="cuda").half(), torch.rand(16, device="cuda")
    y = adalin(x, rho=rho, pad=1)
    assert y.is_contiguous()
    assert torch.equal(y, adalin(x.to(memory_format=torch.channels_last), rho=rho, pad=1))


def test_two_to_the_31_elements_are_refused() -> None:
    x = torch.empty(1, device="cuda", dtype=torch.float16).expand(2**11, 2**8, 2**6, 2**6)
    with pytest.raises(ValueError, match="fewer than 2\\^31 elements"):
        normalise_image(
            torch.empty(1, device="cuda", dtype=torch.uint8).expand(2**11, 2**10, 2**10, 3), 0, torch.float16
        )
    with pytest.raises(ValueError, match="fewer than 2\\^31 elements"):
        adalin(x)


def test_both_ends_of_the_network() -> None:
    picture = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8, device="cuda")
    ours = normalise_image(picture, 3, torch.float16)
    torch.testing.assert_close(ours.cpu(), normalise_image(picture.cpu(), 3, torch.float16), atol=5e-4, rtol=1e-3)
    rows = (torch.randn(2, 21, 262, 256, device="cuda") / 2).half().to(memory_format=torch.channels_last)
    difference = (rows_to_image(rows).int() - image_of(torch.tanh(sum_of_rows(rows.double(), None, 7))).int()).abs()
    assert difference.max() <= LEVELS_OF_TIES
    assert difference.count_nonzero() <= SHARE_OF_TIES * difference.numel()


@pytest.mark.parametrize("n", [1, 17])
def test_the_full_generators_first_layer(n: int) -> None:
    x = image(n, 256, 64, 64, torch.float16)
    first = (torch.randn(256, 256 * 64 * 64, device="cuda") / 1024).half()
    second, heads = torch.randn(256, 256, device="cuda") / 16, torch.randn(512, 256, device="cuda") / 16
    ours = style(x, first, second, heads)
    pytorch = style_reference(StyleCall(x, first, second, heads))
    truth = style_reference(StyleCall(x.double(), first.double(), second.double(), heads.double()))
    assert_as_close(ours, pytorch, truth, tensor_cores=True)
    assert torch.equal(style(x, first, second, heads), ours)


LAYERS = [(256, 256, 66, 3, False), (256, 128, 66, 2, True), (128, 64, 130, 2, True), (64, 256, 64, 1, False)]
"""Inputs, outputs (of a phase), side with border, kernel, phases: the trunk, both up-convolutions, and a 1x1."""


def layer(
    n: int, inputs: int, outputs: int, side: int, kernel: int, phases: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    weight = torch.randn(outputs * (4 if phases else 1), inputs, kernel, kernel, device="cuda") / inputs**0.5 / kernel
    return image(n, inputs, side, side, dtype), weight.to(dtype, memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("shape", LAYERS, ids=str)
@pytest.mark.parametrize("n", [1, 3])
def test_convolutions_at_the_networks_sizes(n: int, shape: tuple[int, int, int, int, bool], dtype: torch.dtype) -> None:
    """With every tile that this GPU has: results, statistics, and the normalisation that combines them."""
    (inputs, outputs, _, _, phases), (x, weight) = shape, layer(n, *shape, dtype)
    gamma, beta, rho = parameters(n, outputs)
    bias = torch.randn(outputs, device="cuda")
    pytorch, truth = convolved(x, weight, phases), convolved(x.double(), weight.double(), phases)
    for tile in convolution_tiles(inputs, outputs, gpu_of(x.device)):
        one = RowSplits.of(result_shape(x.shape, weight.shape, phases), x.shape[3], tile.rows, phases)
        tiles = tiles_of_split(tile, n, outputs, one, gpu_of(x.device))
        y, of_channels, of_layer = convolution(x, weight, bias, True, phases, tile.rows, tile.channels, tiles)
        assert_as_close(y, pytorch, truth)
        splits = RowSplits.of(y.shape, x.shape[3], tile.rows * tiles, phases)
        for i in (0, 1):
            own = (split_statistics(values, splits)[:, :, i] for values in (y, y.double()))
            assert_as_close(of_channels[:, :, i], *own)
        norm = (gamma, beta, rho, bias, None, True, 3, "reflect", True, 1e-5)
        ours = adalin_from_partials(
            y, of_channels, of_layer, x.shape[3], tile.rows * tiles, tile.channels, phases, *norm
        )
        wide = [value.double() if isinstance(value, Tensor) else value for value in norm]
        assert_as_close(ours, adalin_reference(AdalinCall(y, *norm)), adalin_reference(AdalinCall(y.double(), *wide)))


def test_a_convolution_with_bias_relu_and_border() -> None:
    x, weight = layer(2, 256, 256, 64, 1, False, torch.float16)
    bias = torch.randn(256, device="cuda")
    for tile in convolution_tiles(256, 256, gpu_of(x.device)):
        ours = convolution_bias_relu(x, weight, bias, 1, "replicate", tile.rows, tile.channels)
        expected = convolution_bias_relu(x.cpu(), weight.cpu(), bias.cpu(), 1, "replicate", 16, 16)
        torch.testing.assert_close(ours.cpu(), expected, atol=5e-3, rtol=2e-3)


def test_convolutions_in_a_graph_repeat_to_the_bit() -> None:
    """Descriptors are taken into a graph as they are, addresses and all."""
    x, weight = layer(1, *LAYERS[0], torch.float16)
    tiles = convolution_tiles(256, 256, gpu_of(x.device))
    if not tiles:
        pytest.skip("this GPU has no tensor cores that our convolution knows")
    run = lambda: convolution(x, weight, None, True, False, tiles[0].rows, tiles[0].channels, 1)[0]  # noqa: E731
    expected = run()
    graph, result, _ = captured(run, keep=False)
    x.copy_(x.flip(2))
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(result, run())
    assert not torch.equal(result, expected)
