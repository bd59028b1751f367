"""What a server allows and how it batches."""

from dataclasses import dataclass, field
from pathlib import Path

from ugatit_fast.choices import Crop, Fit, check_choice
from ugatit_fast.errors import InputError

SHORTEST_KEY = 16
"""Characters of an API key; a shorter one can be guessed."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How the app treats requests. Where it listens is the host process's business (`Listening`).

    A wait for a batch begins with its first photo. An engine for CPUs serves any number at once, and a batch there only
    adds latency. Photos are in hand from decoding to encoding, and what comes beyond `max_queue` gets 503. The size of
    a picture is told by its header, before it is decoded: 64 megapixels let phones of 50 through. An upload's pace is
    `uploads.PACE_BYTES`.
    """

    max_batch: int | None = None
    """Most photos in one call of the engine: its largest batch size, or 1 for an engine for CPUs, unless given."""
    max_wait_ms: float = 5.0
    """How long an idle engine waits for a batch to fill."""
    max_queue: int = 64
    """Photos in hand at once; beyond them requests are told when to come back."""
    timeout_s: float = 60.0
    """Most that a photo may take once its upload is complete."""
    body_timeout_s: float = 20.0
    """How long an upload may take, and as long again for every MiB that has come."""
    max_upload_mib: int = 32
    """Largest photo file."""
    max_archive_mib: int = 256
    """Largest batch of photos, as sent and unpacked."""
    max_files: int = 200
    """Most photos in a batch."""
    max_megapixels: float = 64.0
    """Largest photo that is decoded."""
    max_side: int = 512
    """Longest side to translate at, in pixels, that requests may ask of an engine for any size."""
    fit: Fit = "crop"
    """What to do with photos of another shape, where the request doesn't say."""
    crop: Crop | None = None
    """Part of photos that is translated, where the request doesn't say: center, face, or box=X,Y,W,H in pixels."""
    face_model: Path | None = None
    """YuNet's .onnx file (2023mar), to find faces with in place of the extra `face`."""
    paste_back: bool = False
    """Put translations back into their photos, where the request doesn't say."""
    turns: tuple[str, str] | None = None
    """What A2B turns into what, in the plural, for the page to say: selfies "anime faces". Known of weights that are on
    the list, and of the pair in the package."""
    threads: int | None = None
    """Threads that decode and encode in each process; one a core unless given."""
    api_key: str | None = field(default=None, repr=False)
    """What clients must send as `Authorization: Bearer KEY`; None lets everyone in."""
    hosts: tuple[str, ...] = ()
    """Names that requests may call this server by, so that no foreign page can reach it under a name of its own; empty
    is any."""

    def __post_init__(self) -> None:
        """Raises InputError for a setting that can't work, BackendUnavailable where nothing finds faces to crop to."""
        check_choice("fit", self.fit, Fit)
        if self.crop == "face":
            from ugatit_fast.translate.faces import detector  # takes NumPy, which --help does without

            detector(self.face_model)
        if self.max_wait_ms < 0:
            raise InputError(f"max wait must be at least 0 ms, got {self.max_wait_ms:g}")
        for name in ("timeout_s", "body_timeout_s", "max_megapixels"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name.replace('_', ' ')} must be more than 0, got {getattr(self, name):g}")
        for name in ("max_batch", "max_queue", "max_upload_mib", "max_archive_mib", "max_files", "max_side", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name.replace('_', ' ')} must be at least 1, got {value}")
        key = self.api_key
        if key is not None and (len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key):
            raise InputError(
                f"an API key is at least {SHORTEST_KEY} ASCII characters without spaces; make one: openssl rand -hex 32"
            )
