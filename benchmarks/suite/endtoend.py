"""Photos through a contender, JPEG files to PNG files: one at a time by stage, and a folder through the pipeline."""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

import numpy as np

from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.base import Images
from ugatit_fast.bench import clock
from ugatit_fast.bench.contenders import Case, Contender, Running
from ugatit_fast.bench.environment import file_stem
from ugatit_fast.bench.results import Pipeline, Settings, Spread
from ugatit_fast.bench.session import peak_host_bytes
from ugatit_fast.bench.worker import ContenderFailed, Worker
from ugatit_fast.engine import EngineSpec
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translator import Translated, Translates, Translator

SINGLE_PHOTOS = 20
"""At most, one at a time."""
COPIES = 50
SECONDS_A_PHOTO = 20.0
"""Beyond which a contender is said to hang."""


@dataclass(frozen=True)
class Measured:
    """What the process of one contender found."""

    latency: Spread
    stages_ms: dict[str, float]
    images_per_second: float
    engine_share: float
    host_peak_bytes: int | None


def photo_folder(folder: Path, photos: int) -> Path:
    """A folder of copies of the sample photos."""
    samples = cycle(sample_photos())
    target = folder / f"photos-{photos}"
    target.mkdir(exist_ok=True)
    for i, sample in enumerate(islice(samples, photos)):
        shutil.copyfile(sample, target / f"photo-{i:04}.jpg")
    return target


def measure(contender: Contender, case: Case, file: Path | None, settings: Settings) -> Pipeline:
    """A row, whatever happens."""
    if reason := contender.missing():
        return Pipeline(contender.name, case.network, "missing", reason)
    try:
        if contender.build is not None:
            with Worker() as builder:
                file, _ = builder.ask("build", contender, case, limit_seconds=settings.limit_seconds)
        with Worker() as worker:
            limit = settings.limit_seconds + settings.photos * SECONDS_A_PHOTO
            found: Measured = worker.ask(
                "run", translate_photos, contender, case, file, spec_of(case), settings.photos, limit_seconds=limit
            )
    except ContenderFailed as failed:
        return Pipeline(contender.name, case.network, failed.status, failed.reason)
    return Pipeline(
        contender.name,
        case.network,
        "ok",
        latency=found.latency,
        stages_ms=found.stages_ms,
        folder_photos=settings.photos,
        folder_images_per_second=found.images_per_second,
        folder_engine_share=found.engine_share,
        host_peak_bytes=found.host_peak_bytes,
    )


def spec_of(case: Case) -> EngineSpec:
    """What a rival serves: made here, so that its own process needn't read the checkpoint."""
    from ugatit_fast.checkpoint import read_checkpoint

    network = case.network
    checkpoint = read_checkpoint(case.checkpoint, network.direction)
    return EngineSpec.of(
        checkpoint, kind="eager", any_size=True, size=(network.height, network.width), batch_sizes=(1,)
    )


# In the contender's process ---------------------------------------------------------------------------------------


class RivalTranslator:
    """A rival in the place of a `Translator`."""

    heatmap = False

    def __init__(self, running: Running, spec: EngineSpec) -> None:
        self.running = running
        self.spec = spec

    def translate(self, images: Images) -> Translated:
        return Translated(self.running.run(images), None)


def translate_photos(contender: Contender, case: Case, file: Path | None, spec: EngineSpec, photos: int) -> Measured:
    from ugatit_fast.translate.pipeline import translate_files
    from ugatit_fast.translate.sources import find_images

    translator = open_translator(contender, case, file, spec)
    sources = find_images([photo_folder(case.folder, photos)], ".png")
    out = case.folder / f"translated-{file_stem(contender.name)}"
    out.mkdir(exist_ok=True)
    totals, stages = one_at_a_time(translator, case, [source.path for source in sources[:SINGLE_PHOTOS]], out)
    report = translate_files(translator, sources, out, TranslateOptions(gallery=False))
    if contender.target == "cuda":
        move_copies_out_of_engine(stages, case)
    shutil.rmtree(out)
    return Measured(clock.spread(totals), stages, report.images_per_second, report.engine_share, peak_host_bytes())


def open_translator(contender: Contender, case: Case, file: Path | None, spec: EngineSpec) -> Translates:
    if contender.kind == "ours" and file is not None:
        return Translator(file, device=contender.target, threads=case.network.threads)
    return RivalTranslator(contender.load(case, file), spec)


def one_at_a_time(
    translator: Translates, case: Case, photos: Sequence[Path], out: Path
) -> tuple[list[float], dict[str, float]]:
    """Milliseconds of each photo in all, and the median of each stage; the first photo warms up."""
    from ugatit_fast.media.fitting import fit_image
    from ugatit_fast.media.images import load_image, save_image

    size = (case.network.height, case.network.width)
    totals, stages = [], defaultdict(list)
    for path in [photos[0], *photos]:
        marks = [perf_counter()]
        image = load_image(path, at_least=(size[1], size[0]))
        marks.append(perf_counter())
        pixels = fit_image(image, size, "squash")[None]
        marks.append(perf_counter())
        (translated,) = translator.translate(pixels).pictures
        marks.append(perf_counter())
        save_image(out / "single.png", translated)
        marks.append(perf_counter())
        for stage, seconds in zip(("decode", "resize", "engine", "encode"), np.diff(marks), strict=True):
            stages[stage].append(float(seconds) * 1e3)
        totals.append((marks[-1] - marks[0]) * 1e3)
    return totals[1:], {stage: float(np.median(times[1:])) for stage, times in stages.items()}


def move_copies_out_of_engine(stages: dict[str, float], case: Case) -> None:
    """Time the copies of one picture each way through pinned memory, and take them off the engine's time."""
    import torch

    shape = (1, case.network.height, case.network.width, 3)
    host, device = torch.empty(shape, dtype=torch.uint8).pin_memory(), torch.empty(shape, dtype=torch.uint8).cuda()
    for stage, source, destination in (("copy in", host, device), ("copy out", device, host)):

        def copy(i: int, source: torch.Tensor = source, destination: torch.Tensor = destination) -> None:
            destination.copy_(source, non_blocking=True)
            torch.cuda.synchronize()

        stages[stage] = float(np.median([clock.timed_ms(copy, i) for i in range(COPIES)]))
        stages["engine"] -= stages[stage]
