"""Photos in and pictures out: find the files, decode them, fit them to the engine's size, write what comes back.

Between the steps there is one kind of array: uint8 RGB, (h, w, 3), sRGB, upright and opaque, whatever the file was.
Every function is safe to call from several threads at once, so decoding and encoding can overlap with the engine.
"""

import glob
import io
import itertools
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageFile

from ugatit_fast.choices import Fit
from ugatit_fast.errors import InputError

Pixels = npt.NDArray[np.uint8]
"""uint8 RGB, (h, w, 3)."""

# fmt: off
IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)
# fmt: on
"""What counts as a photo inside a folder. HEIC can't be decoded; it is here so that it is reported, not passed over."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM")
"""The only decoders a file can reach, whatever its name says. Pillow has forty; each is a way in for bad files."""

MAX_PIXELS = 200_000_000
"""Largest photo that is decoded: the largest phone sensors (16320 x 12240) pass; 20000 x 20000 is refused unread."""

# Fastest PNG level that still compresses: level 6 takes four times as long for files of much the same size.
# 4:4:4 because drawn lines in saturated colours are what halved chroma damages most.
_ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 1}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
}


@dataclass(frozen=True)
class Source:
    """A photo to translate, and what its translation is to be called."""

    path: Path
    relative: PurePath
    """Name below the output folder, its suffix already one that can be written (see `output_name`)."""


def find_images(inputs: Sequence[str | Path], suffix: str | None = None) -> list[Source]:
    """Every photo that `inputs` name, in the order given, and in natural order (2 before 10) within each.

    A file is taken whatever its suffix. A folder stands for the files in it and its subfolders that end in one of
    `IMAGE_SUFFIXES`, except hidden ones; a pattern (`*`, `?`, `[]`, `**`) for the files it matches. Both keep their
    subfolders in `Source.relative`. `suffix` asks for one output format, as in `output_name`.

    Raises InputError for a missing file, a folder or pattern without photos, and two photos with one output name.
    """
    found: dict[str, Source] = {}
    for given in inputs:
        for path, relative in _expand(given):
            source = Source(path, output_name(relative, suffix))
            # normcase: on Windows A.png and a.png are one file.
            first = found.setdefault(os.path.normcase(source.relative), source)
            if first.path.resolve() != path.resolve():
                raise InputError(
                    f"{first.path} and {path} would both be written as {source.relative}; "
                    "rename one, or translate them into different output folders"
                )
    return list(found.values())


def output_name(relative: PurePath, suffix: str | None = None) -> PurePath:
    """The name a translation is written under: that of its photo.

    A photo in a format that isn't written (.gif, .bmp, .tif, .heic ...) becomes .png, as does one without an image
    suffix, whose whole name is kept: `scan.2019` gives `scan.2019.png`. With `suffix` (".jpg") all are written so.
    """
    if suffix is None:
        suffix = relative.suffix if relative.suffix.lower() in _ENCODERS else ".png"
    name = relative.stem if relative.suffix.lower() in IMAGE_SUFFIXES else relative.name
    return relative.with_name(name + suffix)


def _expand(given: str | Path) -> Iterator[tuple[Path, PurePath]]:
    """Each file behind one input, with its path relative to that input."""
    path = Path(given)
    if path.is_dir():
        files, base = _files_below(path), path
    elif path.exists():
        files, base = [path], path.parent
    elif glob.has_magic(str(given)):  # after exists(): browsers save files as `photo[1].jpg`
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
        pattern = str(path.relative_to(base))
        # Not Path.glob, whose `*` finds hidden files.
        matches = [base / name for name in glob.glob(pattern, root_dir=base, recursive=True)]  # noqa: PTH207
        files = [match for match in matches if match.is_file()]
        if not files:
            raise InputError(f"no file matches {given}; check the pattern and the folder it starts from")
    else:
        raise InputError(f"{given} doesn't exist; check the name")
    for file in sorted(files, key=_natural_order):
        yield file, file.relative_to(base)


def _files_below(folder: Path) -> list[Path]:
    """Image files in a folder and its subfolders, hidden ones (`._photo.jpg`, `.thumbnails/`) left out."""

    def refuse(error: OSError) -> None:
        raise InputError(f"folder {error.filename} can't be read ({error.strerror}); check its permissions") from error

    files = []
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise InputError(f"folder {folder} holds no photos; expected files ending in {' '.join(IMAGE_SUFFIXES)}")
    return files


def _natural_order(path: Path) -> tuple[list[list[str | int]], Path]:
    # Splitting by a group alternates text and digits, so that like is only ever compared with like.
    return [
        [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part.casefold())]
        for part in path.parts
    ], path


def load_image(path: Path, at_least: tuple[int, int] | None = None) -> Pixels:
    """Decode a photo to uint8 (h, w, 3): sRGB, upright, on white where it is transparent, the first frame of several.

    Formats are told by content, not by suffix: see `FORMATS`. 16-bit samples and floats are scaled to 8 bits (`_grey`),
    and an embedded ICC profile, CMYK or RGB, is applied; a broken profile or EXIF block is passed over, as viewers do.

    `at_least` (w, h) lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides stay twice as large.

    Raises InputError for anything that isn't a whole photo of at most `MAX_PIXELS`; the size is read from the header.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a photo; name a photo in it")
    try:
        with path.open("rb") as file:
            return _decode(file, path, at_least)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}); check its name and permissions") from error


