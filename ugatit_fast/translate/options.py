"""How a run over photos and clips is asked for."""

from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.choices import Crop, Fit, check_choice
from ugatit_fast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """How a run treats its photos. Heat maps are asked for where the engine is loaded: `Translator(heatmap=True)`."""

    fit: Fit = "crop"
    """How a photo of another shape meets the engine's: see `fitting.fit_image`."""
    crop: Crop | None = None
    """The part of a photo that is translated; `fit` then brings it to the engine's shape.

    None is the whole photo, a Box that rectangle, "face" a square around the largest face
    (`ugatit_fast.translate.faces`), and "center" the largest window in the middle that has the engine's shape: the
    whole photo with `fit` "crop".
    """
    face_model: Path | None = None
    """The detector that `crop` "face" looks with: YuNet's .onnx file."""
    paste_back: bool = False
    """Put the translation back into the photo, in place of what was translated; the result has the photo's size."""
    size: tuple[int, int] | None = None
    """(height, width) to translate at, in pixels; None is the engine's own."""
    gallery: bool = True
    """Also write index.html and the pictures that it shows beside the translations."""
    skip_existing: bool = False
    """Leave photos alone whose translations are there already."""
    crf: int = 18
    """Of videos: x264's quality, 0 (lossless) to 51; at 18 nobody sees a difference."""
    stride: int = 1
    """Of videos and animations: every how many frames one is translated, and shown until the next is."""
    threads: int | None = None
    """Threads that decode and encode; None is one a core."""

    def __post_init__(self) -> None:
        check_choice("fit", self.fit, Fit)
        if self.crop == "face" and self.face_model is None:
            raise InputError("crop face needs a face detector: --face-model FILE, YuNet's .onnx (2023mar)")
        if self.crop != "face" and self.face_model is not None:
            raise InputError("a face model is only used with --crop face; leave it out, or add that")
        if not 0 <= self.crf <= 51:
            raise InputError(f"crf goes from 0 (lossless) to 51, got {self.crf}")
        if self.stride < 1:
            raise InputError(f"stride must be at least 1, got {self.stride}")
