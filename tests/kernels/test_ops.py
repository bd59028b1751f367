"""What every operation of `torch.ops.ugatit` owes PyTorch, and the errors it owes its callers."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ugatit_fast.kernels.adalin import AdalinCall, adalin
from ugatit_fast.kernels.adalin_backward import BackwardCall, adalin_backward
from ugatit_fast.kernels.adalin_streamed import StreamedCall, adalin_from_partials
from ugatit_fast.kernels.bias_relu import bias_relu
from ugatit_fast.kernels.checks import check_activation, check_parameter
from ugatit_fast.kernels.convolution import convolution, convolution_bias_relu
from ugatit_fast.kernels.image import normalise_image, rows_to_image
from ugatit_fast.kernels.phases import interleave_phases
from ugatit_fast.kernels.style import StyleCall, style


def image(*shape: int, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Tensor:
    return torch.randn(shape).to(dtype, memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def arguments() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Every operation with calls worth checking."""
    table, vector = torch.randn(2, 8), torch.rand(8)
    byte = torch.randint(0, 256, (2, 6, 5, 3), dtype=torch.uint8)
    weights = (torch.randn(8, 8), torch.randn(8, 8), torch.randn(16, 8))
    plain = (None, None, None, None)
    plain_phases = (image(2, 32, 3, 4, channels_last=True), *plain)
    gradient = (image(2, 8, 7, 8), image(2, 8, 5, 6, channels_last=True), table, table, vector)
    kernel, phase_kernel = image(8, 4, 3, 3), image(32, 4, 2, 2)
    split, phase_split = (16, 4, 2), (16, 8, 1)
    convolved = image(2, 8, 3, 4), torch.rand(2, 1, 2, 8), torch.rand(2, 1, 2, 2), 6, 32, 4, False
    norm = (table, table, vector, vector, image(2, 8, 3, 4), True, 1, "replicate", True, 1e-5)
    calls: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "adalin": (adalin, (image(2, 8, 5, 6), table, table, vector, vector, image(2, 8, 5, 6), True, 1, "replicate")),
        "adalin, channels-last": (adalin, (image(2, 8, 5, 6, dtype=torch.float16, channels_last=True), *plain)),
        "adalin, phases": (adalin, (*plain_phases, None, True, 3, "reflect", True, 1e-5, True)),
        "adalin, empty": (adalin, (image(0, 8, 5, 6), *plain, None, False, 1)),
        "adalin_backward": (adalin_backward, (*gradient, None, True, True, 1, "reflect", True, 1e-5)),
        "convolution": (convolution, (image(2, 4, 5, 6), kernel, vector, True, False, *split)),
        "convolution, half": (convolution, (image(2, 4, 5, 6).half(), kernel.half(), None, False, False, *split)),
        "convolution, phases": (convolution, (image(1, 4, 5, 6), phase_kernel, None, True, True, *phase_split)),
        "convolution, empty": (convolution, (image(0, 4, 5, 6), kernel, None, True, False, *split)),
        "convolution_bias_relu": (
            convolution_bias_relu, (image(2, 4, 5, 6), image(8, 4, 1, 1), vector, 1, "reflect", 16, 8)
        ),
        "adalin_from_partials": (adalin_from_partials, (*convolved, *norm)),
        "bias_relu": (bias_relu, (image(2, 8, 5, 6, channels_last=True), vector, 1, "reflect")),
        "normalise_image": (normalise_image, (byte, 3, torch.float16)),
        "normalise_image, no border": (normalise_image, (byte, 0, torch.float32)),
        "normalise_image, zeros": (normalise_image, (byte, 0, torch.float32, 8)),
        "rows_to_image": (rows_to_image, (image(2, 21, 10, 5), torch.randn(3))),
        "interleave_phases": (interleave_phases, (image(2, 32, 3, 4),)),
        "interleave_phases, channels-last": (interleave_phases, (image(2, 32, 3, 4, channels_last=True),)),
        "style, light": (style, (image(2, 8, 5, 6), *weights)),
        "style, full": (style, (image(2, 8, 2, 2), torch.randn(8, 32), *weights[1:], vector, vector, torch.randn(16))),
    }  # fmt: skip
    return calls


@pytest.mark.parametrize("name", list(arguments()))
def test_opcheck(name: str) -> None:
    operation, call = arguments()[name]
    torch.library.opcheck(operation, call)


@pytest.mark.parametrize("name", list(arguments()))
def test_export_sees_one_node(name: str) -> None:
    operation, call = arguments()[name]
    tensors = [argument for argument in call if isinstance(argument, Tensor)]

    class Module(nn.Module):
        def forward(self, *given: Tensor) -> Any:
            remaining = iter(given)
            return operation(*(next(remaining) if isinstance(argument, Tensor) else argument for argument in call))

    graph = torch.export.export(Module(), tuple(tensors)).graph
    called = [str(node.target) for node in graph.nodes if "ugatit" in str(node.target)]
    assert called == [f"ugatit.{name.split(',')[0]}.default"]