def _decode(file: IO[bytes], path: Path, at_least: tuple[int, int] | None) -> Pixels:
    name, decoder = _recognise(file, path)
    try:
        image = decoder(file, str(path))
        if image.width * image.height > MAX_PIXELS:
            raise InputError(
                f"{path} is {image.width} x {image.height}; expected at most {MAX_PIXELS // 1_000_000} megapixels: "
                "make it smaller first"
            )
        if at_least is not None:
            width, height = at_least[::-1] if _orientation(image) in _ON_ITS_SIDE else at_least
            image.draft(None, (2 * width, 2 * height))
        image.load()
        rgb = _opaque_srgb(image)
        turn = _TURNS.get(_orientation(image))
        return np.array(rgb if turn is None else rgb.transpose(turn))
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders meet damaged data with almost every built-in exception
        raise InputError(
            f"{path} is a damaged or cut-off {name} file ({type(error).__name__}: {error}); copy or export it again"
        ) from error


def _recognise(file: IO[bytes], path: Path) -> tuple[str, Callable[[IO[bytes], str], ImageFile.ImageFile]]:
    """The format of a file, by its first bytes, and the Pillow class that reads its header.

    This is `Image.open` without its bomb check, which warns of photos above 89 megapixels: silencing it would take the
    process-wide warning filters, which no thread can change for itself.
    """
    Image.init()
    prefix = file.read(16)
    file.seek(0)
    if not prefix:
        raise InputError(f"{path} is empty (0 bytes); copy or export it again")
    for name in FORMATS:
        decoder, accepts = Image.OPEN.get(name, (None, None))  # AVIF is missing from some builds of Pillow
        if decoder is not None and accepts is not None and accepts(prefix) is True:
            return name, decoder
    raise InputError(
        f"{path} is not an image that can be read, whatever its name; expected {', '.join(FORMATS)}: convert it to one"
    )


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what sets the picture upright."""
_ON_ITS_SIDE = (5, 6, 7, 8)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1, upright, where there is none. TIFF files are turned by Pillow and say 1 once loaded."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF raises as freely as broken pixels do
        return 1


def _opaque_srgb(image: Image.Image) -> Image.Image:
    """Any mode of a loaded image -> RGB in sRGB, composited on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_grey(image)).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    elif image.mode != "CMYK":
        image = image.convert("RGB")
    return (_through_profile(image, profile) if profile else image).convert("RGB")


