"""The up-sampling convolution, second half: four phases of low resolution woven into one image of twice the size.

nearest x2 -> reflect 1 -> convolution 3x3 computes, for the output pixel (2 i + a, 2 j + b), a 2x2 convolution of the
replicate-padded input at (i + a, j + b) whose taps are sums of the 3x3 ones (rewrite 3 in docs/design.md). One 2x2
convolution with 4 k outputs gives all four; this operation takes each from its place:

    y[c, 2 i + a, 2 j + b] = phases[(2 a + b) k + c, i + a, j + b]

A normalisation that follows can read the phases where they lie (`phases=True` of `ugatit::adalin`): no kernel of its
own, and one write and one read of the two largest activations of the network less.
"""

import torch
from torch import Tensor

from ugatit_fast.kernels.checks import check_activation
from ugatit_fast.kernels.launch import memory_format_of
from ugatit_fast.kernels.phase_layout import check_phases, image_shape, interleaved


@torch.library.custom_op("ugatit::interleave_phases", mutates_args=())
def interleave_phases(phases: Tensor) -> Tensor:
    """phases (n, 4 k, h + 1, w + 1), any float dtype -> (n, k, 2 h, 2 w) in its memory format.

    Raises ValueError where the channels aren't a multiple of four or the image is smaller than 2x2.
    """
    check_activation("interleave_phases", "phases", phases)
    check_phases("interleave_phases", phases)
    return interleaved(phases)


@interleave_phases.register_kernel("cuda")
def _(phases: Tensor) -> Tensor:
    from ugatit_fast.kernels.pointwise_launch import interleave_on_gpu

    check_activation("interleave_phases", "phases", phases)
    check_phases("interleave_phases", phases)
    y = interleaved(phases) if phases.dtype == torch.float64 else interleave_on_gpu(phases)
    return y.contiguous(memory_format=memory_format_of(phases))


@interleave_phases.register_fake
def _(phases: Tensor) -> Tensor:
    shape = image_shape(phases, True)
    return torch.empty(shape, dtype=phases.dtype, device=phases.device, memory_format=memory_format_of(phases))
