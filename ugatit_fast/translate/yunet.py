"""YuNet (`face_detection_yunet_2023mar.onnx`), a face detector that the user brings: what it says, as boxes.

It looks at three grids, of 8, 16 and 32 pixels a cell, and says for each cell how sure it is that a face is centred
there (`cls`, `obj`, in [0, 1]), and where the face (`bbox`) and its eyes, nose and corners of the mouth (`kps`) lie
about the cell. With (row, column) of a cell of `stride` pixels, its bbox (x, y, w, h) and kps (u, v), the face has

    centre (column + x, row + y) * stride        width, height (exp w, exp h) * stride        score sqrt(cls * obj)
    points (column + u, row + v) * stride
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ugatit_fast.media.images import Pixels
from ugatit_fast.translate.candidates import Candidates, Floats

STRIDES = (8, 16, 32)
SCORE = 0.7
"""Least score of a face."""


class Yunet:
    """As `ugatit_fast.translate.faces.Network` says."""

    expected = "YuNet's .onnx, face_detection_yunet_2023mar.onnx"
    names = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)

    def content(self, path: Path) -> bytes:
        return path.read_bytes()

    def batch(self, canvas: Pixels) -> Floats:
        """Blue first, 0 to 255."""
        return np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)

    def candidates(self, outputs: Mapping[str, Floats], canvas_size: tuple[int, int]) -> Candidates:
        """Every cell that scores at least `SCORE`.

        outputs: `cls_8` (1, cells, 1), `obj_8` (1, cells, 1), `bbox_8` (1, cells, 4), `kps_8` (1, cells, 10), and so on
        for each of `STRIDES`; the cells row by row.
        """
        boxes, scores, points = [], [], []
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
            cell = np.stack([column, row], axis=1)[:, None]
            points.append((cell + outputs[f"kps_{stride}"].reshape(-1, 5, 2)[sure]) * stride)
        return Candidates(*(np.concatenate(each).astype(np.float32) for each in (boxes, scores, points)))
