"""Weights that load may still be another network's. Does the generator draw pictures?"""

import warnings

import torch

from ugatit_fast.assets import sample_photos
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.reference import reference_pictures
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image
from ugatit_fast.model import Reference

SMALL_SIDE = 128
"""Pixels, of a generator that serves any size: this one costs a quarter of a training image."""
CONSTANT_STD = 0.02
"""In [-1, 1]: five of 255 levels. A picture that varies less is a grey sheet."""
SATURATED, SATURATED_SHARE = 0.99, 0.8
"""A drawing may be half white; four fifths of all values at the ends of tanh are no drawing."""


class SuspiciousWeightsWarning(UserWarning):
    """The weights are sound, but what the generator makes of a photograph is no picture."""


def check_pictures(checkpoint: Checkpoint, generator: Reference) -> None:
    """Translate one photograph with the reference generator, and warn where the result is constant or saturated.

    One pass: about a second for a full generator of 256x256, a quarter of that for a light one.
    """
    what = fault_of(translated_photo(generator))
    if what:
        warnings.warn(
            f"{checkpoint.path}: translating a photograph gives {what}; {likely_cause(checkpoint)}",
            SuspiciousWeightsWarning,
            stacklevel=2,
        )


def translated_photo(generator: Reference) -> torch.Tensor:
    """float32 (3, h, w) in [-1, 1]."""
    config = generator.config
    side = config.sides.above(SMALL_SIDE) if config.any_size else config.training_side
    photo = fit_image(load_image(sample_photos()[0]), (side, side), "crop")
    return reference_pictures(generator, photo[None])[0][0]


def fault_of(picture: torch.Tensor) -> str | None:
    """What is wrong with float (3, h, w) in [-1, 1]; None where it could be a picture."""
    if not torch.isfinite(picture).all():
        return "values that are not numbers"
    if picture.std(dim=(1, 2)).max() < CONSTANT_STD:
        return "one even colour"
    if (picture.abs() > SATURATED).float().mean() > SATURATED_SHARE:
        return "nothing but full and empty colours"
    return None


def likely_cause(checkpoint: Checkpoint) -> str:
    if checkpoint.smoothing is not None:
        other = "no" if checkpoint.smoothing else "yes"
        return f"the run may have been trained the other way: try --smoothing {other}, or an earlier step"
    if checkpoint.config.architecture != "ugatit":
        return "its training may have failed"
    return (
        "its training may have failed, or it was trained with the published code of before 2019-08-27: that network "
        "(no residual addition in the decoder, variances of variances) has the same names, and isn't supported"
    )
