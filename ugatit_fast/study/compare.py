"""The run: engines and photos -> a report.

    methods -> opened -> what an earlier run left is kept -> photos, then each method's pictures -> times -> distances

What goes wrong with a method is its own failure, and with a photo that photo's: both are told, and the others go on.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from ugatit_fast.backends.base import Images
from ugatit_fast.bench.environment import machine, now
from ugatit_fast.bench.results import Spread
from ugatit_fast.choices import Loading, places_of
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError, PlaceError, UgatitFastError
from ugatit_fast.files import make_folder
from ugatit_fast.machine import cache_folder
from ugatit_fast.media.folders import IMAGE_SUFFIXES
from ugatit_fast.progress import Phased, Say
from ugatit_fast.serve.turns import turns_of
from ugatit_fast.study.figures import write_table
from ugatit_fast.study.names import data_set_of, folders_of, name_of, stamp_of
from ugatit_fast.study.opening import Named, Opened, open_all, refuse_names
from ugatit_fast.study.options import CompareOptions
from ugatit_fast.study.page import write_page
from ugatit_fast.study.report import (
    METHODS,
    PHOTOS,
    SCHEMA_VERSION,
    Comparison,
    Method,
    Photo,
    claim,
    picture_file,
    remove_stale,
    write_report,
)
from ugatit_fast.study.styles import asked_of, in_styles
from ugatit_fast.study.timing import interleaved
from ugatit_fast.train.evaluation.protocols import Measure
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.refusals import refuse_output_among_inputs
from ugatit_fast.translate.sources import ClipSource, Source, find_images
from ugatit_fast.translator import Translated, Translates
from ugatit_fast.version import __version__

PICTURE_SUFFIX = ".png"
TIMED_PHOTOS = 4
"""Different photos that the clock sees; the engines' work doesn't depend on them."""


@dataclass(frozen=True)
class Target:
    """What translations are measured against."""

    pictures: Path
    """A folder, or an .npz file of features."""
    measure: Measure


class Untranslated:
    """Stands in for an engine: gives the photos back, for the column of what the methods saw."""

    heatmap = False

    def __init__(self, spec: EngineSpec) -> None:
        """spec: of an engine that serves the size."""
        self.spec = spec

    def translate(self, images: Images) -> Translated:
        return Translated(images, None)


def compare(
    named: Sequence[Named],
    photos: str,
    out: Path,
    options: CompareOptions,
    loading: Loading,
    *,
    target: Target | None = None,
    say: Say = lambda _: None,
    on_progress: Phased = lambda *_: None,
) -> Comparison:
    """Translate the photos by every method, into a report in the folder `out`; what went wrong is in its `failures`.

    photos: as `find_images` takes them. loading: its style is one more of `options.style`. say: called with each
    failure as it happens. A run that was cut off goes on.

    Raises InputError for fewer than two methods or methods of one name, for what is no style of a method, where there
    are no photos, for a folder that isn't ours to write to, and where there is a target and it can't be measured
    against; and what is wrong where no method can be opened.
    """
    before = claim(out)
    columns = columns_of(named, options, loading, before)
    sources = sources_of(photos)
    refuse_output_among_inputs([photos, *([str(target.pictures)] if target else [])], out)
    if target:
        from ugatit_fast.study.distance import refuse_unmeasurable  # takes PyTorch

        refuse_unmeasurable(target.pictures, target.measure, say)
    with ExitStack() as stack:
        run = Run(out, options, loading, say, on_progress)
        run.open(columns, stack)
        run.begin(photos, sources, before)
        run.translate(sources)
        run.time(sources)
    if target:
        run.measure(target)
    return run.finish()


def columns_of(
    named: Sequence[Named], options: CompareOptions, loading: Loading, before: Comparison | None
) -> list[Named]:
    """Each method in each of its styles."""
    said = [*options.style, *([loading.style] if loading.style is not None else [])]
    names = [method.name for method in before.methods] if before else []
    columns = in_styles(named, asked_of(said, [one.name for one in named]), names, trust_plan=loading.trust_plan)
    refuse_names(columns)
    return columns


def sources_of(photos: str) -> list[Source]:
    found = find_images([photos], PICTURE_SUFFIX)
    clips = [source for source in found if isinstance(source, ClipSource)]
    if len(clips) == len(found):
        raise InputError(f"{photos} holds no photos; expected files ending in {' '.join(IMAGE_SUFFIXES)}")
    if clips:
        names = ", ".join(clip.path.name for clip in clips[:3]) + (" ..." if len(clips) > 3 else "")
        warnings.warn(f"{photos} holds videos or animations, which are left out: {names}", stacklevel=1)
    return [source for source in found if not isinstance(source, ClipSource)]


class Run:
    """One comparison in the making."""

    def __init__(self, out: Path, options: CompareOptions, loading: Loading, say: Say, on_progress: Phased) -> None:
        self.out, self.options, self.loading, self.say, self.on_progress = out, options, loading, say, on_progress
        self.methods: dict[str, Method] = {}
        self.opened: dict[str, Opened] = {}
        self.photos: dict[PurePath, Photo] = {}
        self.folders: set[Path] = {Path.cwd(), Path.home(), cache_folder()}
        """Of this machine: what the report says leaves them out."""

    # Before ---------------------------------------------------------------------------------------------------------

    def open(self, named: Sequence[Named], stack: ExitStack) -> None:
        """Load every engine. Raises what is wrong where none can be."""
        for one in named:
            self.folders |= {Path(one.weights).parent, *([one.engine.parent] if isinstance(one.engine, Path) else [])}
        folders = folders_of([one.name for one in named])
        self.methods = {one.name: Method(one.name, folders[one.name]) for one in named}
        self.opened, refused = open_all(named, self.options.size, self.loading, stack)
        for name, opened in self.opened.items():
            self.methods[name] = replace(self.methods[name], engine=opened.engine)
        for name, why in refused.items():
            self.fail(name, why)

    def begin(self, photos: str, sources: Sequence[Source], before: Comparison | None) -> None:
        """Say in the folder what is going to be in it, and remove what an earlier run left that isn't that."""
        self.photos = {
            source.relative: Photo(name_of(source, photos), source.relative.as_posix(), stamp_of(source))
            for source in sources
        }
        largest = max((one.size for one in self.opened.values()), key=lambda size: size[0] * size[1])
        self.comparison = Comparison(
            kind="comparison",
            schema=SCHEMA_VERSION,
            made_with=__version__,
            finished=False,
            started=now(),
            machine=machine().name,
            data_set=self.options.data_set or data_set_of(photos),
            target_name=self.options.target_name or self.known_target(),
            fit=self.options.fit,
            height=largest[0],
            width=largest[1],
            notes=tuple(self.notes()),
        )
        self.folders |= {source.path.parent for source in sources}
        make_folder(self.out)
        if before is not None:
            self.take_over(before)
            remove_stale(self.out, before, self.so_far())
        write_report(self.out, self.so_far())

    def take_over(self, before: Comparison) -> None:
        """Keep what an earlier run made of a method that can't be had now: its pictures stay, its times don't."""
        earlier = {method.folder: method for method in before.methods}
        for name, method in self.methods.items():
            if method.engine is None and (then := earlier.get(method.folder)):
                self.methods[name] = replace(method, engine=then.engine)

    def known_target(self) -> str:
        turns = (turns_of(one.translator.spec, None) for one in self.opened.values())
        return next((pair[1] for pair in turns if pair), "")

    def notes(self) -> list[str]:
        """What makes methods less alike than they look."""
        engines = [one.engine for one in self.opened.values()]
        notes = []
        if len({engine.direction for engine in engines}) > 1:
            words = ", ".join(f"{name} {one.translator.spec.direction}" for name, one in self.opened.items())
            notes.append(f"the engines say that they translate in different directions: {words}")
        if len({engine.height / engine.width for engine in engines}) > 1 and self.options.fit == "crop":
            notes.append(
                "methods of different shapes see different parts of a photo; --fit pad or squash shows all of it to all"
            )
        return notes

    # Pictures -------------------------------------------------------------------------------------------------------

    def translate(self, sources: Sequence[Source]) -> None:
        """Each photo as it is seen, then as each method translates it; pictures that are there are kept."""
        largest = next(
            one for one in self.opened.values() if one.size == (self.comparison.height, self.comparison.width)
        )
        spec = replace(largest.translator.spec, heatmap=False, batch_sizes=())
        unread = self.run_of(Untranslated(spec), largest.size, self.out / PHOTOS, sources, "photos")
        self.comparison = replace(self.comparison, unread=tuple(map(self.homeless, unread.values())))
        for relative, reason in unread.items():
            self.say(reason)
            del self.photos[relative]
        readable = [source for source in sources if source.relative in self.photos]
        if not readable:
            raise InputError("none of the photos can be read; what is wrong with each is said above")
        for name, one in list(self.opened.items()):
            folder = self.out / METHODS / self.methods[name].folder
            try:
                for relative, reason in self.run_of(one.translator, one.size, folder, readable, name).items():
                    self.say(f"{name}: {reason}")
                    self.photo_fails(relative, name, self.homeless(reason))
            except PlaceError:
                raise
            except UgatitFastError as error:
                self.fail(name, error)
        for method in self.methods.values():
            for source in readable if method.failure else ():
                if not picture_file(self.out, method, self.photos[source.relative]).exists():
                    self.photo_fails(source.relative, method.name, method.failure or "")
        write_report(self.out, self.so_far())

    def run_of(
        self, translator: Translates, size: tuple[int, int], folder: Path, sources: Sequence[Source], phase: str
    ) -> dict[PurePath, str]:
        """Photo -> why it could not be translated."""
        report = translate_files(
            translator,
            sources,
            folder,
            TranslateOptions(
                fit=self.options.fit,
                size=size,
                gallery=False,
                skip_existing=True,
                keep_metadata="none",
                threads=self.loading.threads,
            ),
            on_progress=partial(self.on_progress, phase),
        )
        failed = {failure.path: failure.reason for failure in report.failures}
        return {source.relative: failed[source.path] for source in sources if source.path in failed}

    # Figures --------------------------------------------------------------------------------------------------------

    def time(self, sources: Sequence[Source]) -> None:
        if not self.options.rounds or not self.opened:
            return
        readable = [source for source in sources if source.relative in self.photos]
        seen = [source.load() for source in readable[:TIMED_PHOTOS]]
        fitted = {}
        for name, one in self.opened.items():
            framing = Framing(TranslateOptions(fit=self.options.fit), one.size)
            fitted[name] = one.translator, [framing.frame(photo, "").pixels[None] for photo in seen]
        for name, result in interleaved(fitted, self.options.rounds, partial(self.on_progress, "times")).items():
            if isinstance(result, Spread):
                self.methods[name] = replace(self.methods[name], times=result)
            else:
                self.fail(name, result)

    def measure(self, target: Target) -> None:
        from ugatit_fast.study.distance import distances

        write_report(self.out, self.so_far())
        made = [(method.name, self.out / METHODS / method.folder) for method in self.so_far().made()]
        notes: dict[str, None] = dict.fromkeys(self.comparison.notes)
        found = distances(
            made,
            target.pictures,
            self.out / PHOTOS,
            target.measure,
            places_of(self.loading.device).kind,
            self.say,
            self.on_progress,
        )
        for name, measured, of_method in found:
            if isinstance(measured, InputError):
                self.fail(name, measured)
                continue
            self.methods[name] = replace(self.methods[name], distances=tuple(measured))
            notes |= dict.fromkeys(of_method)
        self.comparison = replace(self.comparison, notes=tuple(notes))

    # After ----------------------------------------------------------------------------------------------------------

    def fail(self, name: str, error: UgatitFastError) -> None:
        """Tell why a method doesn't go on."""
        self.say(f"{name}: {error}")
        self.methods[name] = replace(self.methods[name], failure=self.homeless(str(error)))
        self.opened.pop(name, None)

    def homeless(self, text: str) -> str:
        """A message without the folders of this machine: reports are passed on."""
        paths = {str(path) for folder in self.folders for path in (folder, folder.resolve()) if path.name}
        for path in sorted(paths, key=len, reverse=True):
            text = text.replace(path + os.sep, "")
        return text

    def photo_fails(self, relative: PurePath, name: str, reason: str) -> None:
        photo = self.photos[relative]
        self.photos[relative] = replace(photo, failures={**photo.failures, name: reason})

    def so_far(self) -> Comparison:
        return replace(self.comparison, methods=tuple(self.methods.values()), photos=tuple(self.photos.values()))

    def finish(self) -> Comparison:
        self.comparison = replace(self.comparison, finished=True)
        found = self.so_far()
        write_table(self.out, found)
        write_page(self.out, found)
        write_report(self.out, found)
        return found
