"""The first thing people run: from a checkpoint to translated pictures, with what each stage took."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ugatit_fast.checkpoint import DIRECTIONS, NETWORKS
from ugatit_fast.errors import InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.verify import sample_photos
from ugatit_fast.files import cause_of, written_whole
from ugatit_fast.images import find_images
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.pipeline import translate_files
from ugatit_fast.translator import Translator

DEMO_CONFIG = GeneratorConfig(light=True)
SEED = 20190725
"""The day the paper appeared."""


def write_random_checkpoint(path: Path, config: GeneratorConfig, seed: int) -> None:
    """A checkpoint in the published format whose weights are random: it translates nothing, but everything runs on it.

    The weights that make gamma are scaled up so that the decoder's activations are as large as a trained network's.
    """
    torch.manual_seed(seed)
    networks = {}
    for direction in DIRECTIONS:
        generator = Generator(config)
        torch.nn.init.normal_(generator.gamma.weight, std=1.0)
        networks[NETWORKS[direction]] = generator.state_dict()
    with written_whole(path) as partial:
        torch.save(networks, partial)


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    page: Path
    """The gallery to look at."""
    seconds: dict[str, float]
    """What each stage took."""


def run_demo(folder: Path, say: Callable[[str], None]) -> Demo:
    """Weights -> engine -> translated sample photos, in `folder`. Raises InputError where it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {cause_of(error)}") from error
    clock = Stopwatch()
    checkpoint = folder / "demo.pt"
    say("no trained weights are shipped yet: these are random, so expect noise in the shape of the photo")
    write_random_checkpoint(checkpoint, DEMO_CONFIG, SEED)
    clock.lap("write weights")
    built = build_engine(checkpoint, folder / "demo.onnx", heatmap=True, say=say)
    clock.lap("build and check engine")
    say(built.difference.describe())
    with Translator(built.path, heatmap=True) as translator:
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
