"""A cuda engine in plain PyTorch: what its operations mean, on any machine."""

from pathlib import Path

import torch

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.border import border
from ugatit_fast.backends.cuda import load_folded
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.engine import EngineSpec


class PlainBackend:
    """A cuda engine in plain PyTorch on the CPU: every operation by its reference, in the engine's precision. Slow."""

    def __init__(self, path: Path, spec: EngineSpec) -> None:
        self.path, self.spec = path, spec
        self.device = "CPU, plain PyTorch"
        with border(path, spec):
            self.folded = load_folded(path, spec)

    @torch.inference_mode()
    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        given = style_for(self.spec, style)
        with border(self.path, self.spec):
            translated, heatmaps = self.folded(
                torch.from_numpy(images), None if given is None else torch.from_numpy(given)
            )
        return translated.numpy(), None if heatmaps is None else heatmaps.numpy()

    def close(self) -> None:
        del self.folded
