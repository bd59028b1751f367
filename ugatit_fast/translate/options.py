"""How a run over photos and clips is asked for."""

from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.choices import Crop, Fit, Format, KeepMetadata, check_choice
from ugatit_fast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """How a run treats its photos. Heat maps are asked for where the engine is loaded: `Translator(heatmap=True)`.

    A photo goes through `crop` first, then `fit` brings what is left of it to the engine's shape
    (`ugatit_fast.media.fitting.fit_image`). `crop` None is the whole photo, a Box that rectangle, "face" a square
    around the largest face (`ugatit_fast.translate.faces`), and "center" the largest window in the middle that has the
    engine's shape: the whole photo with `fit` "crop". `size` is (height, width) in pixels, None the engine's own. The
    page of `gallery` is index.html in the output.
    """

    fit: Fit = "crop"
    """What to do with a photo of another shape: squash it, crop its middle, or pad it and cut the border off again."""
    crop: Crop | None = None
    """Translate a part of each photo only: center, face, or box=X,Y,W,H in pixels."""
    face_model: Path | None = None
    """YuNet's .onnx file (2023mar), to find faces for --crop face in place of the extra `face`."""
    paste_back: bool = False
    """Put the translation back into the photo, with a soft edge; the result has the photo's size."""
    size: tuple[int, int] | None = None
    """Height x width to translate at, for an engine that serves any size."""
    gallery: bool = True
    """Write the page."""
    skip_existing: bool = False
    """Leave photos alone whose translations are there already."""
    keep_metadata: KeepMetadata = "date"
    """Of what photos and videos say of themselves, keep: their date and copyright, all (the place too), or none."""
    crf: int = 18
    """Quality of videos: x264's, from 0 (lossless) to 51."""
    stride: int = 1
    """Of videos and animations, translate every 2nd, 3rd ... frame, and show each until the next."""
    threads: int | None = None
    """Threads that decode and encode; one a core unless given."""

    def __post_init__(self) -> None:
        check_choice("fit", self.fit, Fit)
        check_choice("keep_metadata", self.keep_metadata, KeepMetadata)
        if self.crop == "face":
            from ugatit_fast.translate.faces import detector  # takes NumPy, which --help does without

            detector(self.face_model)  # before an engine is loaded for nothing
        if self.crop != "face" and self.face_model is not None:
            raise InputError("a face model is only used with --crop face; leave it out, or add that")
        if not 0 <= self.crf <= 51:
            raise InputError(f"crf goes from 0 (lossless) to 51, got {self.crf}")
        if self.stride < 1:
            raise InputError(f"stride must be at least 1, got {self.stride}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is made of the inputs of a whole run (`ugatit_fast.translate.request`), and when."""

    format: Format | None = None
    """Write png, jpg or webp; as the photo unless given, and png where that can't be written."""
    heatmap: bool = False
    """Also write where the network looked; the engine must have been built with --heatmap."""
    stack: Path | None = None
    """The engine of the other direction: write the published column of seven tiles instead of each translation."""
    watch: bool = False
    """Keep watching the input folders, and translate what comes or changes, until Ctrl-C."""

    @property
    def suffix(self) -> str | None:
        """Of what is written, as `sources.output_name` takes it."""
        return f".{self.format}" if self.format else None
