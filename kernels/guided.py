"""The guided filter: what was drawn, smoothed but for the edges of the picture that it was drawn from.

    A = (mean(x y) - mean(x) mean(y)) / (mean(x x) - mean(x) mean(x) + EPS)       x: the picture, y: what was drawn
    b = mean(y) - A mean(x)
    result = mean(A) x + mean(b)

mean: of 3x3 pixels, those inside the picture. He et al., Guided Image Filtering (ECCV 2010), of each colour by itself.
All of it in float32: of values in [-1, 1] the differences of means err by 1e-7, beside an EPS of 5e-3; float16 errs by
a tenth of EPS. One kernel would read 15 and write 3 bytes a pixel; plain PyTorch, which it is on every device, moves
about 860, at three channels a small part of what the network before it does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.kernels.image import COLOURS, check_rows, image_of, sum_of_rows, unit_range

EPS = 5e-3
"""Below this variance, in [-1, 1], the picture counts as even."""


def mean(x: Tensor) -> Tensor:
    """(n, c, h, w), of each pixel and its neighbours."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def guided_filter(picture: Tensor, drawn: Tensor) -> Tensor:
    """Both float (n, 3, h, w) in [-1, 1]; the result alike, and as far outside of that as what was drawn."""
    x, y = picture, drawn
    mean_x, mean_y, mean_xy, mean_xx = mean(torch.cat([x, y, x * y, x * x], dim=1)).chunk(4, dim=1)
    a = (mean_xy - mean_x * mean_y) / (mean_xx - mean_x * mean_x + EPS)
    mean_a, mean_b = mean(torch.cat([a, mean_y - a * mean_x], dim=1)).chunk(2, dim=1)
    return mean_a * x + mean_b


def guided_rows(rows: Tensor, bias: Tensor | None, kernel_rows: int, image: Tensor) -> Tensor:
    """Finish the last convolution, as in `rows_to_image`, and filter instead of taking tanh.

    rows, bias, kernel_rows: as there; image: the picture that the network was given, uint8 (n, h, w, 3).
    Returns float32 (n, 3, h, w) in [-1, 1], float64 of rows in float64. Raises ValueError where a shape doesn't fit.
    """
    check_rows(rows, bias, kernel_rows)
    drawn = sum_of_rows(rows, bias, kernel_rows)
    if image.shape != (len(drawn), *drawn.shape[2:], COLOURS):
        raise ValueError(f"guided_rows: image must be (n, h, w, 3) like {tuple(drawn.shape)}, got {tuple(image.shape)}")
    return guided_filter(unit_range(image, drawn.dtype), drawn).clamp(-1, 1)


def guided_rows_to_image(rows: Tensor, bias: Tensor | None, kernel_rows: int, image: Tensor) -> Tensor:
    """`guided_rows` as uint8 (n, h, w, 3), rounded half to even."""
    return image_of(guided_rows(rows, bias, kernel_rows, image))
