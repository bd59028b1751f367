"""The first thing people run: from a checkpoint to translated pictures, with what each stage took."""

import time
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.choices import Device
from ugatit_fast.errors import InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.files import cause_of
from ugatit_fast.progress import Say
from ugatit_fast.samples import sample_photos, shipped_weights
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.sources import find_images
from ugatit_fast.translator import Translator

SIZE = (256, 256)
"""Height and width of the demonstration's pictures; a light generator translates at any size."""


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    page: Path
    """The gallery to look at."""
    seconds: dict[str, float]
    """What each stage took."""


def run_demo(folder: Path, say: Say, device: Device = "auto") -> Demo:
    """Shipped weights -> engine -> translated sample photos, in `folder`, on a device as `Translator` takes it.

    Raises InputError where it can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {cause_of(error)}") from error
    clock = Stopwatch()
    built = build_engine(
        shipped_weights(), folder / "photo2cartoon.onnx", size=SIZE, heatmap=True, device=device, say=say
    )
    clock.lap("build and check engine")
    say(built.difference.describe())
    with Translator(built.path, device=device, heatmap=True) as translator:
        clock.lap("load engine")
        translator.warmup()
        clock.lap("first picture")
        report = translate_files(translator, find_images(sample_photos()), folder / "pictures")
        clock.lap(f"translate {len(report.translated)} photos")
    say(report.speed)
    assert report.page is not None
    return Demo(report.page, clock.laps)


class Stopwatch:
    """Seconds between calls of `lap`, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now
