"""Methods as they were asked for -> engines that are loaded, or why they aren't."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.backends.extras import libraries_needed
from ugatit_fast.choices import Loading
from ugatit_fast.errors import InputError, UgatitFastError
from ugatit_fast.study.names import sha256_of
from ugatit_fast.study.options import FEWEST_METHODS
from ugatit_fast.study.report import Engine
from ugatit_fast.translator import Translates, Translator, describe_engine


@dataclass(frozen=True)
class Named:
    """A method as it was asked for."""

    name: str
    engine: Path | UgatitFastError
    """Its file; or why there is none."""
    weights: str = ""
    """What was named, where that isn't the file."""


@dataclass(frozen=True)
class Opened:
    """A method's engine, loaded."""

    engine: Engine
    translator: Translates
    size: tuple[int, int]


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

    size: (height, width) for those that serve any. stack: closes them.
    """
    opened: dict[str, Opened] = {}
    refused: dict[str, UgatitFastError] = {}
    for one in named:
        try:
            if isinstance(one.engine, UgatitFastError):
                raise one.engine
            with libraries_needed():
                opened[one.name] = load(one.engine, size, loading, stack)
        except UgatitFastError as error:
            refused[one.name] = error
    if not opened:
        raise of_all(refused)
    return opened, refused


def load(file: Path, wanted: tuple[int, int] | None, loading: Loading, stack: ExitStack) -> Opened:
    """An engine that has run once. Raises as `Translator` does, and InputError for a size that it doesn't serve."""
    styled = describe_engine(file, loading.trust_plan).style_length > 0  # others draw in one style only
    translator = Translator(
        file,
        device=loading.device,
        threads=loading.threads,
        tune=loading.tune,
        trust_plan=loading.trust_plan,
        style=loading.style if styled else None,
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
    return Opened(engine, translator, size)


def of_all(refused: Mapping[str, UgatitFastError]) -> UgatitFastError:
    """One error for all methods, none of which can be opened."""
    reasons = {str(error) for error in refused.values()}
    if len(reasons) == 1:
        return next(iter(refused.values()))
    return InputError("no method can be opened: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))
