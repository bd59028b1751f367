"""The first thing people run: the sample photos through the shipped engine, with what each stage took."""

import time
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.assets import sample_photos, shipped_engine
from ugatit_fast.files import make_folder
from ugatit_fast.progress import Say
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.sources import find_images
from ugatit_fast.translator import Translator


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    page: Path
    """The gallery to look at."""
    seconds: dict[str, float]
    """What each stage took."""


def run_demo(folder: Path, say: Say, device: str = "auto") -> Demo:
    """Translate the sample photos into `folder`, on a device as `Translator` takes it.

    Needs ONNX Runtime, and neither PyTorch nor a build.

    Raises BackendUnavailable without it, and InputError where the folder can't be written to.
    """
    make_folder(folder)
    clock = Stopwatch()
    with Translator(shipped_engine(), device=device, heatmap=True) as translator:
        clock.lap("load engine")
        translator.warmup()
        clock.lap("first picture")
        report = translate_files(translator, find_images(sample_photos()), folder)
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
