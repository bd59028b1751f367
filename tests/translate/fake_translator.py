"""A translator of `Translator`'s contract that needs no engine: colours inverted, and the brightness as heat map."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.engine import EngineSpec, Network
from ugatit_fast.media.images import Pixels
from ugatit_fast.translator import Translator

SPEC = EngineSpec(
    kind="onnxruntime",
    precision="fp32",
    height=32,
    width=32,
    any_size=True,
    batch_sizes=(),
    heatmap=True,
    checkpoint_sha256="0" * 64,
    ugatit_fast_version="0",
    network=Network(direction="A2B", ch=64, n_res=4, light=True, unbiased=True),
)
BACK_SPEC = replace(SPEC, network=Network(direction="B2A", ch=64, n_res=4, light=True, unbiased=True))
"""Of the other direction."""


class FakeTranslator:
    def __init__(
        self,
        spec: EngineSpec = SPEC,
        *,
        heatmap: bool = False,
        before: Callable[[int], None] = lambda call: None,
        shade: int = 255,
    ) -> None:
        """before: called with the number of the call, from 0, before a batch is translated.

        shade: what colours are taken from, modulo 256; tells the translations of two apart.
        """
        self.spec = spec
        self.heatmap = heatmap
        self.before = before
        self.shade = np.uint8(shade)
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: Pixels) -> Pixels | tuple[Pixels, npt.NDArray[np.float32]]:
        assert batch.dtype == np.uint8
        assert self.spec.check_size(*batch.shape[1:3]) is None
        self.before(len(self.shapes))
        self.shapes.append(batch.shape)
        heatmaps = batch[:, ::4, ::4].mean(axis=3, dtype=np.float32)
        return (self.shade - batch, heatmaps) if self.heatmap else self.shade - batch

    @property
    def real(self) -> Translator:
        return cast(Translator, self)


def picture(seed: int = 0, height: int = 40, width: int = 48) -> Pixels:
    """Smooth colours, uint8 (h, w, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def write_photos(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed)).save(folder / name)
    return folder
