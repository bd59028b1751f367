"""Many photos through one engine: threads decode ahead of it and encode behind it, so that it never waits.

    sources -> decode, resize (threads) -> batches -> engine (the calling thread) -> encode, write (threads) -> report

What can't be read is the photo's failure: it is reported, and the others go on. What can't be written is the run's:
the next photo would meet the same full disk.
"""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ugatit_fast import gallery
from ugatit_fast.backends.base import Heatmaps
from ugatit_fast.choices import Fit, TranslateOptions
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError
from ugatit_fast.files import cause_of
from ugatit_fast.images import Pixels, Source, fit_image, heatmap_overlay, load_image, save_image, unfit_image
from ugatit_fast.machine import available_cores
from ugatit_fast.translator import Translator

Progress = Callable[[int, int], None]
"""Called on the calling thread with the photos done with (written or failed) and the photos in all."""


@dataclass(frozen=True)
class Failure:
    """A photo that couldn't be translated."""

    path: Path
    reason: str
    """One line that names the photo, what is wrong with it and what to do."""


@dataclass
class StageSeconds:
    """Time spent in each stage, summed over the threads that ran it."""

    decode: float = 0.0
    resize: float = 0.0
    engine: float = 0.0
    encode: float = 0.0


@dataclass(frozen=True)
class Report:
    """What a run did; photos are in the order they were given."""

    translated: tuple[Path, ...]
    """The files written, one a photo."""
    failures: tuple[Failure, ...]
    page: Path | None
    """The gallery, where one was asked for."""
    wall_seconds: float
    stages: StageSeconds

    @property
    def images_per_second(self) -> float:
        return len(self.translated) / self.wall_seconds

    @property
    def engine_share(self) -> float:
        """Share of the wall time, 0 to 1, during which the engine was running."""
        return self.stages.engine / self.wall_seconds

    @property
    def speed(self) -> str:
        stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in vars(self.stages).items())
        return (
            f"Speed: {self.images_per_second:.1f} images/s; {len(self.translated)} in {self.wall_seconds:.2f} s, "
            f"{self.engine_share:.0%} of it in the engine ({stages})"
        )


def translate_files(
    translator: Translator,
    sources: Sequence[Source],
    out: Path,
    options: TranslateOptions | None = None,
    *,
    on_progress: Progress | None = None,
) -> Report:
    """Translate photos (from `images.find_images`) into the folder `out`, made if missing, under their relative names.

    Memory does not grow with the number of photos. A photo that can't be read is a `Failure` in the report. Whatever
    ends the run early (Ctrl-C too), every file in `out` is whole.

    Raises InputError for a size the engine doesn't serve, an output that would overwrite a photo of the run or a page
    that isn't ours, and, at once, where `out` can't be written or its disk fills up.
    """
    options = options or TranslateOptions()
    size = _served_size(translator.spec, options)
    _make_writable(out)
    _refuse_overwriting(sources, out, options)
    start = time.perf_counter()
    run = _Run(translator, sources, out, options, size, on_progress or (lambda done, total: None))
    try:
        run.translate_all()
    finally:
        run.pool.shutdown(cancel_futures=True)  # waits for what is being written, and for nothing else
    page = None
    if options.gallery:
        reasons = [failure.reason for failure in run.failures]
        page = gallery.write_page(out, run.translated, reasons, size=size, heatmap=translator.heatmap)
    return Report(
        translated=tuple(out / source.relative for source in run.translated),
        failures=tuple(run.failures),
        page=page,
        wall_seconds=time.perf_counter() - start,
        stages=run.stages,
    )


def refuse_output_among_inputs(inputs: Sequence[str | Path], out: Path) -> None:
    """Raises InputError where `out` is or lies in a folder of `inputs`, whose next run would translate translations."""
    for given in inputs:
        if Path(given).is_dir() and out.resolve().is_relative_to(Path(given).resolve()):
            raise InputError(
                f"the output folder {out} lies in the input folder {given}, whose next run would take translations "
                "for photos; choose one outside it"
            )


# The run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Photo:
    """A photo on its way through the engine."""

    source: Source
    pixels: Pixels
    """What the engine sees."""
    original_size: tuple[int, int]
    """(h, w) before it was fitted to the engine."""
    decode_seconds: float
    resize_seconds: float


