"""The kinds of batches people have, and uint8 pictures: there and back.

uint8 (n, h, w, 3), or floating point (n, 3, h, w) in [-1, 1]; NumPy, or torch on any device
"""

import sys
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.backends.base import Heatmaps, Images
from ugatit_fast.errors import InputError

if TYPE_CHECKING:
    import torch

AnyArray: TypeAlias = NDArray[np.generic]
"""An array of whatever dtype."""
Batch: TypeAlias = "AnyArray | torch.Tensor"
RANGE_SLACK = 1e-3
"""How far beyond [-1, 1] a batch may stray by rounding; it is clipped."""


def check_shape(shape: tuple[int, ...], dtype: str) -> None:
    """InputError where a batch of this shape and dtype is of neither form."""
    if dtype == "uint8" and (len(shape) != 4 or shape[3] != 3):
        raise InputError(f"a uint8 batch must be (n, h, w, 3) RGB, got shape {shape}{hint(shape)}")
    if dtype.startswith(("float", "bfloat")) and (len(shape) != 4 or shape[1] != 3):
        raise InputError(f"a floating point batch must be (n, 3, h, w) RGB, got shape {shape}{hint(shape)}")
    if not dtype.startswith(("uint8", "float", "bfloat")):
        raise InputError(f"a batch must be uint8 (n, h, w, 3) or floating point (n, 3, h, w), got {dtype}")


def hint(shape: tuple[int, ...]) -> str:
    """What to do about a wrong shape."""
    if len(shape) == 4 and (shape[1] == 3) != (shape[3] == 3):
        return "; uint8 batches have the colours last, floating point ones after n"
    return ""


def check_range(low: float, high: float) -> None:
    """InputError where floating point values aren't in [-1, 1], or aren't numbers."""
    if not (low >= -1 - RANGE_SLACK and high <= 1 + RANGE_SLACK):
        raise InputError(
            f"a floating point batch must lie in [-1, 1], got [{low:.4g}, {high:.4g}]; "
            "scale 0..255 by x / 127.5 - 1, or 0..1 by 2 x - 1"
        )


# Through the host --------------------------------------------------------------------------------------------------


def to_images(batch: Batch) -> Images:
    """A batch of any kind as uint8 (n, h, w, 3), C-contiguous. Raises InputError."""
    array = batch if isinstance(batch, np.ndarray) else to_numpy(batch)
    check_shape(array.shape, str(array.dtype))
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.size:
        check_range(float(array.min()), float(array.max()))
    levels = np.rint((np.clip(array, -1, 1).astype(np.float32) + 1) * 127.5)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def to_numpy(batch: object) -> AnyArray:
    """A torch tensor as an array (bfloat16 as float32); anything else is an InputError."""
    if not is_tensor(batch):
        raise InputError(f"a batch must be a NumPy array or a torch tensor, got {type(batch).__name__}")
    batch = batch.detach().cpu()
    array: AnyArray = (batch.float() if str(batch.dtype) == "torch.bfloat16" else batch).numpy()
    return array


def is_tensor(batch: object) -> "TypeGuard[torch.Tensor]":
    """Whether it is of torch, which isn't imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(batch, torch.Tensor)


def like(batch: Batch, images: Images) -> Batch:
    """`images` in the type, dtype, layout and device of `batch`."""
    if isinstance(batch, np.ndarray):
        return images if batch.dtype == np.uint8 else to_unit_range(images).astype(batch.dtype)
    import torch

    result = torch.from_numpy(images if batch.dtype == torch.uint8 else to_unit_range(images))
    return result.to(device=batch.device, dtype=batch.dtype)


def beside(batch: Batch, heatmaps: Heatmaps) -> Batch:
    """Heat maps in the library and on the device of `batch`."""
    if isinstance(batch, np.ndarray):
        return heatmaps
    import torch

    return torch.from_numpy(heatmaps).to(batch.device)


def to_unit_range(images: Images) -> NDArray[np.float32]:
    """uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [-1, 1]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(127.5) - np.float32(1)


# On the device -----------------------------------------------------------------------------------------------------


def is_on_gpu(batch: object, number: int | None) -> "TypeGuard[torch.Tensor]":
    """Whether a batch is a CUDA tensor on the GPU of that number; None is any."""
    return is_tensor(batch) and batch.is_cuda and number in (None, batch.device.index)


def tensor_to_images(batch: "torch.Tensor") -> "torch.Tensor":
    """As `to_images`, without leaving the device."""
    import torch

    from ugatit_fast.kernels.image import image_of

    check_shape(tuple(batch.shape), str(batch.dtype).removeprefix("torch."))
    if batch.dtype == torch.uint8:
        return batch.contiguous()
    if batch.numel():
        check_range(*(float(end) for end in torch.aminmax(batch.detach())))
    return image_of(batch.detach().clamp(-1, 1))


def tensor_like(batch: "torch.Tensor", images: "torch.Tensor") -> "torch.Tensor":
    """As `like`, without leaving the device."""
    import torch

    from ugatit_fast.kernels.image import unit_range

    return images if batch.dtype == torch.uint8 else unit_range(images, batch.dtype).contiguous()
