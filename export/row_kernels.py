"""Convolution kernels as the matrices that pixel rows are multiplied by."""

import numpy as np
from numpy.typing import NDArray

GROUP = 4
"""Neighbouring pixels that the first and the last convolution compute at once: three channels leave units idle."""


def phases_in_3x3(phases: NDArray[np.float32]) -> NDArray[np.float32]:
    """2x2 phase kernels (4 o, i, 2, 2) as 3x3 ones (4 o, i, 3, 3): phase (a, b) reads from row a and column b on."""
    outputs = phases.shape[0] // 4
    kernels = np.zeros((*phases.shape[:2], 3, 3), np.float32)
    for a in (0, 1):
        for b in (0, 1):
            part = slice((2 * a + b) * outputs, (2 * a + b + 1) * outputs)
            kernels[part, :, a : a + 2, b : b + 2] = phases[part]
    return kernels


def kernels_of_a_group(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """(o, i, k, k) -> (k * (3 + k) * i, 4 * o): four neighbouring outputs from k lines of 3 + k pixels."""
    outputs, inputs, size, _ = weight.shape
    matrix = np.zeros((size, GROUP + size - 1, inputs, GROUP, outputs), np.float32)
    for o in range(GROUP):
        matrix[:, o : o + size, :, o] = weight.transpose(2, 3, 1, 0)
    return matrix.reshape(-1, GROUP * outputs)


def row_kernels_of_a_group(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row form (3 k, i, 1, k) -> ((3 + k) * i, 4 * k * 3): the k triples of four neighbouring pixels."""
    inputs, size = weight.shape[1], weight.shape[3]
    by_row = weight[:, :, 0].reshape(size, 3, inputs, size)
    matrix = np.zeros((GROUP + size - 1, inputs, GROUP, size, 3), np.float32)
    for o in range(GROUP):
        matrix[o : o + size, :, o] = by_row.transpose(3, 2, 0, 1)
    return matrix.reshape(-1, GROUP * size * 3)


def colour_sums(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row form (3 k, i, 1, k) -> (3, i): all taps of a colour."""
    return weight.sum((2, 3)).reshape(-1, 3, weight.shape[1]).sum(0)
