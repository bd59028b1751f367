"""Faces in photos: photo -> canvas -> network -> candidates -> the largest face -> the square that is translated.

The network is CenterFace, where the package that brings it is installed, or a YuNet that the user brings. Both know
faces that are about upright. They find most others too, but see them badly: so a face that seems turned is looked at
again, held up as it seemed, until it seems upright.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ugatit_fast.choices import Box
from ugatit_fast.errors import BackendUnavailable, InputError, first_line
from ugatit_fast.machine import pip_install
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.turning import Turned, take_turned
from ugatit_fast.translate.candidates import Candidates, Floats, tilt
from ugatit_fast.translate.centerface import Centerface, packaged_model
from ugatit_fast.translate.yunet import Yunet

LONGEST_SIDE = 640
"""Larger photos are made this small first: the networks know faces of about 10 to 300 pixels."""
MULTIPLE = 32
"""Of which a canvas has sides, in pixels: both networks halve it five times."""
MARGIN = 2.0
"""Side of the square that is translated, in longer sides of the face: hair, ears and neck belong to a portrait."""
LEVEL = 5.0
"""Degrees. Faces that are turned by less count as upright: the detector errs by about as much."""
LOOKS = 3
"""At most, at a face that seems turned."""
VIEW = 3.0
"""Side of the square for such a look, in longer sides of the face."""
QUARTERS = (0.0, 180.0, 90.0, -90.0)
"""How a photo is held, one after the other, until a face is found in it."""
SURE = 0.7
"""Least score of a face in a photo that is held otherwise than it was: upright ones have 0.8 and more."""


class Network(Protocol):
    """What differs from one detector to the next."""

    @property
    def expected(self) -> str:
        """The file, for messages."""

    @property
    def names(self) -> Sequence[str]:
        """Outputs to ask for."""

    def content(self, path: Path) -> bytes:
        """The model, for ONNX Runtime."""

    def batch(self, canvas: Pixels) -> Floats:
        """A canvas (h, w, 3) as the network takes it, (1, 3, h, w)."""

    def candidates(self, outputs: Mapping[str, Floats], canvas_size: tuple[int, int]) -> Candidates:
        """Those in a canvas, in its pixels.

        outputs: by `names`. canvas_size: (h, w), multiples of `MULTIPLE`.
        """


def detector(model: Path | None) -> tuple[Network, Path]:
    """The network to find faces with, and its file: the user's YuNet, else the CenterFace that is installed.

    Raises BackendUnavailable where there is neither.
    """
    if model is not None:
        return Yunet(), model
    packaged = packaged_model()
    if packaged is None:
        raise BackendUnavailable(
            f"crop face needs a face detector: {pip_install('face')}, or --face-model FILE, {Yunet.expected}"
        )
    return Centerface(), packaged


class FaceFinder:
    """A detector, loaded. Safe to use from several threads at once."""

    def __init__(self, model: Path | None = None, longest_side: int = LONGEST_SIDE) -> None:
        """model: YuNet's .onnx file; None is the CenterFace that is installed.

        longest_side: what larger photos are made; a network that takes one size makes them that.

        Raises InputError where it can't be used, BackendUnavailable without ONNX Runtime or a detector.
        """
        from ugatit_fast.backends.ort import Session, import_onnxruntime

        self.longest_side = longest_side
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # photos are looked at side by side
        options.log_severity_level = 3
        self.network, path = detector(model)
        expected = self.network.expected
        try:
            content = self.network.content(path)
            self.session: Session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no public base class
            reason = first_line(error)
            raise InputError(f"the face model {path} can't be loaded ({reason}); expected {expected}") from error
        self.input = self.session.get_inputs()[0]
        try:
            self.largest(np.zeros((MULTIPLE, MULTIPLE, 3), np.uint8))
        except Exception as error:  # another network: other outputs, other shapes
            reason = first_line(error)
            raise InputError(f"the face model {path} is another network ({reason}); expected {expected}") from error

    def largest(self, photo: Pixels) -> Turned | None:
        """The largest face of a photo (h, w, 3), or None; it may reach over the photo's edges.

        Turned so that the face is upright in it, or not at all where the face is nearly upright, or can't be seen so.
        """
        small, scale = shrunk(photo, self.room)
        height, width = small.shape[:2]
        faces = self.faces(small, Turned(Box(0, 0, width, height)))
        if not faces:
            return None
        face = self.upright(small, max(faces, key=lambda face: face.box.width * face.box.height))
        return about(face.middle / scale, (face.box.width / scale, face.box.height / scale), face.degrees)

    def upright(self, photo: Pixels, face: Turned) -> Turned:
        """The same face, looked at again until it is turned as it seems to be."""
        held = 0.0
        for _ in range(LOOKS):
            if abs(wrapped(face.degrees - held)) < LEVEL:
                break
            held = face.degrees
            side = VIEW * max(face.box.width, face.box.height)
            seen = self.faces(photo, about(face.middle, (side, side), held))
            if not seen:
                return about(face.middle, face.box[2:], 0.0)
            away = [abs(other.middle - face.middle) for other in seen]
            face = seen[away.index(min(away))]
        return face if abs(face.degrees) >= LEVEL else face._replace(degrees=0.0)

    def faces(self, photo: Pixels, view: Turned) -> list[Turned]:
        """The faces in a part of a photo, as they are turned in the photo; it is held every way until some show."""
        _, _, width, height = view.box
        for quarter in QUARTERS:
            size = (width, height) if quarter in (0, 180) else (height, width)
            held = about(view.middle, size, wrapped(view.degrees + quarter))
            found = self.faces_as_held(photo, held, least_score=SURE if quarter else 0.0)
            if found:
                return found
        return []

    def faces_as_held(self, photo: Pixels, view: Turned, least_score: float) -> list[Turned]:
        canvas, scale = self.canvas(take_turned(photo, view))
        names, feed = self.network.names, {self.input.name: self.network.batch(canvas)}
        outputs = dict(zip(names, self.session.run(names, feed), strict=True))
        found = self.network.candidates(outputs, (canvas.shape[0], canvas.shape[1])).distinct()
        faces = []
        for (left, top, width, height), score, points in zip(found.boxes / scale, *found[1:], strict=True):
            if score < least_score:
                continue
            middle = view.in_photo(complex(left + width / 2, top + height / 2))
            faces.append(about(middle, (width, height), wrapped(view.degrees + tilt(points))))
        return faces

    @property
    def room(self) -> tuple[int, int]:
        """(h, w) of the largest canvas."""
        fixed = self.fixed
        return (fixed[0], fixed[1]) if fixed else (self.longest_side, self.longest_side)

    @property
    def fixed(self) -> list[int]:
        """[h, w] of the only canvas that the network takes; empty where it takes any."""
        sides = [side for side in self.input.shape[2:] if isinstance(side, int)]
        return sides if len(sides) == 2 else []

    def canvas(self, photo: Pixels) -> tuple[Pixels, float]:
        """The photo in the top left of a black canvas that the network takes, and how much smaller it is made."""
        small, scale = shrunk(photo, self.room)
        height, width = small.shape[:2]
        sides = self.fixed or [-(-side // MULTIPLE) * MULTIPLE for side in (height, width)]
        canvas = np.zeros((*sides, 3), np.uint8)
        canvas[:height, :width] = small
        return canvas, scale


def shrunk(photo: Pixels, room: tuple[int, int]) -> tuple[Pixels, float]:
    """The photo, small enough for (h, w), and how much smaller it is made."""
    height, width = photo.shape[:2]
    scale = min(1.0, room[0] / height, room[1] / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR)), scale


def about(middle: complex, size: tuple[float, float], degrees: float) -> Turned:
    """A turned rectangle of (w, h) about a point, in whole pixels."""
    width, height = (max(1, round(side)) for side in size)
    return Turned(Box(round(middle.real - width / 2), round(middle.imag - height / 2), width, height), degrees)


def wrapped(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def portrait(face: Turned, photo_size: tuple[int, int]) -> Turned:
    """The square to translate for a face, turned with it: `MARGIN` of its longer sides wide, centred on it, then moved
    into the photo.

    photo_size: (h, w); where the photo is smaller than the square should be, that is as large as it can be. A turned
    square that doesn't fit in is in the photo's middle, and its corners reach outside.
    """
    height, width = photo_size
    side = min(height, width, max(1, math.ceil(MARGIN * max(face.box.width, face.box.height))))
    reach = side * (abs(face.turn.real) + abs(face.turn.imag)) / 2
    x, y = (
        min(max(at, reach), length - reach) if length > 2 * reach else length / 2
        for at, length in ((face.middle.real, width), (face.middle.imag, height))
    )
    return about(complex(x, y), (side, side), face.degrees)
