"""The newest frame, translated, and again: what comes while the engine is busy is dropped, so nothing ever lags.

reader (a thread) -> the newest frame -> engine (the calling thread) -> the newest picture -> whoever looks
"""

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from types import TracebackType

import numpy as np

from ugatit_fast.camera.following import Follower
from ugatit_fast.errors import UgatitFastError
from ugatit_fast.media.clip import ClipError, Frame
from ugatit_fast.media.images import encode_image
from ugatit_fast.media.video import VideoReader
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translator import Translates

STALL_SECONDS = 10.0
"""A camera that sends nothing for so long has gone, whatever it says."""
RATE_SECONDS = 2.0
"""Over how long the rate is taken."""


@dataclass(frozen=True)
class Status:
    """How things are going, as the page is told."""

    running: bool
    message: str
    """Why it ended; empty while it runs."""
    frames_per_second: float
    shown: int
    """Frames translated so far."""
    dropped: int
    """Frames that came while the engine was busy."""


class Live:
    """A reader's frames through an engine, as they come; a context manager."""

    def __init__(self, translator: Translates, reader: VideoReader, framing: Framing, *, paced: bool) -> None:
        """reader: closed when its frames have ended, or nobody wants them any more.

        paced: let frames come at their own times; a camera's do by themselves, a file's don't.
        """
        self.translator, self.reader, self.paced = translator, reader, paced
        self.follower = Follower(framing)
        self.changed = threading.Condition()
        """Guards all that follows."""
        self.newest: Frame | None = None
        self.came = 0
        self.exhausted = False
        self.reader_error: BaseException | None = None
        self.picture = b""
        self.shown = 0
        self.ended = False
        self.message = ""
        self.times: deque[float] = deque()
        self.reading = threading.Thread(target=self.read, name="ugatit-fast-camera", daemon=True)

    def __enter__(self) -> "Live":
        self.reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.changed:
            self.ended = True
            self.message = self.message or (str(error) if isinstance(error, UgatitFastError) else "stopped")
            self.changed.notify_all()
        self.reading.join(timeout=1)  # a camera that hangs can't be waited for

    def run(self) -> None:
        """Translate until the frames end. Raises ClipError where the camera goes, or sends nothing any more."""
        seen = 0
        while (taken := self.take(seen)) is not None:
            frame, seen = taken
            pixels = self.follower.frame(frame.pixels(), str(self.reader.path)).pixels
            (translated,) = self.translator.translate(pixels[None]).pictures
            self.show(encode_image(np.concatenate([pixels, translated], axis=1), ".jpg"))
        with self.changed:
            self.message = self.message or "the video has ended"

    def take(self, seen: int) -> tuple[Frame, int] | None:
        """The newest frame, which isn't number `seen`, waiting for it; None after the last."""
        with self.changed:
            came = self.changed.wait_for(lambda: self.came > seen or self.exhausted or self.ended, STALL_SECONDS)
            if self.reader_error:
                raise self.reader_error
            if not came:
                raise ClipError(f"{self.reader.path} has sent nothing for {STALL_SECONDS:g} s; plug it in again")
            if self.ended or self.came == seen or self.newest is None:
                return None
            return self.newest, self.came

    def show(self, picture: bytes) -> None:
        now = time.monotonic()
        with self.changed:
            self.picture = picture
            self.shown += 1
            self.times.append(now)
            while self.times[0] < now - RATE_SECONDS:
                self.times.popleft()
            self.changed.notify_all()

    def wait_for_newer(self, number: int, timeout: float) -> tuple[int, bytes] | None:
        """A picture after number `number`, as JPEG (what the engine saw, left; what it made of it, right); its number.

        None where none comes within `timeout` seconds, or ever.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.shown > number or self.ended, timeout)
            return (self.shown, self.picture) if self.shown > number else None

    def status(self) -> Status:
        with self.changed:
            span = time.monotonic() - self.times[0] if self.times else 0
            rate = len(self.times) / span if span > 0.2 else 0.0
            return Status(not self.ended, self.message, round(rate, 1), self.shown, max(0, self.came - self.shown))

    def describe(self) -> dict[str, object]:
        """The status as JSON has it."""
        return asdict(self.status())

    def read(self) -> None:
        """Keep the newest frame. Runs on the reader's thread."""
        start = time.monotonic()
        try:
            with (
                self.reader
            ):  # closed by the thread that reads: another would pull it away from under a camera's driver
                for frame in self.reader.frames():
                    due = start + float(frame.start * self.reader.time_base)
                    with self.changed:
                        if self.paced:
                            self.changed.wait_for(lambda: self.ended, max(0.0, due - time.monotonic()))
                        if self.ended:
                            return
                        self.newest = frame
                        self.came += 1
                        self.changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes frames
            self.reader_error = error
        with self.changed:
            self.exhausted = True
            self.changed.notify_all()
