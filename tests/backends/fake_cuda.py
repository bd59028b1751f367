"""As much of a GPU as `CudaBackend` asks PyTorch for, on the CPU: everything that is queued happens at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor

from ugatit_fast.backends import cuda_graph, tuning
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.kernels.schedule import Gpu

OLD = Gpu((7, 5), 40, 64 * 1024)
"""Before Ampere, where nothing is tuned."""


class FakeStream:
    def wait_stream(self, other: "FakeStream") -> None: ...

    def synchronize(self) -> None: ...


class FakeEvent:
    def __init__(self, enable_timing: bool = False) -> None:
        self.time = 0.0

    def record(self) -> None:
        self.time = perf_counter()

    def synchronize(self) -> None: ...

    def elapsed_time(self, end: "FakeEvent") -> float:
        return 1e3 * (end.time - self.time)


class FakeGraph:
    """Does the work again instead of replaying it."""

    fails: Callable[[], None] | None = None
    """Raises in place of a replay."""

    def __init__(self, work: Callable[[], None], device: torch.device, pool: Any) -> None:
        self.work = work
        work()

    def __call__(self) -> None:
        if FakeGraph.fails:
            FakeGraph.fails()
        self.work()


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch, gpu: Gpu = OLD) -> Iterator[None]:
    zeros = torch.zeros

    def on_host(*size: Any, pin_memory: bool = False, **options: Any) -> Tensor:
        return zeros(*size, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cuda_graph, "recorded", FakeGraph)
        patch.setattr(tuning, "recorded", FakeGraph)
        patch.setattr(tuning, "gpu_of", lambda device: gpu)
        patch.setattr(FoldedGenerator, "cuda", lambda self: self, raising=False)
        patch.setattr(torch, "zeros", on_host)
        patch.setattr(Tensor, "record_stream", lambda self, stream: None)
        patch.setattr(FakeGraph, "fails", None)
        fakes: dict[str, Any] = {
            "Stream": FakeStream,
            "Event": FakeEvent,
            "current_stream": FakeStream,
            "stream": nullcontext,
            "current_device": lambda: 0,
            "get_device_name": lambda: "NVIDIA H200",
            "graph_pool_handle": lambda: None,
            "synchronize": lambda: None,
            "empty_cache": lambda: None,
        }
        for name, fake in fakes.items():
            patch.setattr(torch.cuda, name, fake)
        yield
