"""What the stand-ins for TensorRT's runtimes read at the addresses that they were told."""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def feeds(session: Any, addresses: Mapping[str, int], image: tuple[int, ...]) -> dict[str, NDArray[np.generic]]:
    """The inputs of an ONNX Runtime session: pictures of that shape, and a style where it takes one."""
    shapes: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {"image": (image, np.uint8)}
    shapes |= {one.name: (tuple(one.shape), np.float32) for one in session.get_inputs() if one.name == "style"}
    read = {name: np.empty(*shape) for name, shape in shapes.items()}
    for name, array in read.items():
        ctypes.memmove(array.ctypes.data, addresses[name], array.nbytes)
    return read
