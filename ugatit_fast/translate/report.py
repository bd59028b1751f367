"""What a run over photos did: which were translated, which weren't and why, and where the time went."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.translate.sources import PIPE, ZIP_SUFFIX


@dataclass(frozen=True)
class Failure:
    """A photo that couldn't be translated."""

    path: Path
    reason: str
    """One line that names the photo, what is wrong with it and what to do."""


OnFailure = Callable[[Failure], None]
"""Called on the calling thread with each failure as it happens."""


@dataclass
class StageSeconds:
    """Time spent in each stage, summed over the threads that ran it."""

    decode: float = 0.0
    resize: float = 0.0
    """Finding the part to translate, and fitting it to the engine."""
    engine: float = 0.0
    encode: float = 0.0
    """Making files of the engine's results, pasting back included, and writing them."""


@dataclass(frozen=True)
class Report:
    """What a run did; photos are in the order they were given."""

    translated: tuple[Path, ...]
    """The files written, one a photo; where a photo was translated again (`watch_folders`), so often."""
    failures: tuple[Failure, ...]
    out: Path
    """What it wrote to."""
    page: Path | None
    """The gallery, where one was asked for."""
    wall_seconds: float
    """Without the time that nothing was there to translate."""
    stages: StageSeconds
    skipped: int = 0
    """Photos left alone because their translations were there."""
    clips: int = 0
    """How many of those translated are videos and animations."""
    frames: int = 0
    """Frames of clips that were translated, also of clips that failed later."""

    @property
    def images(self) -> int:
        """Photos and frames that were translated."""
        return len(self.translated) - self.clips + self.frames

    @property
    def images_per_second(self) -> float:
        return self.images / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def engine_share(self) -> float:
        """Share of the wall time, 0 to 1, during which the engine was running."""
        return self.stages.engine / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def summary(self) -> str:
        """How many photos had which fate."""
        parts = [f"{len(self.translated)} translated into {self.place}" if self.translated else "0 translated"]
        if self.skipped:
            parts.append(f"{self.skipped} skipped, being there already")
        if self.failures:
            photos = len(self.translated) + self.skipped + len(self.failures)
            parts.append(f"{len(self.failures)} of {photos} failed")
        return ", ".join(parts)

    @property
    def place(self) -> str:
        """Where the translations are: the file, where it is one of a folder."""
        if self.out == PIPE:
            return "stdout"
        one = len(self.translated) == 1 and not self.skipped and self.out.suffix.lower() != ZIP_SUFFIX
        return str(self.translated[0] if one else self.out)

    @property
    def speed(self) -> str:
        stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in vars(self.stages).items())
        return (
            f"Speed: {self.images_per_second:.1f} images/s; {self.images} in {self.wall_seconds:.2f} s, "
            f"{self.engine_share:.0%} of it in the engine ({stages})"
        )
