"""`ugatit-fast bench` and `bench compare`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App

from ugatit_fast.bench.options import BenchOptions
from ugatit_fast.choices import parse_size
from ugatit_fast.commands.arguments import MaybeOutput, as_text, options, parse_batch, parse_names, say
from ugatit_fast.commands.tables import show
from ugatit_fast.errors import InputError


def parse_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """`128,256x192` as a tuple of (height, width)."""
    return tuple(parse_size(part) for part in text.split(",")) if text else ()


def as_numbers(batches: tuple[int, ...]) -> str:
    return ",".join(map(str, batches))


@dataclass(frozen=True, kw_only=True)
class BenchFlags(BenchOptions):
    """The options as people type them."""

    sizes: Annotated[tuple[tuple[int, int], ...], as_text(parse_sizes)] = BenchOptions.sizes
    batches: Annotated[tuple[int, ...], as_text(parse_batch, as_numbers)] = BenchOptions.batches
    names: Annotated[tuple[str, ...], as_text(parse_names)] = BenchOptions.names


MEASURED = BenchFlags()

bench_app = App(name="bench")


@bench_app.default
def bench(
    *files: Path,
    output: MaybeOutput = None,
    measured: Annotated[BenchFlags, options(sizes="size", batches="batch", names="contender")] = MEASURED,
    floor_psnr: float | None = None,
) -> int:
    """Measure every engine and rival that this machine can run, or compare two results.

    Writes the results (JSON), a page and charts after every round; docs/benchmarks.md explains the figures. Exit 1
    where one of our engines fails.

    ```
    ugatit-fast bench --quick
    ugatit-fast bench selfie2anime.pt --batch 1,8 --size 256 -o mine.json
    ```

    Parameters
    ----------
    files
        Checkpoints, and engines with the checkpoints they were made from. Random weights unless given.
    output
        The results file. Named after the machine unless given, in benchmarks/results/ where there is one.
    floor_psnr
        Fail where one of our engines is further than this many dB from the reference.
    """
    from ugatit_fast.bench.gate import failures
    from ugatit_fast.bench.report import write_report
    from ugatit_fast.bench.suite import Plan, run_suite
    from ugatit_fast.bench.tables import markdown

    results, path = run_suite(Plan.of(files, measured), output, say=say)
    page = write_report(results, path)
    show(markdown(results), str(page))
    say(f"{path}, and for people {page}")
    wrong = failures(results, floor_psnr)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


@bench_app.command(name="compare")
def compare_results(before: Path, after: Path, /, *, threshold: float = 0.05) -> int:
    """Compare two results files; exit 1 on a regression, and where nothing was comparable.

    ```
    ugatit-fast bench compare before.json after.json
    ugatit-fast bench compare before.json after.json --threshold 0.02
    ```

    Parameters
    ----------
    before
        Results of `ugatit-fast bench`.
    after
        Later results of the same machine.
    threshold
        How much slower, relatively, a contender may become beyond noise.
    """
    from ugatit_fast.bench.compare import caveats, compare, measured, report
    from ugatit_fast.bench.results import read_results

    old, new = read_results(before), read_results(after)
    for line in caveats(old, new):
        say(line)
    changes = compare(old, new, threshold)
    show(report(changes))
    if not any(change.is_comparable for change in changes):
        raise InputError(f"nothing was comparable: {before} has {measured(old)}, {after} has {measured(new)}")
    return 1 if any(change.is_regression for change in changes) else 0
