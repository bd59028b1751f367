"""Methods as they were asked for -> engines that are loaded, or why they aren't."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.extras import libraries_needed
from ugatit_fast.choices import Loading
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError, UgatitFastError
from ugatit_fast.study.names import sha256_of
from ugatit_fast.study.options import FEWEST_METHODS
from ugatit_fast.study.report import Engine, Style
from ugatit_fast.translator import Translated, Translates, Translator


@dataclass(frozen=True)
class Named:
    """A method as it was asked for."""

    name: str
    engine: Path | UgatitFastError
    """Its file; or why there is none."""
    weights: str = ""
    """What was named, where that isn't the file."""
    style: Style | None = None
    """That it is to draw in; None where it draws in one only."""


class InStyle:
    """An engine in one of its styles; others may draw in others with it."""

    heatmap = False

    def __init__(self, translator: Translator, style: Style) -> None:
        self.translator, self.style = translator, np.array(style.numbers, np.float32)

    @property
    def spec(self) -> EngineSpec:
        return self.translator.spec

    def translate(self, images: Images) -> Translated:
        return self.translator.translate(images, self.style)


@dataclass(frozen=True)
class Opened:
    """A method's engine, loaded."""

    engine: Engine
    translator: Translates
    size: tuple[int, int]


@dataclass(frozen=True)
class Loaded:
    """An engine that has run once, for as many methods as it is."""

    engine: Engine
    translator: Translator
    size: tuple[int, int]

    def drawing(self, style: Style | None) -> Opened:
        if style is None:
            return Opened(self.engine, self.translator, self.size)
        return Opened(replace(self.engine, style=style), InStyle(self.translator, style), self.size)


def refuse_names(named: Sequence[Named]) -> None:
    if len(named) < FEWEST_METHODS:
        raise InputError(f"compare takes {FEWEST_METHODS} methods or more, got {len(named)}; of one: translate")
    names = [method.name for method in named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two methods are called {twice[0]}; give each a name: NAME=ENGINE")


def open_all(
    named: Sequence[Named], size: tuple[int, int] | None, loading: Loading, stack: ExitStack
) -> tuple[dict[str, Opened], dict[str, UgatitFastError]]:
    """The engines by their methods' names, and what is wrong with the others. Raises what is wrong where none opens.

    An engine of several methods is loaded once.
    size: (height, width) for those that serve any. stack: closes them.
    """
    opened: dict[str, Opened] = {}
    loaded: dict[Path, Loaded] = {}
    refused: dict[str, UgatitFastError] = {}
    for one in named:
        try:
            if isinstance(one.engine, UgatitFastError):
                raise one.engine
            if one.engine not in loaded:
                with libraries_needed():
                    loaded[one.engine] = load(one.engine, size, loading, stack)
            opened[one.name] = loaded[one.engine].drawing(one.style)
        except UgatitFastError as error:
            refused[one.name] = error
    if not opened:
        raise of_all(refused)
    return opened, refused


def load(file: Path, wanted: tuple[int, int] | None, loading: Loading, stack: ExitStack) -> Loaded:
    """Raises as `Translator` does, and InputError for a size that it doesn't serve."""
    translator = Translator(
        file,
        device=loading.device,
        threads=loading.threads,
        tune=loading.tune,
        trust_plan=loading.trust_plan,
    )
    stack.callback(translator.close)
    spec = translator.spec
    size = wanted if wanted and spec.any_size else (spec.height, spec.width)
    if reason := spec.check_size(*size):
        raise InputError(f"{file} cannot translate at {size[0]}x{size[1]}: {reason}")
    translator.warmup()
    engine = Engine(
        file=file.name,
        sha256=sha256_of(file),
        bytes=file.stat().st_size,
        architecture=spec.network.architecture if spec.network else "",
        kind=spec.kind,
        precision=spec.precision,
        direction=spec.direction,
        height=size[0],
        width=size[1],
        device=translator.device,
    )
    return Loaded(engine, translator, size)


def of_all(refused: Mapping[str, UgatitFastError]) -> UgatitFastError:
    """One error for all methods, none of which can be opened."""
    reasons = {str(error) for error in refused.values()}
    if len(reasons) == 1:
        return next(iter(refused.values()))
    return InputError("no method can be opened: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))
