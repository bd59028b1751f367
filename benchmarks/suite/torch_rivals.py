"""The unfolded generator in PyTorch, as well as somebody with a few lines and no kernels can run it."""

from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch
from torch import Tensor, nn

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.contenders import Case
from ugatit_fast.bench.results import Target
from ugatit_fast.checkpoint import load_generator
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.model import Reference

WARMUPS_BEFORE_CAPTURE = 3


class Pictures(nn.Module):
    """The reference generator between uint8 pictures, so that both ends can be compiled or exported with it."""

    def __init__(self, generator: Reference, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
        super().__init__()
        self.generator = generator
        self.dtype = dtype
        self.memory_format = memory_format

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (n, h, w, 3) -> alike. TensorRT's parser takes uint8 for a network's inputs and outputs alone, so that
        the casts are first and last.
        """
        x = images.to(self.dtype).permute(0, 3, 1, 2) / 127.5 - 1
        y, _ = self.generator.pictures(x.contiguous(memory_format=self.memory_format))
        return ((y.float() + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).contiguous()


def pictures_of(case: Case, *, target: Target, half: bool, channels_last: bool) -> Pictures:
    """The module of a case on its device. Raises BackendUnavailable where there is no GPU for it."""
    if target == "cuda" and not torch.cuda.is_available():
        raise BackendUnavailable("PyTorch sees no CUDA device here")
    torch.set_num_threads(case.network.threads)
    torch.backends.cudnn.benchmark = True
    dtype = torch.float16 if half else torch.float32
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    generator = load_generator(case.checkpoint, case.network.direction)
    pictures = Pictures(generator.to(target, dtype), dtype, memory_format)
    return pictures.to(memory_format=memory_format).eval()  # type: ignore[call-overload]


class TorchRunning:
    """A function of one tensor between host arrays; on a GPU through pinned memory, one call at a time."""

    def __init__(self, function: Any, example: Tensor, build_seconds: float = 0.0) -> None:
        """example: a batch on the device."""
        self.function = function
        self.device = example.device
        self.build_seconds = build_seconds
        self.concurrent = self.device.type == "cpu"
        if self.device.type == "cuda":
            self.sent, self.received = (torch.empty_like(example, device="cpu").pin_memory() for _ in range(2))

    @torch.inference_mode()
    def run(self, images: Images) -> Images:
        if self.concurrent:
            return cast(Images, self.function(torch.from_numpy(images)).numpy())
        self.sent.copy_(torch.from_numpy(images))
        self.received.copy_(self.function(self.sent.to(self.device, non_blocking=True)), non_blocking=True)
        torch.cuda.synchronize()
        return cast(Images, self.received.numpy().copy())


def load(
    case: Case,
    file: Path | None,
    *,
    target: Target,
    half: bool,
    channels_last: bool = False,
    mode: str | None = None,
    graph: bool = False,
) -> TorchRunning:
    """mode: of torch.compile; None runs eagerly. graph: replay one CUDA graph of the eager calls."""
    pictures = pictures_of(case, target=target, half=half, channels_last=channels_last)
    example = example_of(case, target)
    if graph:
        return TorchRunning(Captured(pictures, example), example)
    if mode is None:
        return TorchRunning(pictures, example)
    compiled = torch.compile(pictures, mode=mode, dynamic=False)
    started = perf_counter()
    with torch.inference_mode():
        compiled(example)
        if target == "cuda":
            torch.cuda.synchronize()
    return TorchRunning(compiled, example, perf_counter() - started)


def example_of(case: Case, target: Target) -> Tensor:
    network = case.network
    shape = (network.batch, network.height, network.width, 3)
    return torch.zeros(shape, dtype=torch.uint8, device=target)


class Captured:
    """A module recorded once as a CUDA graph."""

    @torch.inference_mode()
    def __init__(self, module: nn.Module, example: Tensor) -> None:
        self.input = example.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUPS_BEFORE_CAPTURE):
                module(self.input)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output: Tensor = module(self.input)

    def __call__(self, images: Tensor) -> Tensor:
        self.input.copy_(images)
        self.graph.replay()
        return self.output
