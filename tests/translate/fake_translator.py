"""A `Translates` that needs no engine: colours inverted, and the brightness as heat map."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.styles import Style
from ugatit_fast.engine import EngineSpec, Network
from ugatit_fast.media.images import Pixels
from ugatit_fast.translator import GivenStyle, Translated
from ugatit_fast.translator.styles import style_of

NETWORK = Network(direction="A2B", settings={"ch": 64, "n_res": 4, "light": True, "unbiased": True})
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
    network=NETWORK,
)
BACK_SPEC = replace(SPEC, network=replace(NETWORK, direction="B2A"))
"""Of the other direction."""


MUNIT = {"dim": 64, "n_downsample": 2, "n_res": 4, "style_dim": 3, "mlp_dim": 256}
STYLED_SPEC = replace(SPEC, network=Network(direction="A2B", architecture="munit", settings=MUNIT))
"""Of an engine that draws in styles of three numbers."""


class FakeTranslator:
    device = "nowhere"

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
        self.styles: list[Style | None] = []

    def translate(self, images: Images, style: Style | None = None) -> Translated:
        assert images.dtype == np.uint8
        assert self.spec.check_size(*images.shape[1:3]) is None
        self.before(len(self.shapes))
        self.shapes.append(images.shape)
        heatmaps = images[:, ::4, ::4].mean(axis=3, dtype=np.float32)
        self.styles.append(style)
        shade = self.shade if style is None else self.shade - np.uint8(style[0])
        return Translated(shade - images, heatmaps if self.heatmap else None)

    def style_of(self, style: "GivenStyle | None") -> Style | None:
        """The translator's own way; what sees a picture sees its brightness."""
        if isinstance(style, np.ndarray) and self.spec.style_length:
            return np.full(self.spec.style_length, style.mean(), np.float32)
        return style_of(style, self.spec, Path("fake.onnx"))

    def warmup(self) -> None:
        pass


def picture(seed: int = 0, height: int = 40, width: int = 48) -> Pixels:
    """Smooth colours, uint8 (h, w, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def write_photos(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed)).save(folder / name)
    return folder
