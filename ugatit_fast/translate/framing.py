"""The part of a photo that is translated: taken out and fitted to the engine, and brought back from its result.

photo -> the part that `crop` names -> what the engine sees (`fit`) -> its result without a border, or pasted back
"""

from dataclasses import dataclass

from ugatit_fast.choices import Box, Fit
from ugatit_fast.errors import InputError
from ugatit_fast.media.fitting import fit_image, paste_image, shown_box, unfit_image
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.turning import Turned, paste_turned, take_turned
from ugatit_fast.translate.faces import FaceFinder, portrait
from ugatit_fast.translate.options import TranslateOptions


@dataclass(frozen=True)
class Framed:
    """A photo as the engine sees it."""

    pixels: Pixels
    """(h, w, 3), of the size that is translated at."""
    photo_size: tuple[int, int]
    """(h, w) of the photo as it was decoded."""
    part: Turned
    """What of the photo was fitted."""


class Framing:
    """How a run's photos meet its engine. Safe to use from several threads at once."""

    def __init__(self, options: TranslateOptions, size: tuple[int, int], faces: FaceFinder | None = None) -> None:
        """size: (h, w) that is translated at. faces: finds them, in place of a detector that is loaded for it.

        Raises as `FaceFinder` does.
        """
        self.size = size
        self.crop = options.crop
        self.fit: Fit = "crop" if options.crop == "center" else options.fit
        self.faces = (faces or FaceFinder(options.face_model)) if options.crop == "face" else None
        whole = isinstance(options.crop, Box) or self.faces is not None or options.paste_back
        self.at_least = None if whole else (size[1], size[0])
        """(w, h) that photos may be decoded at, as `decode_image` takes it; None where their own pixels matter."""

    def frame(self, photo: Pixels, name: str) -> Framed:
        """What the engine is to see of a photo (h, w, 3) called `name`.

        Raises InputError where the photo has no face, or not all of the box that was asked for.
        """
        return self.fitted(photo, self.part(photo, name))

    def part(self, photo: Pixels, name: str) -> Turned:
        height, width = photo.shape[:2]
        if isinstance(self.crop, Box):
            left, top, *sides = self.crop
            if left + sides[0] > width or top + sides[1] > height:
                raise InputError(
                    f"{name} is {width} x {height}, and the box of {sides[0]} x {sides[1]} at {left},{top} reaches "
                    "outside it; choose a box inside"
                )
            return Turned(self.crop)
        if self.faces is not None:
            face = self.faces.largest(photo)
            if face is None:
                raise InputError(
                    f"{name} shows no face that the detector can find; translate all of it, or a box that you choose"
                )
            return portrait(face, (height, width))
        return self.whole(photo)

    @staticmethod
    def whole(photo: Pixels) -> Turned:
        """All of a photo."""
        return Turned(Box(0, 0, photo.shape[1], photo.shape[0]))

    def fitted(self, photo: Pixels, part: Turned) -> Framed:
        """What the engine is to see of a part of a photo (h, w, 3); one that isn't turned lies inside the photo."""
        left, top, width, height = part.box
        taken = take_turned(photo, part) if part.degrees else photo[top : top + height, left : left + width]
        return Framed(fit_image(taken, self.size, self.fit), (photo.shape[0], photo.shape[1]), part)

    def cut(self, result: Pixels, framed: Framed) -> Pixels:
        """The part of a result, or of what the engine saw, that shows the photo."""
        return unfit_image(result, (framed.part.box.height, framed.part.box.width), self.fit)

    def paste(self, photo: Pixels, result: Pixels, framed: Framed) -> Pixels:
        """The photo, with a result in the place of what was translated."""
        box, degrees = framed.part
        shown = shown_box((box.height, box.width), self.size, self.fit)
        if degrees:
            return paste_turned(photo, self.cut(result, framed), framed.part, shown)
        place = Box(box.left + shown.left, box.top + shown.top, shown.width, shown.height)
        return paste_image(photo, self.cut(result, framed), place)
