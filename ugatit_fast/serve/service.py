"""Photo files in, picture files out: one engine behind its queue, with threads that decode and encode around it.

photo -> decode, fit (threads) -> batcher -> engine (its thread) -> cut, encode (threads) -> answer
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice, repeat
from pathlib import PurePath
from time import perf_counter
from typing import IO, Literal, Protocol, TypeVar
from zipfile import ZipFile

import numpy as np

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.styles import Style
from ugatit_fast.errors import InputError
from ugatit_fast.machine import available_cores
from ugatit_fast.media.images import Pixels, decode_image, encode_image
from ugatit_fast.media.tiles import heatmap_overlay
from ugatit_fast.serve.batching import Batcher, Overloaded, Places, Translated
from ugatit_fast.serve.forms import Picture
from ugatit_fast.serve.metrics import Metrics
from ugatit_fast.serve.problems import Problem
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.serve.uploads import Photo, refuse_endless_jpeg
from ugatit_fast.translate.faces import FaceFinder
from ugatit_fast.translate.framing import Framed, Framing
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.sources import output_name
from ugatit_fast.translator import GivenStyle, Translates
from ugatit_fast.translator import Translated as Results
from ugatit_fast.translator.styles import numbers_in

FAILURES = "failures.json"
SIDE_SUFFIX = ".jpg"
"""Of what comes beside a translation of a photo's own size, which as PNG would take seconds."""
Part = Literal["input", "translation", "heatmap"]
"""A picture that comes of a photo: what was translated, what became of it, and where the network looked."""


Result = TypeVar("Result")
Done = TypeVar("Done")


class Served(Translates, Protocol):
    """What a server needs of a translator."""

    def translate(self, images: Images, style: Style | None = None) -> Results:
        """As `Translates`, in a style, of an engine that draws in styles."""

    def style_of(self, style: "GivenStyle | None") -> Style | None:
        """The numbers of a style. Raises InputError."""

    @property
    def device(self) -> str:
        """Where it computes, in words."""

    def warmup(self) -> None:
        """Run once, so that the first request pays for nothing but itself."""


@dataclass(frozen=True)
class StyledRun:
    """What translates in a style; equal for equal styles, so that their pictures share batches."""

    run: Callable[[Pixels, Style], list[Translated]]
    style: tuple[float, ...]

    def __call__(self, pictures: Pixels) -> list[Translated]:
        return self.run(pictures, np.array(self.style, np.float32))


