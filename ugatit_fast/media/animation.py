"""Animated GIF, WebP and PNG, by Pillow: frames with their durations in, frames and a loop count out.

    file -> frames, one at a time, each whole: disposal and blending are done -> pictures -> file

Pillow decodes frame by frame, but writes pictures only once all of them are there: hence `MAX_PIXELS_KEPT`.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType

from PIL import Image, ImageFile

from ugatit_fast.errors import InputError
from ugatit_fast.files import refuse_special, written_whole
from ugatit_fast.media.clip import ClipError, Frame, Picture
from ugatit_fast.media.colour import of_photo
from ugatit_fast.media.formats import recognise
from ugatit_fast.media.images import ENCODERS, MAX_PIXELS, upright_pixels

FORMATS = ("GIF", "WEBP", "PNG")
"""What Pillow calls the formats that can be animated."""

ANIMATION_SUFFIXES = (".gif", ".webp", ".png")
"""What an animation can be written as."""

MAX_FRAMES = 100_000
"""Most frames that an animation may have; no honest one has as many, and counting them takes a while."""

MAX_PIXELS_KEPT = 200_000_000
"""Most pixels that a written animation may have, all frames together: 3051 frames of 256x256. In memory, 1.2 GB."""

TOO_SHORT_MS, USUAL_MS = 10, 100
"""Frames that are shown for no longer than the one are shown for the other, by all browsers."""

MILLISECONDS = Fraction(1, 1000)


def is_animated(path: Path) -> bool:
    """Whether a file is a GIF, WebP or PNG of several frames, by its content. One that can't be read is not."""
    try:
        refuse_special(path)
        with path.open("rb") as file:
            name, decoder = recognise(file, str(path))
            return name in FORMATS and bool(getattr(decoder(file, str(path)), "is_animated", False))
    except Exception:  # noqa: BLE001 - what is wrong with the file is told when its turn comes
        return False


class AnimationReader:
    """The frames of an animated picture; a context manager. Times are in milliseconds."""

    time_base = MILLISECONDS
    rate = Fraction(10)
    sound: Path | None = None
    tags: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        """Raises ClipError for what isn't a GIF, WebP or PNG, or is too large."""
        self.path = path
        self.broken = 0
        refuse_special(path)
        try:
            self.file = path.open("rb")
        except OSError as error:
            raise ClipError(f"{path} can't be read ({error.strerror}); check its name and permissions") from error
        try:
            self.image = self.open_image()
        except BaseException:
            self.file.close()
            raise
        self.plays = plays_of(self.image)
        self.colours = of_photo(self.image, self.file)

    def open_image(self) -> ImageFile.ImageFile:
        try:
            _, decoder = recognise(self.file, str(self.path))
            image = decoder(self.file, str(self.path))
            # A PNG's first picture may be none of its frames, but what is shown where animations aren't.
            self.first = int(bool(image.info.get("default_image")))
            self.expected = max(0, frame_count(image) - self.first)
        except InputError as error:
            raise ClipError(str(error)) from error
        except Exception as error:  # as in images.decode_image
            raise ClipError(f"{self.path} is damaged ({error}); copy or export it again") from error
        if image.width * image.height > MAX_PIXELS:
            raise ClipError(
                f"{self.path} is {image.width} x {image.height}; expected at most {MAX_PIXELS // 10**6} megapixels: "
                "make it smaller first"
            )
        if self.expected > MAX_FRAMES:
            raise ClipError(f"{self.path} has {self.expected} frames; expected at most {MAX_FRAMES}: make a video")
        return image

    def frames(self) -> Iterator[Frame]:
        """The frames in order, up to the first that is damaged: later ones are painted over those before them."""
        time = 0
        for index in range(self.first, self.first + (self.expected or MAX_FRAMES)):
            try:
                self.image.seek(index)
                self.image.load()
                image = self.image.copy()
            except Exception:  # noqa: BLE001 - Pillow's decoders meet damaged data with almost every exception
                self.broken = max(1, self.first + self.expected - index)
                return
            duration = shown_ms(round(self.image.info.get("duration", 0)))
            yield Frame(time, duration, partial(upright_pixels, image, self.colours))
            time += duration

    def __enter__(self) -> "AnimationReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


class AnimationWriter:
    """Writes an animated GIF, WebP or PNG, as the target's suffix says; all of the file appears, or none."""

    finished = 0

    def __init__(self, target: Path, time_base: Fraction, plays: int, expected: int) -> None:
        """time_base: seconds, of the frames' durations. plays: how often it is shown; 0 is for ever.

        expected: frames that will come; 0 where nobody knows.
        """
        self.target = target
        self.format, self.options = ENCODERS.get(target.suffix.lower(), ("GIF", {}))
        self.unit = 10 if self.format == "GIF" else 1
        """Milliseconds in which the format counts."""
        self.scale = time_base / MILLISECONDS / self.unit
        self.plays = plays
        self.expected = expected

    def skip(self, frame: Frame) -> None:
        """Nothing is ever there from an earlier run."""

    def write(self, pictures: Iterator[Picture]) -> None:
        """Write all of `pictures`, at least one. Raises ClipError where they are too many or too large."""
        images, durations = self.collected(pictures)
        with written_whole(self.target) as partial_file:
            try:
                images[0].save(
                    partial_file,
                    self.format,
                    save_all=True,
                    append_images=images[1:],
                    duration=durations,
                    **self.options,
                    **loop_setting(self.format, self.plays),
                )
            except (ValueError, RuntimeError) as error:  # formats have a largest side: 16383 for WebP
                raise ClipError(f"{self.target}: {self.format} can't hold this animation ({error})") from error

    def collected(self, pictures: Iterator[Picture]) -> tuple[list[Image.Image], list[int]]:
        """All pictures, with their durations in milliseconds."""
        images: list[Image.Image] = []
        durations: list[int] = []
        time = Fraction(0)
        for frame, pixels in pictures:
            images.append(Image.fromarray(pixels))
            if max(len(images), self.expected) * pixels.shape[0] * pixels.shape[1] > MAX_PIXELS_KEPT:
                raise ClipError(
                    f"{self.target} would have more than {MAX_PIXELS_KEPT / 1e6:g} megapixels, all frames together; "
                    "write a video (-o NAME.mp4), or fewer frames (--stride 2)"
                )
            # Rounded in sum, so that a film of 33.37 ms a frame isn't late at its end.
            end = time + frame.duration * self.scale
            durations.append((round(end) - round(time)) * self.unit)
            time = end
        return images, durations


def shown_ms(duration: int) -> int:
    """How long browsers show a frame whose file says `duration` milliseconds."""
    return USUAL_MS if duration <= TOO_SHORT_MS else duration


def frame_count(image: ImageFile.ImageFile) -> int:
    """Frames, as far as the file tells; 0 where it is damaged on the way to its end."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - as in frames
        return 0


def plays_of(image: Image.Image) -> int:
    """How often an animation is shown, 0 for ever. A GIF counts repeats, and says nothing where there are none."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return int(loop or 0)


def loop_setting(format_name: str, plays: int) -> dict[str, object]:
    if format_name != "GIF":
        return {"loop": plays}
    return {} if plays == 1 else {"loop": max(0, plays - 1)}
