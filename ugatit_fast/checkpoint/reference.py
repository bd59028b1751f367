"""The reference generator on pictures, unrounded: what every engine is measured against."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ugatit_fast.kernels.image import unit_range
from ugatit_fast.media.images import Pixels
from ugatit_fast.model import Reference


@torch.inference_mode()
def reference_pictures(
    generator: Reference, pictures: Pixels, style: NDArray[np.float32] | None = None
) -> tuple[Tensor, Tensor | None]:
    """uint8 (n, h, w, 3) -> pictures (n, 3, h, w) in [-1, 1] and heat maps (n, h / 4, w / 4), where there are any.

    On the device and in the dtype of the generator. style: as for `Reference.pictures`.
    """
    weight = next(generator.parameters())
    given = None if style is None else torch.from_numpy(style)
    return generator.pictures(unit_range(torch.from_numpy(pictures).to(weight.device), weight.dtype), given)
