"""What a detector takes for faces: places of which several may be one face, and how each is turned."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

OVERLAP = 0.3
"""Two candidates that share more than this of their union are one face, the better one."""
UPRIGHT = np.array([-1 - 1j, 1 - 1j, 0 + 0.1j, -0.8 + 1.2j, 0.8 + 1.2j])
"""The five points of an upright face, seen from in front: eyes, nose, corners of the mouth; the viewer's left first.

Complex, x + y i, y downwards, in half distances of the eyes.
"""


class Candidates(NamedTuple):
    """Of one picture."""

    boxes: Floats
    """(n, 4): left, top, width, height in pixels."""
    scores: Floats
    """(n,)."""
    points: Floats
    """(n, 5, 2): x, y of what `UPRIGHT` lists."""

    def distinct(self) -> "Candidates":
        """Of those that overlap, the one with the best score (non-maximum suppression)."""
        kept: list[int] = []
        for index in np.argsort(-self.scores, kind="stable").tolist():
            if all(overlap(self.boxes[index], self.boxes[other]) <= OVERLAP for other in kept):
                kept.append(index)
        return Candidates(self.boxes[kept], self.scores[kept], self.points[kept])


def overlap(one: Floats, other: Floats) -> float:
    """Shared area over joint area, 0 to 1."""
    near, far = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.maximum(far - near, 0)))
    return shared / (float(np.prod(one[2:])) + float(np.prod(other[2:])) - shared)


def tilt(points: Floats) -> float:
    """Degrees, clockwise, in (-180, 180], by which a face with these five points (5, 2) is turned.

    The turn that takes `UPRIGHT`, scaled and moved, closest to them (least squares; Umeyama 1991, in the plane): with
    both centred, the angle of sum(conj(upright) point). All five are steadier than the eyes' line alone where a face is
    far from upright.
    """
    found = points[:, 0] + 1j * points[:, 1]
    return float(np.degrees(np.angle(np.vdot(UPRIGHT - UPRIGHT.mean(), found - found.mean()))))
