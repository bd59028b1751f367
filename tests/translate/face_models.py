"""Networks with the inputs and outputs of YuNet (2023mar), which find faces, upright ones, where they are told to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Sure:
    """A face centred on the top left corner of a cell."""

    stride: int
    row: int
    column: int
    face: tuple[float, float]
    """Width and height in pixels."""


def write_yunet(path: Path, faces: "Sequence[Sure] | Literal['blue']") -> Path:
    """Write a network for a canvas of 64 x 64, or of any size if it finds no faces.

    faces: where it finds faces; "blue": a face of one cell for each cell of 8 pixels in whose middle the first channel
    is above 200.
    """
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:  # type: ignore[type-arg]
        constants.append(numpy_helper.from_array(value, name))
        return name

    constant("zero", np.zeros((), np.float32))
    constant("level", np.full((), 200, np.float32))
    for stride in STRIDES:
        cells = 64 // stride
        sure = np.zeros((1, cells * cells, 1), np.float32)
        bbox = np.zeros((1, cells * cells, 4), np.float32)
        for face in faces if not isinstance(faces, str) else ():
            if face.stride == stride:
                cell = face.row * cells + face.column
                sure[0, cell] = 1
                bbox[0, cell, 2:] = [math.log(length / stride) for length in face.face]
        if faces == "blue" and stride == 8:
            for name, values in (("starts", [0, 0, 4, 4]), ("ends", [1, 1, 64, 64]), ("steps", [1, 1, 8, 8])):
                constant(name, np.array(values, np.int64))
            constant("axes", np.array([0, 1, 2, 3], np.int64))
            constant("as_cells", np.array([1, -1, 1], np.int64))
            nodes += [
                helper.make_node("Slice", ["input", "starts", "ends", "axes", "steps"], ["middles"]),
                helper.make_node("Reshape", ["middles", "as_cells"], ["by_cell"]),
                helper.make_node("Greater", ["by_cell", "level"], ["is_blue"]),
                helper.make_node("Cast", ["is_blue"], ["sure_8"], to=TensorProto.FLOAT),
            ]
        elif not faces:  # as many cells as the canvas has
            constant(f"ones_{stride}", np.zeros((1, 3, stride, stride), np.float32))
            constant(f"as_cells_{stride}", np.array([1, -1, 1], np.int64))
            nodes += [
                helper.make_node("Conv", ["input", f"ones_{stride}"], [f"grid_{stride}"], strides=[stride, stride]),
                helper.make_node("Reshape", [f"grid_{stride}", f"as_cells_{stride}"], [f"sure_{stride}"]),
            ]
        else:
            constant(f"sure_{stride}", sure)
        nodes += [helper.make_node("Identity", [f"sure_{stride}"], [f"{kind}_{stride}"]) for kind in ("cls", "obj")]
        if not faces:
            nodes.append(helper.make_node("Concat", [f"sure_{stride}"] * 4, [f"bbox_{stride}"], axis=2))
        else:
            nodes.append(helper.make_node("Identity", [constant(f"boxes_{stride}", bbox)], [f"bbox_{stride}"]))
        if not faces:
            nodes.append(helper.make_node("Concat", [f"sure_{stride}"] * 10, [f"kps_{stride}"], axis=2))
        else:
            upright = np.tile(np.float32([-1, -1, 1, -1, 0, 0, -1, 1, 1, 1]), (1, cells * cells, 1))
            nodes.append(helper.make_node("Identity", [constant(f"points_{stride}", upright)], [f"kps_{stride}"]))

    sides = [64, 64] if faces else ["height", "width"]
    outputs = [
        helper.make_tensor_value_info(f"{kind}_{stride}", TensorProto.FLOAT, [1, None, None])
        for kind in ("cls", "obj", "bbox", "kps")
        for stride in STRIDES
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *sides])
    graph = helper.make_graph(nodes, "yunet", [image], outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
