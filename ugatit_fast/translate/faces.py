"""Faces in photos, found by a YuNet detector that the user brings: photo -> canvas -> network -> candidates -> faces.

YuNet (`face_detection_yunet_2023mar.onnx`) looks at three grids, of 8, 16 and 32 pixels a cell, and says for each cell
how sure it is that a face is centred there (`cls`, `obj`, in [0, 1]) and where the face lies about the cell (`bbox`).
With (row, column) of a cell of `stride` pixels and its bbox (x, y, w, h), the face has

    centre (column + x, row + y) * stride        width, height (exp w, exp h) * stride        score sqrt(cls * obj)
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ugatit_fast.choices import Box
from ugatit_fast.errors import InputError, first_line
from ugatit_fast.media.images import Pixels

Floats = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
SCORE = 0.7
"""Least score of a face."""
OVERLAP = 0.3
"""Two candidates that share more than this of their union are one face, the better one."""
LONGEST_SIDE = 640
"""Larger photos are made this small first: the network knows faces of about 10 to 300 pixels."""
MARGIN = 2.0
"""Side of the square that is translated, in longer sides of the face: hair, ears and neck belong to a portrait."""


class FaceFinder:
    """A YuNet detector, loaded. Safe to use from several threads at once."""

    def __init__(self, model: Path) -> None:
        """model: the .onnx file. Raises InputError where it can't be used, BackendUnavailable without ONNX Runtime."""
        from ugatit_fast.backends.ort import Session, import_onnxruntime

        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # photos are looked at side by side
        options.log_severity_level = 3
        try:
            self.session: Session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no public base class
            reason = first_line(error)
            raise InputError(f"the face model {model} can't be loaded ({reason}); expected YuNet's .onnx") from error
        self.names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox") for stride in STRIDES]
        self.input = self.session.get_inputs()[0]
        try:
            self.largest(np.zeros((STRIDES[-1], STRIDES[-1], 3), np.uint8))
        except Exception as error:  # another network: other outputs, other shapes
            reason = first_line(error)
            raise InputError(
                f"the face model {model} is no YuNet ({reason}); expected face_detection_yunet_2023mar.onnx"
            ) from error

    def largest(self, photo: Pixels) -> Box | None:
        """The largest face of a photo (h, w, 3), or None; it may reach over the photo's edges."""
        canvas, scale = self.canvas(photo)
        batch = np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)  # BGR, 0 to 255
        outputs = dict(zip(self.names, self.session.run(self.names, {self.input.name: batch}), strict=True))
        boxes, scores = candidates(outputs, (canvas.shape[0], canvas.shape[1]))
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
        multiple = STRIDES[-1]
        sides = room if len(fixed) == 2 else [-(-side // multiple) * multiple for side in (inner_height, inner_width)]
        canvas = np.zeros((*sides, 3), np.uint8)
        small = Image.fromarray(photo).resize((inner_width, inner_height), Image.Resampling.BILINEAR)
        canvas[:inner_height, :inner_width] = np.asarray(small)
        return canvas, scale


def candidates(outputs: Mapping[str, Floats], canvas_size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Every cell that scores at least `SCORE`: boxes (n, 4), left, top, width, height in pixels, and scores (n,).

    outputs: `cls_8` (1, cells, 1), `obj_8` (1, cells, 1), `bbox_8` (1, cells, 4), and so on for each of `STRIDES`;
    the cells row by row. canvas_size: (h, w), multiples of the strides.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        rows, columns = canvas_size[0] // stride, canvas_size[1] // stride
        likely = [outputs[f"{kind}_{stride}"].reshape(-1).clip(0, 1) for kind in ("cls", "obj")]
        score = np.sqrt(likely[0] * likely[1])
        sure = score >= SCORE
        x, y, w, h = outputs[f"bbox_{stride}"].reshape(-1, 4)[sure].T
        row, column = np.divmod(np.arange(rows * columns)[sure], columns)
        width, height = np.exp(w) * stride, np.exp(h) * stride
        left, top = (column + x) * stride - width / 2, (row + y) * stride - height / 2
        boxes.append(np.stack([left, top, width, height], axis=1))
        scores.append(score[sure])
    return np.concatenate(boxes).astype(np.float32), np.concatenate(scores)


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
