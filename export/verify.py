"""Engine against checkpoint: how far the pictures are from those of the float32 reference generator."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import torch

from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.base import Backend, Images
from ugatit_fast.backends.runtimes import open_backend
from ugatit_fast.backends.styles import Style
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.checkpoint.reference import reference_pictures
from ugatit_fast.choices import EIGHT_BITS, Loading, Precision, Tune, styles_in_turn
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.model import Reference
from ugatit_fast.progress import Say
from ugatit_fast.translator import describe_engine

FP32_MAX_ABS = 1e-3
FP16_PSNR_DB = 45.0
FP16_SHARE_WITHIN_2 = 0.999
EIGHT_BIT_PSNR_DB = 40.0
EIGHT_BIT_SHARE_BEYOND_8 = 0.001
GATES: dict[Precision, str] = {
    "fp32": f"max |d| at most {FP32_MAX_ABS:g} beyond rounding",
    "fp16": f"PSNR at least {FP16_PSNR_DB:g} dB and {FP16_SHARE_WITHIN_2:.1%} of values within 2 levels",
    **dict.fromkeys(
        EIGHT_BITS,
        f"PSNR at least {EIGHT_BIT_PSNR_DB:g} dB and at most {EIGHT_BIT_SHARE_BEYOND_8:.1%} of values off by more than "
        "8 levels, on photos",
    ),
}
"""What an engine of a precision has to reach, in words; `Difference.passes` is what they mean."""


@dataclass(frozen=True)
class Difference:
    """How far an engine's pictures are from the reference's, over all pixels and colours."""

    max_abs: float
    """Largest |d| in [-1, 1] that rounding to 8 bits doesn't explain: the engine gives levels, the reference
    doesn't.
    """
    mean_abs: float
    """Mean |d| in [-1, 1] between the engine's levels and the unrounded reference; rounding alone gives about 0.002."""
    share_off_by_more_than_1: float
    share_off_by_more_than_2: float
    share_off_by_more_than_8: float
    """Share of values further from the rounded reference than 1, 2 and 8 of 255 levels."""
    psnr_db: float
    """Against the rounded reference; infinite where they are identical."""
    ssim: float
    """Structural similarity to the rounded reference, 1 where they are identical; see `structural_similarity`."""

    def describe(self) -> str:
        """One line for people."""
        return (
            f"against the float32 reference: max |d| {self.max_abs:.2g} beyond rounding, "
            f"mean |d| {self.mean_abs:.2g} with rounding, PSNR {self.psnr_db:.1f} dB, SSIM {self.ssim:.4f}, "
            f"{self.share_off_by_more_than_1:.3%} of values off by more than 1 level, "
            f"{self.share_off_by_more_than_2:.3%} by more than 2, {self.share_off_by_more_than_8:.3%} by more than 8"
        )

    def passes(self, precision: Precision) -> bool:
        """Whether an engine of this precision is good enough to be used."""
        if precision == "fp32":
            return self.max_abs <= FP32_MAX_ABS
        if precision in EIGHT_BITS:
            return self.psnr_db >= EIGHT_BIT_PSNR_DB and self.share_off_by_more_than_8 <= EIGHT_BIT_SHARE_BEYOND_8
        return self.psnr_db >= FP16_PSNR_DB and 1 - self.share_off_by_more_than_2 >= FP16_SHARE_WITHIN_2


def difference(translated: Images, reference: np.ndarray) -> Difference:
    """translated: uint8 (n, h, w, 3) from an engine; reference: float (n, h, w, 3) in [-1, 1], unrounded."""
    exact = (reference.astype(np.float64) + 1) * 127.5
    distance = np.abs(translated - exact)
    levels = np.abs(translated - np.rint(exact))
    mse = np.square(levels).mean()
    return Difference(
        max_abs=float(np.maximum(distance - 0.5, 0).max() / 127.5),
        mean_abs=float(distance.mean() / 127.5),
        share_off_by_more_than_1=float((levels > 1).mean()),
        share_off_by_more_than_2=float((levels > 2).mean()),
        share_off_by_more_than_8=float((levels > 8).mean()),
        psnr_db=float(10 * np.log10(255**2 / mse)) if mse else float("inf"),
        ssim=structural_similarity(translated, np.rint(exact)),
    )


def structural_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Mean SSIM (Wang et al. 2004) over windows of 8x8 pixels, of every colour; levels 0 to 255, (n, h, w, 3)."""
    side = min(8, *first.shape[1:3])
    views = [
        np.lib.stride_tricks.sliding_window_view(levels.astype(np.float64), (side, side), axis=(1, 2))[:, ::4, ::4]
        for levels in (first, second)
    ]
    (mean1, mean2), (var1, var2) = ([op(view, axis=(-2, -1)) for view in views] for op in (np.mean, np.var))
    covariance = (views[0] * views[1]).mean(axis=(-2, -1)) - mean1 * mean2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return float((likeness / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))).mean())


def verify(
    engine: str | Path,
    checkpoint: str | Path | Checkpoint,
    *,
    device: str = "auto",
    tune: Tune = "auto",
    trust_plan: bool = False,
    say: Say = lambda _: None,
) -> Difference:
    """Run an engine and the reference generator of the checkpoint it was made from on the same pictures.

    The pictures are those of `sample_pictures`. say: called with a line where loading the engine takes long. Raises
    EngineError where the engine was made from another checkpoint, and what reading either raises.
    """
    path = Path(engine)
    spec = describe_engine(path, trust_plan)
    source = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint, spec.direction)
    if not spec.is_bare and spec.checkpoint_sha256 != source.sha256:
        raise EngineError(
            f"{path} was made from another checkpoint (SHA-256 {spec.checkpoint_sha256[:12]}..., "
            f"{source.path} has {source.sha256[:12]}...); name the one it was made from, or build it again"
        )
    backend = open_backend(path, spec, Loading(device=device, tune=tune), say)
    try:
        pictures, styles = sample_pictures(spec), styles_in_turn(spec.style_length)
        return compare(backend, pictures, exact_pictures(source.generator(), pictures, styles))
    finally:
        backend.close()


def compare(backend: Backend, pictures: Images, exact: np.ndarray) -> Difference:
    """Difference over `pictures` from their `exact_pictures`; one at a time, so that memory stays that of one.

    In the styles of `choices.styles_in_turn`, where the engine draws in styles.
    """
    drawn = zip(pictures, styles_in_turn(backend.spec.style_length), strict=False)
    translated = np.concatenate([backend.run(picture[None], style)[0] for picture, style in drawn])
    return difference(translated, exact)


def exact_pictures(
    generator: Reference, pictures: Iterable[Pixels], styles: Iterable[Style | None] = repeat(None)
) -> np.ndarray:
    """What the reference generator, on the CPU, makes of n pictures, uint8 (h, w, 3).

    styles: of each, where it draws in styles; that of seed 0 unless given.
    Float (n, h, w, 3) in [-1, 1], unrounded. One at a time, so that memory stays that of one.
    """
    drawn = zip(pictures, styles, strict=False)
    each = [reference_pictures(generator, picture[None], style)[0] for picture, style in drawn]
    return torch.cat(each).permute(0, 2, 3, 1).numpy()


def sample_pictures(spec: EngineSpec) -> Images:
    """Two photographs and noise, uint8 (3, h, w, 3); in eight bits, whose scales are from photographs and clip noise,
    the photographs alone.
    """
    size = (spec.height, spec.width)
    pictures = [fit_image(load_image(photo), size, "crop") for photo in sample_photos()]
    if spec.precision in EIGHT_BITS:
        return np.stack(pictures)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return np.stack([*pictures, noise])
