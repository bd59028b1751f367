"""Faces in photos: photo -> canvas -> network -> candidates -> faces -> the square that is translated.

The network is CenterFace, where the package that brings it is installed, or a YuNet that the user brings.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.choices import Box
from ugatit_fast.errors import BackendUnavailable, InputError, first_line
from ugatit_fast.machine import pip_install
from ugatit_fast.media.images import Pixels
from ugatit_fast.translate.centerface import Centerface, packaged_model
from ugatit_fast.translate.yunet import Yunet

Floats = npt.NDArray[np.float32]

OVERLAP = 0.3
"""Two candidates that share more than this of their union are one face, the better one."""
LONGEST_SIDE = 640
"""Larger photos are made this small first: the networks know faces of about 10 to 300 pixels."""
MULTIPLE = 32
"""Of which a canvas has sides, in pixels: both networks halve it five times."""
MARGIN = 2.0
"""Side of the square that is translated, in longer sides of the face: hair, ears and neck belong to a portrait."""


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

    def candidates(self, outputs: Mapping[str, Floats], canvas_size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Boxes (n, 4), left, top, width, height in pixels of the canvas, and scores (n,).

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

    def __init__(self, model: Path | None = None) -> None:
        """model: YuNet's .onnx file; None is the CenterFace that is installed.

        Raises InputError where it can't be used, BackendUnavailable without ONNX Runtime or a detector.
        """
        from ugatit_fast.backends.ort import Session, import_onnxruntime

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

    def largest(self, photo: Pixels) -> Box | None:
        """The largest face of a photo (h, w, 3), or None; it may reach over the photo's edges."""
        canvas, scale = self.canvas(photo)
        names, feed = self.network.names, {self.input.name: self.network.batch(canvas)}
        outputs = dict(zip(names, self.session.run(names, feed), strict=True))
        boxes, scores = self.network.candidates(outputs, (canvas.shape[0], canvas.shape[1]))
        faces = distinct(boxes, scores)
        if not len(faces):
            return None
        left, top, width, height = faces[np.argmax(faces[:, 2] * faces[:, 3])] / scale
        return Box(round(left), round(top), round(width), round(height))

    def canvas(self, photo: Pixels) -> tuple[Pixels, float]:
        """The photo in the top left of a black canvas that the network takes, and how much smaller it is made."""
        height, width = photo.shape[:2]
        fixed = [side for side in self.input.shape[2:] if isinstance(side, int)]
        room = fixed if len(fixed) == 2 else [LONGEST_SIDE, LONGEST_SIDE]
        scale = min(1.0, room[0] / height, room[1] / width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        sides = room if len(fixed) == 2 else [-(-side // MULTIPLE) * MULTIPLE for side in (inner_height, inner_width)]
        canvas = np.zeros((*sides, 3), np.uint8)
        small = Image.fromarray(photo).resize((inner_width, inner_height), Image.Resampling.BILINEAR)
        canvas[:inner_height, :inner_width] = np.asarray(small)
        return canvas, scale


def distinct(boxes: Floats, scores: Floats) -> Floats:
    """Of the boxes (n, 4) that overlap, the one with the best score (non-maximum suppression)."""
    kept: list[Floats] = []
    for box in boxes[np.argsort(-scores, kind="stable")]:
        if all(overlap(box, other) <= OVERLAP for other in kept):
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 4)


def overlap(one: Floats, other: Floats) -> float:
    """Shared area over joint area, 0 to 1."""
    near, far = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.maximum(far - near, 0)))
    return shared / (float(np.prod(one[2:])) + float(np.prod(other[2:])) - shared)


def portrait(face: Box, photo_size: tuple[int, int]) -> Box:
    """The square to translate for a face: `MARGIN` of its longer sides wide, centred on it, then moved into the photo.

    photo_size: (h, w); where the photo is smaller than the square should be, that is as large as it can be.
    """
    height, width = photo_size
    side = min(height, width, max(1, math.ceil(MARGIN * max(face.width, face.height))))
    left = round(face.left + (face.width - side) / 2)
    top = round(face.top + (face.height - side) / 2)
    return Box(min(max(left, 0), width - side), min(max(top, 0), height - side), side, side)
