"""Where measurements go: into new files, or over old ones where somebody said so.

What a benchmark writes may be a committed result. A default place that is taken is refused before anything is measured,
unless `--force` is given; an `--output` that is named is taken as it is.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from ugatit_fast.errors import InputError


def refuse_taken(files: Sequence[Path]) -> None:
    """InputError where one of the files is there."""
    if taken := [file for file in files if file.exists()]:
        raise InputError(f"{taken[0]} is there already; replace it with --force, or name another place with --output")


def script_parser(documentation: str | None) -> ArgumentParser:
    """Of a script that says in its module's documentation what it does."""
    return ArgumentParser(description=documentation, formatter_class=RawDescriptionHelpFormatter)


def add_output(parser: ArgumentParser, default: Path, what: str) -> None:
    """`--output` and `--force`. what: for people, such as `folder for the results`."""
    parser.add_argument("-o", "--output", type=Path, help=f"{what}; unless given, {shown(default)}")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.set_defaults(default_output=default)


def shown(path: Path) -> Path:
    """As people see it from the folder that they are in."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def output_of(parser: ArgumentParser, chosen: Namespace, *names: str) -> Path:
    """The output that was asked for. names: of the files in it that will be written, where it is a folder.

    Ends the program, with a line on stderr, where the default place is taken and nobody said `--force`.
    """
    default: Path = chosen.default_output
    if chosen.output is None and not chosen.force:
        try:
            refuse_taken([default / name for name in names] or [default])
        except InputError as error:
            parser.error(str(error))
    output: Path = chosen.output or default
    return output
