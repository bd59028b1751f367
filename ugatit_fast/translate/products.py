"""What is made of a photo: its translation, or the published seven tiles.

    what the engine sees, in batches -> passes through the engine (`run`) -> pictures with their names (`pictures`)

A product says what to ask the engine, on the thread that drives it, and what to make of the answer, on any other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import PurePath
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from ugatit_fast.backends.base import Images
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.media.folders import HEATMAP_FOLDER, INPUT_FOLDER
from ugatit_fast.media.images import Pixels
from ugatit_fast.media.tiles import Heatmap, Pass, heatmap_overlay, stack_tiles
from ugatit_fast.translate.framing import Framed, Framing
from ugatit_fast.translate.sources import Source
from ugatit_fast.translator import Translated, Translates

Made = TypeVar("Made")
"""What the engine made of one picture."""


class Product(Protocol[Made]):
    """What a run makes of each photo."""

    def run(self, batch: Images) -> Sequence[Made]:
        """The engine's part: what `pictures` needs to know, for each picture of a batch (n, h, w, 3)."""

    def pictures(self, source: Source, framed: Framed, made: Made) -> Iterator[tuple[PurePath, Pixels]]:
        """The rest: every picture to write, with its name in the output. Called from several threads at once.

        Raises InputError where the photo has changed meanwhile.
        """


@dataclass(frozen=True)
class Translation:
    """The translation of each photo; beside it, what the network saw and where it looked."""

    translator: Translates
    framing: Framing
    paste_back: bool
    gallery: bool
    """Whether what the network saw is written too, for the page to show."""

    def run(self, batch: Images) -> list[tuple[Pixels, Heatmap | None]]:
        pictures, heatmaps = self.translator.translate(batch)
        each: Iterable[Heatmap | None] = repeat(None, len(pictures)) if heatmaps is None else heatmaps
        return list(zip(pictures, each, strict=True))

    def pictures(
        self, source: Source, framed: Framed, made: tuple[Pixels, Heatmap | None]
    ) -> Iterator[tuple[PurePath, Pixels]]:
        picture, heatmap = made
        yield (
            source.relative,
            self.pasted(source, framed, picture) if self.paste_back else self.framing.cut(picture, framed),
        )
        if self.gallery:
            yield INPUT_FOLDER / source.relative, self.framing.cut(framed.pixels, framed)
        if heatmap is not None:
            overlay = heatmap_overlay(framed.pixels, heatmap)
            yield HEATMAP_FOLDER / source.relative, self.framing.cut(overlay, framed)

    def pasted(self, source: Source, framed: Framed, picture: Pixels) -> Pixels:
        photo = source.load()  # once more: the photos on their way through the engine would take gigabytes
        if photo.shape[:2] != framed.photo_size:
            raise InputError(f"{source.path} has changed while it was being translated; translate it again")
        return self.framing.paste(photo, picture, framed)


@runtime_checkable
class WayBack(Protocol):
    """An engine of the other direction that knows how to come back from a translation before it is rounded, too."""

    def there_and_back(self, photos: Images) -> Translated:
        """Photos (n, h, w, 3) to the other domain and back, with the heat maps of the way back."""


@dataclass(frozen=True)
class Stack:
    """The published test picture of each photo, in the place of its translation: see `tiles.stack_tiles`.

    The way back begins at the translation as it is written, in 8 bits, unless `back` is a `WayBack`.
    """

    translator: Translates
    back: Translates
    """The engine of the other direction."""
    framing: Framing

    def __post_init__(self) -> None:
        if not (self.translator.heatmap and self.back.heatmap):
            raise InputError("tiles show heat maps: load both engines with heatmap=True")
        there, back = self.translator.spec.direction, self.back.spec.direction
        if there == back:
            raise EngineError(f"tiles need engines of both directions, and both of these are {there}")

    def run(self, batch: Images) -> list[tuple[Pass, Pass, Pass]]:
        translated = self.translator.translate(batch)
        identity = self.back.translate(batch)
        if isinstance(self.back, WayBack):
            cycle = self.back.there_and_back(batch)
        else:
            cycle = self.back.translate(translated.pictures)
        return list(zip(passes(identity), passes(translated), passes(cycle), strict=True))

    def pictures(
        self, source: Source, framed: Framed, made: tuple[Pass, Pass, Pass]
    ) -> Iterator[tuple[PurePath, Pixels]]:
        tiles = np.split(stack_tiles(framed.pixels, *made), 1 + 2 * len(made))
        yield source.relative, np.concatenate([self.framing.cut(tile, framed) for tile in tiles])


def passes(translated: Translated) -> list[Pass]:
    """A batch with heat maps, picture by picture."""
    assert translated.heatmaps is not None, "checked when the product was made"
    return [Pass(*made) for made in zip(translated.pictures, translated.heatmaps, strict=True)]