class Service:
    """One direction's engine."""

    def __init__(
        self,
        translator: Served,
        settings: ServeSettings,
        *,
        places: Places,
        engine_thread: Executor,
        threads: Executor,
        metrics: Metrics,
        faces: FaceFinder | None,
    ) -> None:
        """places, engine_thread, threads and faces are shared with the other direction.

        faces: finds them; None where none is asked for.
        """
        self.translator = translator
        self.spec = translator.spec
        self.settings = settings
        self.places = places
        self.threads = threads
        self.metrics = metrics
        self.faces = faces
        self.max_batch = settings.max_batch or max(self.spec.batch_sizes, default=1)
        self.batcher = Batcher(
            self.run_batch,
            engine_thread,
            max_batch=self.max_batch,
            max_wait_s=settings.max_wait_ms / 1000,
            on_batch=partial(metrics.count_batch, self.spec.direction),
        )
        metrics.queue_depth.labels(self.spec.direction).set_function(lambda: len(self.batcher.waiting))

    async def translate(
        self,
        photo: Photo,
        options: TranslateOptions,
        suffix: str,
        parts: Sequence[Part] = ("translation",),
        *,
        style: Style | None = None,
        patient: bool = False,
    ) -> dict[Part, Picture]:
        """The parts asked for, the translation in the format `suffix`; no heat map where the engine computes none.

        options: what of them `asked.treatment` reads, of a size that the engine serves.
        style: as from `style`; the translator's own unless given.
        patient: wait for a place rather than being refused. Raises Problem: 422 for what can't be decoded, 503 where
        all places are taken, 504 where it takes too long.
        """
        try:
            async with self.places.one(patient=patient), asyncio.timeout(self.settings.timeout_s):
                framing = Framing(options, options.size or (self.spec.height, self.spec.width), self.faces)
                framed = await self.on_a_thread(
                    "decode", lambda: framing.frame(self.decoded(photo, framing), photo.name)
                )
                run = None if style is None else StyledRun(self.run_batch, tuple(style.tolist()))
                translated = await self.batcher.translate(framed.pixels, run)
                made = partial(self.pictures, photo, framing, framed, translated, pasted=options.paste_back)
                return await self.on_a_thread("encode", lambda: encoded(made(parts), suffix, pasted=options.paste_back))
        except InputError as error:
            raise Problem(422, str(error)) from error
        except Overloaded as error:
            raise self.busy() from error
        except TimeoutError as error:
            took = f"took more than {self.settings.timeout_s:g} s"
            raise Problem(504, f"{photo.name} {took}; the server is busy: try again later") from error

    async def translate_all(
        self,
        photos: Sequence[Photo],
        options: TranslateOptions,
        suffix: str,
        into: IO[bytes],
        *,
        style: Style | None = None,
    ) -> int:
        """Write a zip archive of the translations, named as their photos, and return how many photos failed.

        What is wrong with those is in its file `FAILURES`. Raises the first one's Problem where none was translated.
        """
        names = output_names(photos, suffix)
        failures: list[tuple[Photo, Problem]] = []
        work = (partial(self.translate, photo, options, suffix, style=style, patient=True) for photo in photos)
        ahead = self.max_batch + available_cores()
        with ZipFile(into, "w") as archive:
            async with aclosing(in_order(work, ahead)) as outcomes:
                async for index, outcome in outcomes:
                    if isinstance(outcome, Problem):
                        failures.append((photos[index], outcome))
                    else:
                        archive.writestr(names[index], outcome["translation"].content)
            if failures:
                reasons = [{"photo": photo.name, "reason": problem.detail} for photo, problem in failures]
                archive.writestr(FAILURES, json.dumps(reasons, indent=2, ensure_ascii=False))
        if len(failures) == len(photos):
            raise failures[0][1]
        return len(failures)

    def busy(self) -> Problem:
        retry_after_s = self.batcher.retry_after_s()
        return Problem(
            503, f"{self.places.count} photos are in hand already; try again in {retry_after_s} s",
            {"Retry-After": str(retry_after_s)},
        )  # fmt: skip

    def style(self, asked: str | None) -> Style | None:
        """The numbers of a style that a request asks for; None where it asks for none. Raises Problem (422)."""
        if asked is None:
            return None
        said = numbers_in(asked)
        if said is None:
            raise Problem(
                422, "a style is a seed such as 7, or numbers such as 0.3,-1.2,...: /v1/style sees a picture's"
            )
        try:
            return self.translator.style_of(said)
        except InputError as error:
            raise Problem(422, str(error)) from error

    async def style_seen(self, photo: Photo) -> Style:
        """The style of a picture of the target domain. Raises Problem (422)."""

        def seen() -> Style | None:
            content = photo.open()
            refuse_endless_jpeg(content, photo.name)
            max_pixels = int(self.settings.max_megapixels * 1e6)
            at_least = (self.spec.width, self.spec.height)
            return self.translator.style_of(decode_image(content, photo.name, at_least=at_least, max_pixels=max_pixels))

        try:
            style = await self.on_a_thread("style", seen)
        except InputError as error:
            raise Problem(422, str(error)) from error
        assert style is not None, "what is given has one"
        return style

    def run_batch(self, pictures: Pixels, style: Style | None = None) -> list[Translated]:
        translate = self.translator.translate
        translated, heatmaps = translate(pictures) if style is None else translate(pictures, style)
        each = repeat(None, len(pictures)) if heatmaps is None else heatmaps
        return [Translated(*one) for one in zip(translated, each, strict=True)]

    async def on_a_thread(self, stage: str, work: Callable[[], Result]) -> Result:
        start = perf_counter()
        result = await asyncio.get_running_loop().run_in_executor(self.threads, work)
        self.metrics.stage_seconds.labels(stage).observe(perf_counter() - start)
        return result

    def decoded(self, photo: Photo, framing: Framing) -> Pixels:
        content = photo.open()
        refuse_endless_jpeg(content, photo.name)
        max_pixels = int(self.settings.max_megapixels * 1e6)
        return decode_image(content, photo.name, at_least=framing.at_least, max_pixels=max_pixels)

    def pictures(
        self,
        photo: Photo,
        framing: Framing,
        framed: Framed,
        translated: Translated,
        parts: Sequence[Part],
        *,
        pasted: bool,
    ) -> dict[Part, Pixels]:
        """The parts asked for, without a border; `pasted` into the photo, which is decoded once more for it."""
        made: dict[Part, Pixels] = {"input": framed.pixels, "translation": translated.picture}
        if translated.heatmap is not None:
            made["heatmap"] = heatmap_overlay(framed.pixels, translated.heatmap)
        wanted = {part: made[part] for part in parts if part in made}
        if not pasted:
            return {part: framing.cut(picture, framed) for part, picture in wanted.items()}
        whole = self.decoded(photo, framing)
        return {
            part: whole if part == "input" else framing.paste(whole, picture, framed)
            for part, picture in wanted.items()
        }


async def in_order(
    work: Iterable[Callable[[], Coroutine[object, object, Done]]], ahead: int
) -> AsyncGenerator[tuple[int, Done | Problem], None]:
    """The outcomes of `work`, numbered, in order; at most `ahead` of it is under way. Ends what it started."""
    running: deque[asyncio.Task[Done]] = deque()
    waiting = iter(work)
    done = 0
    try:
        while True:
            running.extend(asyncio.create_task(one()) for one in islice(waiting, ahead - len(running)))
            if not running:
                return
            task = running[0]
            try:
                yield done, await task
            except Problem as problem:
                yield done, problem
            running.popleft()
            done += 1
    finally:
        for task in running:
            task.cancel()


def output_names(photos: Sequence[Photo], suffix: str) -> list[str]:
    """A name for each translation, unlike all others; those that are taken get a number."""
    names: dict[str, None] = {FAILURES: None}
    for photo in photos:
        name = output_name(PurePath(photo.name), suffix)
        candidates = (name.with_stem(f"{name.stem}-{number}") for number in count(2))
        names[next(str(one) for one in chain([name], candidates) if str(one) not in names)] = None
    return list(names)[1:]


def encoded(pictures: Mapping[Part, Pixels], suffix: str, *, pasted: bool) -> dict[Part, Picture]:
    """Pictures as files, the translation in the format `suffix`."""
    suffixes = {part: SIDE_SUFFIX if pasted and part != "translation" else suffix for part in pictures}
    return {part: Picture(encode_image(picture, suffixes[part]), suffixes[part]) for part, picture in pictures.items()}
