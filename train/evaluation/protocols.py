"""Three published ways to measure how far translations are from real pictures. Their numbers can't be compared.

    fidelity      KID of 100 subsets of 1000 pictures, or of all where there are fewer, and FID, as torch-fidelity
                  measures them: pictures resized as TensorFlow 1 did.
    blocks10      KID of blocks of 10 pictures, and FID, as the metric code of U-GAT-IT's author measures them:
                  pictures resized with Pillow.
    ugatit-mean   The same code's mean KID, which the paper's table seems to have (KID x 100, 11.61 for selfie2anime):
                  (0.02 KID to the real pictures + 0.98 KID to the source pictures) / 2.

Nothing here is heavy to import: the command line reads its choices and defaults off it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ugatit_fast.choices import Device, check_choice
from ugatit_fast.errors import InputError

Protocol = Literal["fidelity", "blocks10", "ugatit-mean"]
Role = Literal["translated", "real", "source"]
"""The sides of a comparison."""
Resize = Literal["tf1-bilinear", "pil-bilinear"]
"""How pictures come to 299 x 299: see `ugatit_fast.train.evaluation.features`."""

RESIZE: dict[Protocol, Resize] = {
    "fidelity": "tf1-bilinear",
    "blocks10": "pil-bilinear",
    "ugatit-mean": "pil-bilinear",
}
SUBSETS, SUBSET_SIZE = 100, 1000
"""Of fidelity."""
BLOCK_SIZE = 10
"""Of blocks10 and ugatit-mean."""
WEIGHT_OF_REAL, WEIGHT_OF_SOURCE = 0.02 / 2, 0.98 / 2
"""Of the two KIDs in ugatit-mean."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a distance is measured, whatever it lies between."""

    protocol: Protocol = "fidelity"
    """How: fidelity as torch-fidelity does, blocks10 and ugatit-mean as the code of U-GAT-IT's author. Numbers of
    different protocols can't be compared.
    """
    subset_size: int | None = None
    """Pictures in each of fidelity's 100 subsets; 1000, or all where there are fewer, unless given."""
    seed: int = 2020
    """Of subsets and blocks."""
    inception: Path | None = None
    """The published Inception weights, weights-inception-2015-12-05-6726825d.pth; those downloaded unless given."""
    download: bool = False
    """Fetch the Inception weights (96 MB) if they aren't there."""

    def __post_init__(self) -> None:
        """Raises InputError where that makes no sense."""
        check_choice("protocol", self.protocol, Protocol)
        if self.subset_size is not None and self.protocol != "fidelity":
            raise InputError(f"{self.protocol} has blocks of {BLOCK_SIZE}; a subset size is for fidelity only")
        if self.subset_size is not None and self.subset_size < 2:
            raise InputError(f"the subset size must be at least 2, got {self.subset_size}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"the seed must be from 0 to 2^32 - 1, got {self.seed}")

    @property
    def resize(self) -> Resize:
        return RESIZE[self.protocol]


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Measure):
    """How to compare pictures. Raises InputError where that makes no sense."""

    source: Path | None = None
    """For ugatit-mean: the pictures that were translated."""
    save_features: Path | None = None
    """Also write the features of all sides to this .npz file, which can stand in for any of the folders."""
    device: Device = "auto"
    """Where the Inception network runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol == "ugatit-mean" and self.source is None:
            raise InputError("ugatit-mean also measures the distance to what was translated; name it with --source")
        if self.protocol != "ugatit-mean" and self.source is not None:
            raise InputError(f"{self.protocol} has no use for the source pictures; leave out --source")
        if self.save_features is not None and self.save_features.suffix != ".npz":
            raise InputError(f"features are saved as .npz, got {self.save_features}")