def compiled(operation: Callable[..., Any], use_compile: bool) -> Callable[..., Any]:
    """The operation as it is, or inside a compiled graph, in which nothing may break."""
    if not use_compile:
        return operation
    torch.compiler.reset()
    return torch.compile(operation, backend="aot_eager", fullgraph=True)


@pytest.mark.parametrize("name", list(arguments()))
def test_compile_sees_one_node(name: str) -> None:
    torch.compiler.reset()  # it gives up on a function that it has compiled for many kinds of arguments
    targets: list[str] = []

    def backend(module: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        targets.extend(str(node.target) for node in module.graph.nodes if node.op == "call_function")
        return module.forward

    operation, call = arguments()[name]
    run = torch.compile(lambda x: operation(x, *call[1:]), backend=backend, fullgraph=True)
    torch.testing.assert_close(run(call[0]), operation(*call), rtol=0, atol=0)
    assert [target for target in targets if "ugatit" in target] == [f"ugatit.{name.split(',')[0]}.default"]


CALLS: dict[str, tuple[Any, type]] = {
    "adalin": (adalin, AdalinCall),
    "adalin_backward": (adalin_backward, BackwardCall),
    "adalin_from_partials": (adalin_from_partials, StreamedCall),
    "style": (style, StyleCall),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_call_is_the_operators_schema(name: str) -> None:
    """PyTorch leaves out of a kernel's call what equals the schema's defaults."""
    operation, call = CALLS[name]
    schema = {
        argument.name: argument.default_value if argument.has_default_value() else MISSING
        for argument in operation._opoverload._schema.arguments
    }
    assert {field.name: field.default for field in fields(call)} == schema


@pytest.mark.parametrize("use_compile", [False, True], ids=["eager", "compiled"])
def test_keywords_and_defaults(use_compile: bool) -> None:
    x, rho, weights = torch.randn(2, 8, 5, 6), torch.rand(8), (torch.randn(8, 8), torch.randn(8, 8))
    heads, bias = torch.randn(16, 8), torch.randn(16)
    whole = (None, None, rho, None, None, False, 1, "reflect", True, 1e-5, False)

    assert torch.equal(compiled(adalin, use_compile)(x, rho=rho, pad=1), adalin(x, *whole))
    assert torch.equal(
        compiled(style, use_compile)(x, *weights, heads, bias3=bias), style(x, *weights, heads, None, None, bias)
    )


X = torch.zeros(2, 8, 4, 4)
TABLE = torch.zeros(2, 8)
BYTES = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
META = torch.zeros(8, 8, 4, 4, device="meta")
HEADS = torch.zeros(16, 8)
SQUARE = torch.zeros(8, 8)
KERNEL = torch.zeros(8, 8, 3, 3)
PARTIALS = torch.zeros(2, 2, 2, 8)


def convolved(
    weight: Tensor,
    x: Tensor = X,
    bias: Tensor | None = None,
    phases: bool = False,
    rows: int = 16,
    tiles: int = 1,
) -> Any:
    return convolution(x, weight, bias, True, phases, rows, 8, tiles)


def streamed(
    x: Tensor = X,
    partials: Tensor = PARTIALS,
    layer: Tensor = X.new_empty(0),  # noqa: B008 - never written to
    rho: Tensor | None = None,
    pitch: int = 6,
    phases: bool = False,
) -> Tensor:
    norm = (None, None, rho, None, None, False, 0, "reflect", True, 1e-5)
    return adalin_from_partials(x, partials, layer, pitch, 16, 8, phases, *norm)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adalin(X[0]), r"x must be \(n, c, h, w\), got shape \(8, 4, 4\)"),
        (lambda: adalin(X[:, :, :0]), "at least one channel and one pixel"),
        (lambda: adalin(X.int()), "x must be float32, float16 or bfloat16, got torch.int32"),
        (lambda: adalin(X, TABLE[:, :4]), r"gamma must have shape \(2, 8\) or \(1, 8\), got \(2, 4\)"),
        (lambda: adalin(X, TABLE, TABLE.half()), "beta must be torch.float32, got torch.float16"),
        (lambda: adalin(X, rho=TABLE), r"rho must have shape \(8,\), got \(2, 8\)"),
        (
            lambda: check_parameter("adalin", "rho", META[:, 0, 0, 0], [(8,)], X),
            "rho is on meta, x on cpu; move one of them",
        ),
        (lambda: check_activation("adalin", "residual", META, None, X.device), "residual is on meta, x on cpu"),
        (lambda: adalin(X, residual=X[:1]), r"residual must be like the image \(2, 8, 4, 4\), got \(1, 8, 4, 4\)"),
        (lambda: adalin(X, residual=X.half()), "residual must be torch.float32, got torch.float16"),
        (lambda: adalin(X, pad=4), "a reflect border of 4 pixels does not fit an image of 4x4"),
        (lambda: adalin(X, pad=1, pad_mode="zeros"), "pad_mode must be one of reflect, replicate, zero, got 'zeros'"),
        (lambda: adalin(X[:, :, :1, :1]), "unbiased variance of one pixel"),
        (lambda: adalin(X[:, :6], phases=True), r"phases must be \(n, 4 k, h \+ 1, w \+ 1\), got \(2, 6, 4, 4\)"),
        (lambda: convolved(weight=SQUARE), r"weight must be \(n, c, h, w\), got shape \(8, 8\)"),
        (lambda: convolved(weight=KERNEL[:, :4]), r"weight must be \(outputs, 8, r, s\), got \(8, 4, 3, 3\)"),
        (lambda: convolved(weight=KERNEL.half()), "weight must be torch.float32, got torch.float16"),
        (lambda: convolved(weight=KERNEL, phases=True), r"weight of phases must be \(4 k, c, 2, 2\)"),
        (lambda: convolved(x=X[:, :, :2], weight=KERNEL), "smaller than the kernel"),
        (lambda: convolved(weight=KERNEL, bias=TABLE), r"bias must have shape \(8,\), got \(2, 8\)"),
        (lambda: convolved(weight=KERNEL, rows=2), "more than 2 rows, a channel and a tile at least, got rows=2"),
        (lambda: convolved(weight=KERNEL, tiles=0), "got rows=16, channels=8, tiles=0"),
        (lambda: convolution_bias_relu(X, KERNEL, TABLE[0], 2, "reflect", 16, 8), "a reflect border of 2 pixels"),
        (lambda: streamed(partials=TABLE), r"channel_partials must have shape \(2, 2, 2, 8\), got \(2, 8\)"),
        (lambda: streamed(layer=TABLE), r"layer_partials must have shape \(2, 2, 1, 2\) or \(0,\), got \(2, 8\)"),
        (lambda: streamed(rho=TABLE[0]), r"layer_partials must have shape \(2, 2, 1, 2\), got \(0,\)"),
        (lambda: streamed(pitch=3), "no convolution has rows=16, channels=8, pitch=3"),
        (lambda: streamed(x=X[:, :, 1:], phases=True), "an image of phases has even sides"),
        (lambda: bias_relu(X, TABLE[0, :4], 0, "reflect"), r"bias must have shape \(8,\)"),
        (lambda: normalise_image(BYTES.float(), 0, torch.float32), r"image must be uint8 \(n, h, w, 3\)"),
        (lambda: normalise_image(BYTES, 4, torch.float32), "a reflect border of 4 pixels"),
        (lambda: normalise_image(BYTES, 0, torch.float32, 2), "channels must be at least 3, got 2"),
        (lambda: rows_to_image(X), r"with k = 7, got \(2, 8, 4, 4\)"),
        (lambda: rows_to_image(torch.zeros(1, 21, 6, 4)), "rows must be"),
        (lambda: interleave_phases(X[:, :6]), "phases must be"),
        (lambda: style(X, SQUARE[:, :4], SQUARE, HEADS), r"first must be \(8, 8\) .* or \(8, 128\)"),
        (lambda: style(X, SQUARE.half(), SQUARE, HEADS), "first must be float32 or like x"),
        (lambda: style(X, SQUARE, SQUARE, HEADS[:8]), r"heads must have shape \(16, 8\)"),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("use_compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("n", range(6))
def test_images_of_a_batch_know_nothing_of_each_other(n: int, use_compile: bool) -> None:
    x, rho = torch.randn(n, 8, 4, 4), torch.rand(8)
    together = compiled(adalin, use_compile)(x, rho=rho, pad=1)
    assert together.shape == (n, 8, 6, 6)
    for one, expected in zip(x, together, strict=True):
        torch.testing.assert_close(adalin(one[None], rho=rho, pad=1)[0], expected)


@pytest.mark.parametrize("use_compile", [False, True], ids=["eager", "compiled"])
def test_gradients(use_compile: bool) -> None:
    """Those of `adalin_backward` by itself, through autograd."""
    x, gamma, rho = image(2, 8, 5, 6), torch.randn(1, 8), torch.rand(8)
    residual, grad = image(2, 8, 5, 6), torch.randn(2, 8, 7, 8)
    leaves = [tensor.requires_grad_() for tensor in (x, gamma, rho, residual)]

    y = compiled(adalin, use_compile)(x, gamma, None, rho, residual=residual, relu=True, pad=1)
    found = torch.autograd.grad(y, leaves, grad)

    of_x, of_gamma, _, of_rho, of_residual = adalin_backward(
        grad, x.detach(), gamma.detach(), None, rho.detach(), None, True, True, 1, "reflect", True, 1e-5
    )
    expected = (of_x, of_gamma.sum(dim=0, keepdim=True), of_rho, of_residual)
    torch.testing.assert_close(found, expected)
