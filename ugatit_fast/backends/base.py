"""What every runtime offers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.backends.styles import Style
from ugatit_fast.engine import EngineSpec

if TYPE_CHECKING:
    import torch

Images = NDArray[np.uint8]
"""A batch of pictures: uint8 (n, h, w, 3) RGB, C-contiguous."""
Heatmaps = NDArray[np.float32]
"""Attention of a batch: float32 (n, h / 4, w / 4), non-negative, unscaled."""


def joined(results: Sequence[tuple[Images, Heatmaps | None]], images: Images) -> tuple[Images, Heatmaps | None]:
    """The results of pictures that were translated one by one, as of a batch; images: that batch, perhaps empty."""
    heatmaps = [heatmap for _, heatmap in results if heatmap is not None]
    translated = [one for one, _ in results]
    return np.concatenate(translated) if translated else images.copy(), np.concatenate(heatmaps) if heatmaps else None


class Backend(Protocol):
    """A runtime with an engine loaded; usable as soon as its constructor returns, by several threads at once."""

    spec: EngineSpec
    device: str
    """Where it computes, in words: `CPU (2 threads)`, a GPU's name, ..."""

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        """Translate any number of pictures of a size that `spec` serves. The arrays returned are the caller's to keep.

        style: of an engine that draws in styles, for all of them; `choices.drawn_style` unless given.
        The heat maps are None where the engine doesn't compute them.
        """

    def close(self) -> None:
        """Give back memory. `run` must not be called afterwards."""


@runtime_checkable
class DeviceBackend(Protocol):
    """A backend that also takes pictures where they are, on its GPU."""

    number: int | None
    """Of its GPU, where it was asked for by that."""

    def run_on_device(
        self, images: "torch.Tensor", style: Style | None = None
    ) -> "tuple[torch.Tensor, torch.Tensor | None]":
        """`Backend.run` for a contiguous uint8 tensor on the GPU; results are ready in order on the caller's stream."""
