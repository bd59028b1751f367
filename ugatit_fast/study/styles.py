"""Methods and the styles that they were asked for in -> columns, each of one style.

    STYLE         of every method that draws in styles and has none of its own
    NAME=STYLE    of that method alone

A method with several styles is as many columns, called for them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from ugatit_fast.choices import DEFAULT_SEED
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError, InputError, UgatitFastError
from ugatit_fast.study.names import LABELLED, apart
from ugatit_fast.study.opening import Named
from ugatit_fast.study.report import Style
from ugatit_fast.translator import describe_engine
from ugatit_fast.translator.styles import numbers_in, style_of

Asked = Mapping[str | None, Sequence[str]]
"""Method -> the styles that it is asked for in; None: all that have none of their own."""


def asked_of(said: Sequence[str], names: Sequence[str]) -> Asked:
    """What `--style` says, each as STYLE or NAME=STYLE. InputError for no method's name, and for a style said twice."""
    asked: dict[str | None, list[str]] = {}
    for one in said:
        name, style = parted(one, names)
        if style in asked.setdefault(name, []):
            raise InputError(f"--style {one} is given twice; leave one out")
        asked[name].append(style)
    return asked


def parted(said: str, names: Sequence[str]) -> tuple[str | None, str]:
    """The method's name where there is one, and the style; a file is a picture, whatever it is called."""
    if Path(said).is_file():
        return None, said
    for name in sorted(names, key=len, reverse=True):
        if said.startswith(f"{name}="):
            return name, said[len(name) + 1 :]
    if stranger := LABELLED.fullmatch(said):
        raise InputError(f"--style {said}: no method is called {stranger[1]}; they are called {', '.join(names)}")
    return None, said


def in_styles(named: Sequence[Named], asked: Asked, before: Collection[str], *, trust_plan: bool) -> list[Named]:
    """Each method as often as it has styles, with the numbers of each; a picture's are seen here.

    before: the names of an earlier run's columns, which tell how many an engine has that can't be had any more.
    Raises InputError for what is no style of its method, and for a style that no method takes.
    """
    columns: list[Named] = []
    of_all = list(asked.get(None, ()))
    taken = not of_all
    for one in named:
        own, spec = asked.get(one.name, ()), spec_of(one, trust_plan)
        if spec is None:
            columns += missing(one, own or of_all, before, certain=bool(own))
            taken = True  # perhaps
        elif spec.style_length:
            columns += [drawing(one, spec, *column) for column in columns_of(one.name, own or of_all)]
            taken |= not own
        elif own:
            raise InputError(f"{one.name} draws in one style only; leave --style {one.name}={own[0]} out")
        else:
            columns.append(one)
    if not taken:
        raise InputError(
            f"no method takes --style {of_all[0]}: none draws in styles, or each has one of its own; leave it out"
        )
    return columns


def spec_of(one: Named, trust_plan: bool) -> EngineSpec | None:
    """What its engine says; None where it can't be had or read, of which opening it tells."""
    try:
        return None if isinstance(one.engine, UgatitFastError) else describe_engine(one.engine, trust_plan)
    except UgatitFastError:
        return None


def columns_of(name: str, styles: Sequence[str]) -> list[tuple[str, str, str]]:
    """A column's name, the style as it was said, and in a word: that of seed 0 where none was."""
    styles = styles or [str(DEFAULT_SEED)]
    pictures = [PurePath(style) for style in styles if numbers_in(style) is None]
    words = [apart(PurePath(style), pictures, suffix=True) if numbers_in(style) is None else style for style in styles]
    names = [name] if len(styles) == 1 else [f"{name}, style {word}" for word in words]
    return list(zip(names, styles, words, strict=True))


def missing(one: Named, styles: Sequence[str], before: Collection[str], *, certain: bool) -> list[Named]:
    """The columns of a method that can't be had; certain: whether it draws in styles."""
    names = [name for name, *_ in columns_of(one.name, styles)]
    return [replace(one, name=name) for name in names] if certain or set(names) & set(before) else [one]


def drawing(one: Named, spec: EngineSpec, name: str, said: str, word: str) -> Named:
    """The column of one style. InputError where it is none of this method."""
    assert isinstance(one.engine, Path), "it was read"
    try:
        numbers = style_of(said, spec, one.engine)
    except InputError as error:
        raise InputError(f"{one.name}: {error}") from error
    except EngineError as error:  # its own failure: a damaged encoder
        return replace(one, name=name, engine=error)
    assert numbers is not None, "it draws in styles"
    return replace(one, name=name, style=Style(word, tuple(numbers.tolist())))
