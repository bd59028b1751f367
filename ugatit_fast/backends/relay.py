"""A batch of any size through an engine that serves a few: in pieces, two at most under way at once.

While a piece computes, the next is copied in and the last is copied out.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.backends.base import Heatmaps, Images

if TYPE_CHECKING:
    import torch

Results = Mapping[str, NDArray[np.generic]]
"""`translated`, as the images, and `heatmap`, float32 (n, h / 4, w / 4), of all pieces."""


class Slot(Protocol):
    """Where one piece at a time rests on its way through the GPU."""

    def send(self, images: Images) -> None:
        """Queue one piece: in, through the network, and out again. `images` may be fewer than the slot holds."""

    def land(self, where: slice, results: Results) -> None:
        """Wait for the piece to come back, and hand it over to `where` in the results."""

    def settle(self) -> None:
        """Wait until nothing that was queued is under way, whatever became of it."""


def pieces(count: int, batch_sizes: Iterable[int]) -> Iterator[tuple[slice, int]]:
    """Which images go next, and as a batch of what size; the last piece may be smaller than its batch.

    Each piece is the largest batch size that the images left fill, else the smallest there is; all at once where
    `batch_sizes` is empty, which stands for any.
    """
    sizes, done = tuple(batch_sizes), 0
    while done < count:
        left = count - done
        size = max((size for size in sizes if size <= left), default=min(sizes, default=left))
        yield slice(done, min(done + size, count)), size
        done += size


def relay(images: Images, slots: Mapping[int, tuple[Slot, Slot]]) -> tuple[Images, Heatmaps]:
    """`images` through the two slots of each batch size; heat maps are whatever the slots hand over, else undefined.

    Whatever is raised on the way, nothing is under way any more when it leaves, and the slots can be used again.
    """
    n, h, w, _ = images.shape
    translated, heatmaps = np.empty_like(images), np.empty((n, h // 4, w // 4), np.float32)
    results = {"translated": translated, "heatmap": heatmaps}
    flying: deque[tuple[Slot, slice]] = deque()
    try:
        for i, (where, size) in enumerate(pieces(n, slots)):
            if len(flying) == 2:
                land_first(flying, results)
            slot = slots[size][i % 2]
            flying.append((slot, where))  # before it is sent: what fails half-way has queued something
            slot.send(images[where])
        while flying:
            land_first(flying, results)
    except BaseException:
        for slot, _ in flying:
            with suppress(Exception):  # what went wrong is being told; a GPU that is lost refuses this as well
                slot.settle()
        raise
    return translated, heatmaps


def land_first(flying: deque[tuple[Slot, slice]], results: Results) -> None:
    """The piece that was sent first; it flies until it has landed."""
    slot, where = flying[0]
    slot.land(where, results)
    flying.popleft()


def relay_on_device(
    images: "torch.Tensor",
    batch_sizes: Iterable[int],
    stream: "torch.cuda.Stream",
    compute: "Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], None]",
) -> "tuple[torch.Tensor, torch.Tensor]":
    """`relay` for images that are on the GPU already, uint8 (n, h, w, 3), contiguous; nothing crosses to the host.

    compute: queues one piece on `stream`, which is current: batch size, images, and where the pictures and heat maps
    go. The results are new tensors, ready in order on the caller's current stream; so is whatever was queued before
    `compute` raised.
    """
    import torch

    n, h, w, _ = images.shape
    translated = torch.empty_like(images)
    heatmaps = torch.empty(n, h // 4, w // 4, device=images.device)
    caller = torch.cuda.current_stream()
    stream.wait_stream(caller)
    try:
        with torch.cuda.stream(stream):
            for where, size in pieces(n, batch_sizes):
                compute(size, images[where], translated[where], heatmaps[where])
    finally:
        caller.wait_stream(stream)
        for tensor in (images, translated, heatmaps):
            tensor.record_stream(stream)
    return translated, heatmaps
