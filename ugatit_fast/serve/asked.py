"""What a request asks for beside its photo: how that is treated, where it differs from the server's settings."""

from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import Query

from ugatit_fast.choices import Box, Crop, Fit, parse_crop, parse_size
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.serve.problems import Problem
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.translate.faces import FaceFinder
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import served_size

WHOLE = "whole"
"""The crop of the whole photo, where the server's own is another."""

FitQuery = Annotated[
    Fit | None,
    Query(
        description="How a photo of another shape is fitted: squashed, cropped to its middle, or padded for the time."
    ),
]
CropQuery = Annotated[
    str | None,
    Query(
        description="The part of the photo that is translated: whole, center, face (a square around the largest), or "
        "box=X,Y,W,H in pixels.",
        examples=[WHOLE, "center", "face", "box=120,40,512,512"],
    ),
]
PasteQuery = Annotated[
    bool | None,
    Query(description="Put the translation back into its photo, with a soft edge; what comes has the photo's size."),
]
SizeQuery = Annotated[
    str | None,
    Query(
        description="Height x width to translate at, or one number for a square, where the engine serves any size.",
        examples=["256", "384x256"],
    ),
]


StyleQuery = Annotated[
    str | None,
    Query(
        description="Of an engine that draws in styles, which: a seed, or its numbers with commas between them; POST a "
        "picture to /v1/style for its own.",
        examples=["7", "0.3,-1.2,0.8,0,0.1,-0.4,2,-1"],
    ),
]


class Faces(NamedTuple):
    """The detector of a server, or why there is none."""

    finder: FaceFinder | None
    missing: str | None


@cache
def faces_of(model: Path | None) -> Faces:
    """The detector, loaded once for all apps of a process. Raises InputError where a named `model` can't be used."""
    try:
        return Faces(FaceFinder(model), None)
    except BackendUnavailable as error:
        return Faces(None, str(error))


def treatment(
    settings: ServeSettings,
    spec: EngineSpec,
    *,
    fit: Fit | None,
    crop: str | None,
    paste_back: bool | None,
    size: str | None,
) -> TranslateOptions:
    """How a request's photos are to be treated. None is the server's setting, or the engine's own size.

    Raises Problem: 422 for what isn't understood, or not served at that size; 400 for faces without a detector.
    """
    try:
        part = settings.crop if crop is None else asked_part(crop)
        options = TranslateOptions(
            fit=fit or settings.fit,
            crop=part,
            face_model=settings.face_model if part == "face" else None,
            paste_back=settings.paste_back if paste_back is None else paste_back,
            size=None if size is None else parse_size(size),
        )
        refuse_large(served_size(spec, options), spec, settings)
    except InputError as error:
        raise Problem(422, str(error)) from error
    except BackendUnavailable as error:
        raise Problem(400, str(error)) from error
    missing = faces_of(settings.face_model).missing if part == "face" else None
    if missing is not None:
        raise Problem(400, missing)
    return options


def asked_part(crop: str) -> Crop | None:
    """The part that a request names; None is the whole photo. Raises InputError."""
    if crop == WHOLE:
        return None
    try:
        return parse_crop(crop)
    except InputError as error:
        raise InputError(f"crop: {error}; or {WHOLE}, for all of the photo") from error


def as_asked(crop: Crop | None) -> str:
    """A crop as a request names it."""
    return f"box={','.join(map(str, crop))}" if isinstance(crop, Box) else crop or WHOLE


def refuse_large(size: tuple[int, int], spec: EngineSpec, settings: ServeSettings) -> None:
    """Raises InputError for a size beyond the server's limit; the engine's own never is."""
    most = max(settings.max_side, spec.height, spec.width)
    if max(size) > most:
        raise InputError(f"this server translates at up to {most} pixels a side, and {max(size)} were asked for")
