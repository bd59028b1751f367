"""What of a camera's frames is translated: where faces are looked for, a square that follows the largest one calmly."""

from ugatit_fast.media.images import Pixels
from ugatit_fast.media.turning import Turned
from ugatit_fast.translate.faces import about, portrait, wrapped
from ugatit_fast.translate.framing import Framed, Framing

LOOK_SIDE = 320
"""Longest side that faces are looked for at: half of a photo's, a quarter of the time; people sit close to cameras."""
SHARE = 0.4
"""Of the way to where the face is that the square goes with each frame: detectors tremble, and pictures shouldn't."""
STILL_DEGREES = 1.0
"""What is turned by less isn't turned."""
LOST_FRAMES = 15
"""In a row without a face, after which the whole frame is shown again."""


class Follower:
    """Frames one after the other through a framing; a frame without a face is no failure."""

    def __init__(self, framing: Framing) -> None:
        self.framing = framing
        self.face: Turned | None = None
        self.lost = 0

    def frame(self, photo: Pixels, name: str) -> Framed:
        """What the engine is to see of the next frame (h, w, 3). Raises as `Framing.frame` does, but for faces."""
        if self.framing.faces is None:
            return self.framing.frame(photo, name)
        self.look(self.framing.faces.largest(photo))
        height, width = photo.shape[:2]
        part = portrait(self.face, (height, width)) if self.face else Framing.whole(photo)
        return self.framing.fitted(photo, part)

    def look(self, found: Turned | None) -> None:
        """Follow the face that was found in a frame, if any."""
        self.lost = 0 if found else self.lost + 1
        if found:
            self.face = nearer(self.face, found) if self.face else found
        elif self.lost > LOST_FRAMES:
            self.face = None


def nearer(face: Turned, found: Turned) -> Turned:
    """A face on its way to where it was found; at once, where that is somewhere else altogether."""
    way = found.middle - face.middle
    if abs(way) > max(face.box.width, face.box.height):
        return found
    degrees = wrapped(face.degrees + SHARE * wrapped(found.degrees - face.degrees))
    width, height = (old + SHARE * (new - old) for old, new in zip(face.box[2:], found.box[2:], strict=True))
    return about(face.middle + SHARE * way, (width, height), degrees if abs(degrees) >= STILL_DEGREES else 0.0)
