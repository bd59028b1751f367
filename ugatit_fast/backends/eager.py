"""The reference generator itself, in float32 PyTorch: slow, and by definition right."""

from pathlib import Path

import numpy as np
import torch

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.backends.border import border
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.checkpoint.reference import reference_pictures
from ugatit_fast.choices import Device, Direction
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.kernels.image import image_of
from ugatit_fast.machine import cpu_in_words


class EagerBackend:
    """A checkpoint, run as the paper states it."""

    def __init__(self, path: Path, *, device: Device = "auto", direction: Direction | None = None) -> None:
        """device: "cpu", "cuda" or "auto" (cuda where there is one). Raises CheckpointError, BackendUnavailable."""
        if device == "cuda" and not torch.cuda.is_available():
            raise BackendUnavailable("PyTorch sees no CUDA device here; use --device cpu, or see `ugatit-fast doctor`")
        chosen = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
        checkpoint = read_checkpoint(path, direction)
        self.path = path
        self.spec = EngineSpec.of(checkpoint, kind="eager", any_size=True, heatmap=checkpoint.config.heatmap)
        with border(path, self.spec):
            self.generator = checkpoint.generator().to(chosen)
        self.device = torch.cuda.get_device_name() if chosen == "cuda" else cpu_in_words(torch.get_num_threads())

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        with border(self.path, self.spec):
            given = style_for(self.spec, style)
            each = [self.run_one(image[None], given) for image in images]
        heatmaps = [heatmap for _, heatmap in each if heatmap is not None]
        return np.concatenate([picture for picture, _ in each]), np.concatenate(heatmaps) if heatmaps else None

    def run_one(self, images: Images, style: Style | None) -> tuple[Images, Heatmaps | None]:
        """One picture at a time takes the memory of one."""
        translated, heatmaps = reference_pictures(self.generator, images, style)
        return image_of(translated).cpu().numpy(), None if heatmaps is None else heatmaps.cpu().numpy()

    def close(self) -> None:
        del self.generator
