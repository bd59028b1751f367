"""This machine's camera as a reader of frames, by PyAV: V4L2 on Linux, AVFoundation on macOS, DirectShow on Windows."""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ugatit_fast.errors import InputError
from ugatit_fast.media.clip import ClipError
from ugatit_fast.media.video import VideoReader, import_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError

SYSTEMS = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0"), "win32": ("dshow", "video=Camera")}
"""sys.platform -> FFmpeg's name of how cameras are read there, and of the usual one."""


class CameraReader(VideoReader):
    """The frames of a camera; see `VideoReader`. They come as they are taken, without end."""

    threading = "SLICE"  # threads over frames would hold frames back

    def __init__(self, device: str | None = None) -> None:
        """device: FFmpeg's name of the camera; None is the usual one.

        Raises InputError where it is missing, in use, or not to be read; BackendUnavailable without PyAV.
        """
        self.format, usual = system_of(sys.platform)
        self.device = device or usual
        super().__init__(Path(self.device))

    def open(self) -> "InputContainer":
        av = import_av()
        if self.format == "v4l2" and not Path(self.device).exists():
            others = sorted(str(path) for path in Path("/dev").glob("video*"))
            there = f"name one with --device: {', '.join(others)}" if others else "plug one in"
            raise InputError(f"there is no camera {self.device}; {there}")
        try:
            return av.open(self.device, format=self.format)
        except av.FFmpegError as error:
            raise InputError(f"the camera {self.device} can't be opened: {reason_of(error)}") from error

    def ended_early(self, error: "FFmpegError") -> None:
        raise ClipError(f"the camera {self.device} has gone ({error.strerror}); plug it in, and start again")


def system_of(platform: str) -> tuple[str, str]:
    """How cameras are read on a system, and the usual one's name. Raises InputError where nobody knows."""
    try:
        return SYSTEMS[platform]
    except KeyError:
        raise InputError(f"cameras can't be read on {platform}; expected one of {', '.join(SYSTEMS)}") from None


def reason_of(error: "FFmpegError") -> str:
    """Why a camera can't be opened, and what to do."""
    if error.errno == errno.EBUSY:
        return "another program is using it; close that first"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission; on Linux, add yourself to the group video and log in again"
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
        return f"{error.strerror}; check its name, and that it is plugged in"
    return f"{error.strerror}; is it a camera?"
