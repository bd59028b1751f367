"""Counters on the GPU that programs of a kernel meet at (meeting_triton.py): zero before a launch, and again after it.

Two launches that may run at once must not share them. Launches on one stream run one after another, so each stream has
its own. A CUDA graph captured on one stream may be replayed on another, beside anything: it needs counters of its own,
from `graph_counters` around its capture; a capture without them pays for a small fill before every such kernel.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from ugatit_fast.kernels.schedule import MAX_RESIDENT_IMAGES

COUNTERS = 1 + MAX_RESIDENT_IMAGES
"""Departures, and the arrivals of each image."""
PATIENCE = 20_000
"""Polls, each a round trip to L2: some ten milliseconds, far beyond any barrier whose programs are all running."""

_of_stream: dict[tuple[int, int], Tensor] = {}
_of_graph: ContextVar[Tensor | None] = ContextVar("counters of the CUDA graph being captured", default=None)


def fresh_counters(device: torch.device) -> Tensor:
    return torch.zeros(COUNTERS, dtype=torch.int32, device=device)


@contextmanager
def graph_counters(device: torch.device) -> Iterator[Tensor]:
    """Capture one CUDA graph, on one stream, inside: its resident kernels share the counters that this yields.

    Enter it before the capture begins, and keep the counters as long as the graph. A graph must not run twice at once.
    """
    counters = fresh_counters(device)
    torch.cuda.synchronize(device)
    token = _of_graph.set(counters)
    try:
        yield counters
    finally:
        _of_graph.reset(token)


def current_counters(device: torch.device) -> Tensor:
    """int32 (COUNTERS,) for a launch on the current stream of a tensor's device; any but a GPU gets fresh ones."""
    if device.type != "cuda":
        return fresh_counters(device)
    if torch.cuda.is_current_stream_capturing():
        counters = _of_graph.get()
        return counters if counters is not None and counters.device == device else fresh_counters(device)
    key = (device.index, int(torch.cuda.current_stream(device).cuda_stream))
    if key not in _of_stream:
        _of_stream[key] = fresh_counters(device)
    return _of_stream[key]
