"""What an engine of ours launches for one picture on an H100, told without a GPU, as JSON. Run by test_launches.py.

A Triton driver that compiles for the GPU and launches nothing, and tensors without memory: everything between the
network and the driver is the real thing, as a CUDA graph would hold it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from ugatit_fast import graph
from ugatit_fast.backends import convolutions
from ugatit_fast.backends.convolutions import Choices
from ugatit_fast.backends.cuda_graph import CapturedOperations
from ugatit_fast.backends.tuning import layers_of
from ugatit_fast.fold import fold
from ugatit_fast.kernels import adalin_launch, adalin_streamed_launch, convolution_launch, style_launch
from ugatit_fast.kernels.adalin import AdalinCall
from ugatit_fast.kernels.adalin_launch import Normalised, adalin_on_gpu
from ugatit_fast.kernels.adalin_streamed import StreamedCall
from ugatit_fast.kernels.adalin_streamed_launch import adalin_streamed_on_gpu
from ugatit_fast.kernels.convolution_launch import convolution_bias_relu_on_gpu, convolution_on_gpu
from ugatit_fast.kernels.pointwise_launch import bias_relu_on_gpu, normalise_image_on_gpu, rows_to_image_on_gpu
from ugatit_fast.kernels.schedule import Gpu
from ugatit_fast.kernels.style_launch import style_on_gpu
from ugatit_fast.model import Generator, GeneratorConfig

H100 = Gpu((9, 0), 132, 228 * 1024)
SIDE = 256
MAIN = "main"

Launch = dict[str, Any]
launches: list[Launch] = []
stream = [MAIN]
"""The current one, last."""


def note(name: str, **facts: Any) -> None:
    launches.append({"name": name, "stream": stream[-1], **facts})


class Utilities:
    """Of the driver: what compiling asks for, and a kernel's handle."""

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 232_448, "multiprocessor_count": H100.multiprocessors, "warpSize": 32}

    def load_binary(self, *kernel: object) -> tuple[int, int, int, int, int]:
        """Module, function, registers, spills, most threads."""
        return 1, 1, 0, 0, 1024


class Launcher:
    """Notes a launch instead."""

    def __init__(self, source: object, metadata: Any) -> None:
        self.metadata = metadata

    def __call__(self, x: int, y: int, z: int, *rest: object) -> None:
        note(self.metadata.name, programs=x * y * z)


class Driver:
    """As Triton sees one."""

    launcher_cls = Launcher
    utils = Utilities()

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("meta")


class Stream:
    """A CUDA stream with a name."""

    def __init__(self, name: str = "beside") -> None:
        self.name = name

    def wait_stream(self, other: "Stream") -> None:
        launches.append({"name": "wait", "stream": self.name, "for": other.name})


@contextmanager
def on(chosen: Stream) -> Iterator[None]:
    stream.append(chosen.name)
    yield
    stream.pop()


def convolution(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """cuDNN's place: one launch, and a result in channels-last memory like its input."""
    assert x.is_contiguous(memory_format=torch.channels_last)
    note("convolution", channels=[weight.shape[1], weight.shape[0]])
    n, k = x.shape[0], weight.shape[0]
    h, w = ((x.shape[2 + i] - weight.shape[2 + i]) // stride + 1 for i in (0, 1))
    return torch.empty((n, k, h, w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def adalin(x: Tensor, *arguments: Any, **settings: Any) -> Tensor:
    call = AdalinCall(x, *arguments, **settings)
    inputs = Normalised(
        x, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps, call.phases, call.eps_outside
    )
    return adalin_on_gpu(inputs, call.residual, call.relu, call.pad, call.pad_mode, slope=call.slope)


def streamed(*arguments: Any) -> Tensor:
    call = StreamedCall(*arguments)
    inputs = Normalised(call.x, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps)
    partials = (call.channel_partials, call.layer_partials, call.splits, call.channels)
    return adalin_streamed_on_gpu(inputs, *partials, call.residual, call.relu, call.pad, call.pad_mode)


def traced(batch: int, whose: str) -> list[Launch]:
    """The launches of a light generator for a batch, with convolutions of cuDNN's, or of ours wherever that may be."""
    with torch.device("meta"):
        folded = fold(Generator(GeneratorConfig(light=True))).half_precision().aligned()
        folded = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        picture = torch.empty(batch, SIDE, SIDE, 3, dtype=torch.uint8)
    replaced: dict[str, Callable[..., Any]] = {
        "adalin": adalin,
        "bias_relu": bias_relu_on_gpu,
        "normalise_image": normalise_image_on_gpu,
        "rows_to_image": rows_to_image_on_gpu,
        "style": style_on_gpu,
    }
    cuda = patch.multiple(torch.cuda, Stream=Stream, stream=on, current_stream=lambda: Stream(stream[-1]))
    ours: dict[str, Callable[..., Any]] = {
        "convolution": convolution_on_gpu,
        "convolution_bias_relu": convolution_bias_relu_on_gpu,
        "adalin_from_partials": streamed,
    }
    stem, choices = folded.stem.weight, None
    if whose == "ours":
        choices = Choices(H100, {layer: layer.usual(H100) for layer in layers_of(folded, batch, SIDE, SIDE)})
    graphs = (patch.multiple(graph, **replaced), patch.multiple(convolutions, **ours))
    with cuda, graphs[0], graphs[1], patch.object(graph.F, "conv2d", convolution):
        for launcher in (adalin_launch, adalin_streamed_launch, convolution_launch, style_launch):
            launcher.gpu_of = lambda device: H100  # type: ignore[attr-defined]
        CapturedOperations(stem.dtype, stem.shape[1], choices, heatmap=False).translated(folded, picture)
    return launches


if __name__ == "__main__":
    driver.set_active(Driver())
    json.dump(traced(int(sys.argv[1]), sys.argv[2]), sys.stdout)