@dataclass
class _Run:
    """The state of one run; only the calling thread touches it."""

    translator: Translator
    sources: Sequence[Source]
    out: Path
    options: TranslateOptions
    size: tuple[int, int]
    on_progress: Progress
    translated: list[Source] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    stages: StageSeconds = field(default_factory=StageSeconds)
    writing: deque[Future[float]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        # An engine for any number gets one: on a CPU a batch only adds latency, all cores being busy with one image.
        self.batch_size = max(self.translator.spec.batch_sizes, default=1)
        threads = self.options.threads or available_cores()
        # One pool, so that whichever side of the engine lags behind gets the threads.
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="ugatit-fast")
        # On each side of the engine: the next batch whole, and for each thread one photo in hand and one to come.
        self.depth = self.batch_size + 2 * threads

    def translate_all(self) -> None:
        batch: list[_Photo] = []
        for photo in self.decoded():
            if isinstance(photo, Failure):
                self.failures.append(photo)
                self.tell()
                continue
            batch.append(photo)
            if len(batch) == self.batch_size:
                self.translate_batch(batch)
                batch = []
        if batch:
            self.translate_batch(batch)
        self.settle(0)

    def decoded(self) -> Iterator[_Photo | Failure]:
        """The photos in order, the next `depth` of them being decoded meanwhile."""
        read = partial(_read, size=self.size, fit=self.options.fit)
        reading: deque[Future[_Photo | Failure]] = deque()
        for source in self.sources:
            reading.append(self.pool.submit(read, source))
            if len(reading) > self.depth:
                yield reading.popleft().result()
        while reading:
            yield reading.popleft().result()

    def translate_batch(self, batch: list[_Photo]) -> None:
        pixels = np.stack([photo.pixels for photo in batch])
        start = time.perf_counter()
        result = self.translator.run(pixels)
        self.stages.engine += time.perf_counter() - start
        pictures, heatmaps = result if self.translator.heatmap else (result, [None] * len(batch))
        for photo, picture, heatmap in zip(batch, pictures, heatmaps, strict=True):
            self.stages.decode += photo.decode_seconds
            self.stages.resize += photo.resize_seconds
            self.settle(self.depth - 1)
            self.writing.append(self.pool.submit(_write, self.out, self.options, photo, picture, heatmap))
            self.translated.append(photo.source)

    def settle(self, left: int) -> None:
        """Collect what has been written, waiting until at most `left` pictures have not. Raises what writing raised."""
        while len(self.writing) > left or (self.writing and self.writing[0].done()):
            self.stages.encode += self.writing.popleft().result()
            self.tell()

    def tell(self) -> None:
        self.on_progress(len(self.translated) - len(self.writing) + len(self.failures), len(self.sources))


def _read(source: Source, size: tuple[int, int], fit: Fit) -> _Photo | Failure:
    """Decode a photo and fit it to `size` (h, w). Runs on a thread of the pool."""
    start = time.perf_counter()
    try:
        image = load_image(source.path, at_least=(size[1], size[0]))
    except InputError as error:
        return Failure(source.path, str(error))
    decoded = time.perf_counter()
    pixels = fit_image(image, size, fit)
    resized = time.perf_counter()
    return _Photo(source, pixels, (image.shape[0], image.shape[1]), decoded - start, resized - decoded)


def _write(out: Path, options: TranslateOptions, photo: _Photo, picture: Pixels, heatmap: Heatmaps | None) -> float:
    """Encode and write what comes of a photo; seconds it took. Runs on a thread of the pool."""
    start = time.perf_counter()
    pictures = {out: picture}
    if options.gallery:
        pictures[out / gallery.INPUT_FOLDER] = photo.pixels
    if heatmap is not None:
        pictures[out / gallery.HEATMAP_FOLDER] = heatmap_overlay(photo.pixels, heatmap)
    for folder, pixels in pictures.items():
        save_image(folder / photo.source.relative, unfit_image(pixels, photo.original_size, options.fit))
    return time.perf_counter() - start


# Checks before it -------------------------------------------------------------------------------------------------


def _served_size(spec: EngineSpec, options: TranslateOptions) -> tuple[int, int]:
    size = options.size or (spec.height, spec.width)
    reason = spec.check_size(*size)
    if reason:
        raise InputError(f"cannot translate at {size[0]}x{size[1]}: {reason}")
    return size


def _refuse_overwriting(sources: Sequence[Source], out: Path, options: TranslateOptions) -> None:
    """Raises InputError where a file of the run's would take the place of one of its photos, or of a page not ours."""
    if options.gallery:
        gallery.refuse_foreign_page(out)
    photos = {_identity(source.path): source.path for source in sources}
    photos.pop(None, None)  # a missing photo is its own failure, later
    folders = [out, out / gallery.INPUT_FOLDER, out / gallery.HEATMAP_FOLDER]
    for source in sources:
        if options.gallery and gallery.is_reserved(source.relative):
            raise InputError(
                f"{source.path} has the place of a gallery's own pictures; is its folder an earlier output? "
                "Translate its photos on their own, or without a gallery"
            )
        for target in (folder / source.relative for folder in folders):
            if overwritten := photos.get(_identity(target)):
                raise InputError(f"{target} would overwrite the photo {overwritten}; choose another output folder")


def _identity(path: Path) -> tuple[int, int] | None:
    """What makes two paths one file, through links and on disks that ignore case; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _make_writable(out: Path) -> None:
    """Make the folder and a nameless file in it. Raises InputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except FileExistsError as error:
        raise InputError(f"the output {out} is a file; expected a folder: choose another name") from error
    except OSError as error:
        raise InputError(f"cannot write to the output folder {out}: {cause_of(error)}") from error