def _through_profile(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """RGB or CMYK pixels -> sRGB by their profile; unchanged if they are sRGB already or the profile isn't theirs."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        if ImageCms.getProfileDescription(profile).startswith("sRGB"):
            return image
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def _grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Samples wider than 8 bits -> (h, w) levels, black at 0; `convert("RGB")` would clip them at 255.

    White is 65535 for integers. Floats don't say: it is the first of 1, 255, 65535 that no sample exceeds, or else the
    largest sample. NaN and infinities become black.
    """
    samples = np.asarray(image)
    values = np.where(np.isfinite(samples), samples, 0).astype(np.float32)
    peak = float(values.max())
    white = next((w for w in ((1, 255, 65535) if image.mode == "F" else (65535,)) if peak <= w), peak)
    levels = np.rint(values.clip(0, white) * (255 / white)).astype(np.uint8)
    if image.has_transparency_data:  # a colour key; these modes have no other alpha
        levels[samples == image.info["transparency"]] = 255
    return levels


def fit_image(image: Pixels, size: tuple[int, int], fit: Fit) -> Pixels:
    """Resize to exactly `size` (h, w) with Pillow's antialiased bilinear filter, as the published PyTorch code does.

    - squash: the whole photo, its aspect changed (the published behaviour)
    - crop: the largest centred window of the target's aspect
    - pad: the whole photo, its aspect kept; the border repeats the edge pixels. White would shift the statistics that
      instance norm takes over the picture, and a mirrored border would grow second faces.
    """
    height, width = image.shape[:2]
    target_height, target_width = size
    photo = Image.fromarray(image)
    if fit == "squash":
        return np.array(photo.resize((target_width, target_height), Image.Resampling.BILINEAR))
    if fit == "crop":
        box_width = min(width, height * target_width / target_height)
        box_height = min(height, width * target_height / target_width)
        left, top = (width - box_width) / 2, (height - box_height) / 2
        box = (left, top, left + box_width, top + box_height)
        return np.array(photo.resize((target_width, target_height), Image.Resampling.BILINEAR, box=box))
    if fit == "pad":
        rows, columns = _window((height, width), size)
        inner = photo.resize((columns.stop - columns.start, rows.stop - rows.start), Image.Resampling.BILINEAR)
        border = ((rows.start, target_height - rows.stop), (columns.start, target_width - columns.stop), (0, 0))
        padded: Pixels = np.pad(np.asarray(inner), border, mode="edge")
        return padded
    raise InputError(f"unknown fit {fit!r}; choose one of {', '.join(get_args(Fit))}")


def unfit_image(result: Pixels, original_size: tuple[int, int], fit: Fit) -> Pixels:
    """The part of an engine's result that shows the photo: a view without the border of "pad", else all of it.

    `original_size` is the (h, w) of the photo before `fit_image`. Nothing is scaled back: the file that is written has
    the engine's resolution, as the published code's has.
    """
    if fit != "pad":
        return result
    rows, columns = _window(original_size, (result.shape[0], result.shape[1]))
    return result[rows, columns]


def _window(original: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of `size` (h, w) that a photo of `original` (h, w) covers when fitted inside."""
    scale = min(size[0] / original[0], size[1] / original[1])
    inner = [min(full, max(1, round(side * scale))) for side, full in zip(original, size, strict=True)]
    first = [(full - side) // 2 for side, full in zip(inner, size, strict=True)]
    return slice(first[0], first[0] + inner[0]), slice(first[1], first[1] + inner[1])


def save_image(path: Path, image: Pixels) -> None:
    """Write uint8 (h, w, 3) as .png, .jpg, .jpeg or .webp, making missing folders; all of the file appears, or none.

    Raises InputError when the suffix isn't one of these or the file can't be written; what was there before is kept.
    """
    if path.suffix.lower() not in _ENCODERS:
        raise InputError(f"{path} has no suffix that can be written; expected one of {', '.join(_ENCODERS)}")
    name, options = _ENCODERS[path.suffix.lower()]
    encoded = io.BytesIO()
    try:
        Image.fromarray(image).save(encoded, name, **options)
    except (OSError, ValueError) as error:  # formats have a largest side: 16383 for WebP, 65535 for JPEG
        height, width = image.shape[:2]
        raise InputError(f"{path}: {name} can't hold {width} x {height} pixels ({error}); write .png") from error

    # Not tempfile, whose files nobody but their owner may read; and short, since path.name may be as long as names get.
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(encoded.getbuffer())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}); choose another output folder, or make room in this one"
        ) from error


def _jet() -> npt.NDArray[np.uint8]:
    """The JET colour map, (256, 3): blue, cyan, yellow, red, each channel a clipped tent 3/4 of the scale wide."""
    level = np.linspace(0, 1, 256)[:, None]
    return np.rint(255 * np.clip(1.5 - abs(4 * level - (3, 2, 1)), 0, 1)).astype(np.uint8)


_JET = _jet()
HEATMAP_WEIGHT = 0.5
"""Share of the heat map's colour in an overlay; the rest is the photo's."""


def heatmap_overlay(image: Pixels, heatmap: npt.NDArray[np.float32]) -> Pixels:
    """Where the generator looks: its heat map (hh, ww) in JET colours, half and half over the photo (h, w, 3).

    The map goes from its smallest value (blue) to its largest (red) as in the published code; a constant one is blue
    throughout, and values that aren't finite count as 0.
    """
    height, width = image.shape[:2]
    values = np.where(np.isfinite(heatmap), heatmap, 0).astype(np.float64)
    values -= values.min()
    levels = np.rint(values * (255 / (values.max() or 1))).astype(np.uint8)
    resized = Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR)
    blend = HEATMAP_WEIGHT * _JET[np.asarray(resized)] + (1 - HEATMAP_WEIGHT) * image
    overlay: Pixels = np.rint(blend).astype(np.uint8)
    return overlay
