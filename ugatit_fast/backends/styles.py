"""Styles of engines that draw in them: drawn by a seed, or seen in a picture by the encoder that an engine carries.

The encoder runs once a style, not once a picture, and needs NumPy alone, so that it is the same beside every runtime:
convolutions with reflected borders and ReLU, the mean over pixels, and one linear layer (MUNIT, arXiv 1804.04732).
Beside two of them there may be a shortcut, and the ReLU may have a slope below zero (DRIT++, arXiv 1905.01270).
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load

from ugatit_fast.choices import drawn_style
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError
from ugatit_fast.files import STYLE_ENCODER, description_in_onnx

if TYPE_CHECKING:
    from ugatit_fast.media.images import Pixels

Style = NDArray[np.float32]
"""(length,): `EngineSpec.style_length` numbers."""
BAND_BYTES = 2**26
"""Most of the windows of a convolution that are held at once."""


def style_for(spec: EngineSpec, style: Style | None) -> Style | None:
    """What an engine is given: the style, or the one that is drawn unless another is asked for; None where it takes
    none.
    """
    if not spec.style_length:
        return None
    return drawn_style(spec.style_length) if style is None else style


def style_seen(engine: Path, picture: "Pixels") -> Style:
    """The style of a picture, uint8 (h, w, 3) RGB with sides of at least 32, by the encoder in an engine file.

    Raises EngineError where there is none.
    """
    try:
        tensors = encoder_of(engine)
    except (SafetensorError, OSError, ValueError) as error:
        raise EngineError(f"{engine} has a damaged style encoder ({error}); build it again") from error
    if not tensors:
        raise EngineError(f"{engine} has no style encoder, which sees the style of a picture; give a seed or numbers")
    last = sum(name.endswith(".kernel") for name in tensors) - 1
    x = picture.astype(np.float32) / np.float32(127.5) - 1
    made: list[NDArray[np.float32]] = []
    for i in range(last):
        layer = f"{STYLE_ENCODER}.{i}"
        y = convolved(x, tensors[f"{layer}.kernel"], tensors[f"{layer}.bias"])
        if f"{layer}.shortcut" in tensors:
            y += halved(made[-2]) @ tensors[f"{layer}.shortcut"][:, :, 0, 0].T
        made = [*made[-1:], y]
        x = np.maximum(y, y * tensors.get(f"{layer}.slope", np.float32(0)))
    kernel, bias = (tensors[f"{STYLE_ENCODER}.{last}.{name}"] for name in ("kernel", "bias"))
    style: Style = kernel[:, :, 0, 0] @ x.mean(axis=(0, 1), dtype=np.float64).astype(np.float32) + bias
    return style


def encoder_of(engine: Path) -> Mapping[str, NDArray[np.float32]]:
    """Its tensors, by name; none where the engine has no encoder."""
    with engine.open("rb") as file:
        in_safetensors = file.read(9)[8:9] == b"{"
    if not in_safetensors:
        text = description_in_onnx(engine, STYLE_ENCODER)
        return {} if text is None else load(base64.b64decode(text, validate=True))
    with safe_open(engine, "np") as found:
        return {name: found.get_tensor(name) for name in found.keys() if name.startswith(STYLE_ENCODER)}  # noqa: SIM118


def convolved(x: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[np.float32]:
    """A convolution with a reflected border: of 4x4 to half the sides, of others in place. x (h, w, c)."""
    outputs, _, size, _ = kernel.shape
    stride = 2 if size == 4 else 1
    pad = (size - stride) // 2
    bordered = np.pad(x, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    windows = sliding_window_view(bordered, (size, size), axis=(0, 1))[::stride, ::stride]  # h, w, c, size, size
    matrix = kernel.reshape(outputs, -1).T
    rows = max(1, BAND_BYTES // (4 * windows.shape[1] * matrix.shape[0]))
    bands = [windows[i : i + rows].reshape(-1, matrix.shape[0]) @ matrix for i in range(0, len(windows), rows)]
    return (np.concatenate(bands) + bias).reshape(*windows.shape[:2], outputs)


def halved(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of four pixels; a last line that has no neighbour is left out. x (h, w, c)."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    fours = x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    means: NDArray[np.float32] = fours.mean(axis=(1, 3))
    return means
