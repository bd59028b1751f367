"""`ugatit-fast bench` and `bench compare`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ugatit_fast.choices import Device, Direction
from ugatit_fast.commands.arguments import Flag, MaybeOutput, parse_batch, parse_size, say

Network = Literal["light", "full"]


def parse_sizes(text: str | None) -> tuple[tuple[int, int], ...]:
    """`128,256x192` as a tuple of (height, width)."""
    return tuple(size for part in text.split(",") if (size := parse_size(part))) if text else ()


Sizes = Annotated[str | None, Parameter(validator=lambda _, text: parse_sizes(text))]
Batches = Annotated[str, Parameter(validator=lambda _, text: parse_batch(text))]

bench_app = App(name="bench")


@bench_app.default
def bench(
    *files: Path,
    output: MaybeOutput = None,
    quick: Flag = False,
    network: Network = "light",
    size: Sizes = None,
    batch: Batches = "1",
    direction: Direction | Literal["both"] = "A2B",
    device: Device = "auto",
    contender: str | None = None,
    scaling: Flag = False,
    floor_psnr: float | None = None,
) -> int:
    """Measure every engine that this machine can run against every rival it has; exit 1 where one of ours fails.

    Writes the results (JSON), a page and charts after every round; docs/benchmarks.md explains the figures.

    Parameters
    ----------
    files
        Checkpoints, and engines with the checkpoints they were made from. Random weights unless given.
    output
        The results file. Named after the machine unless given, in benchmarks/results/ where there is one.
    quick
        Under a minute: few contenders, few rounds, 128x128.
    network
        Whose random weights to take, without a checkpoint.
    size
        Height x width in pixels, several with commas; the training size unless given.
    batch
        Batch sizes, with commas.
    direction
        Which generator of a checkpoint with both.
    device
        Whose contenders: those of the GPU where there is one, else those of the CPU.
    contender
        Only those with one of these, with commas, in their names.
    scaling
        Also the cost of our engines against batch, size, channels and threads.
    floor_psnr
        Fail where one of our engines is further than this many dB from the reference.
    """
    from ugatit_fast.bench.gate import failures
    from ugatit_fast.bench.report import write_report
    from ugatit_fast.bench.suite import Plan, run_suite
    from ugatit_fast.bench.tables import markdown
    from ugatit_fast.model import GeneratorConfig

    plan = Plan(
        files=files,
        configs=(GeneratorConfig(light=network == "light"),),
        sizes=parse_sizes(size),
        batches=parse_batch(batch),
        directions=("A2B", "B2A") if direction == "both" else (direction,),
        device=device,
        names=tuple(contender.split(",")) if contender else (),
        quick=quick,
        scaling=scaling,
    )
    results, path = run_suite(plan, output, say=say)
    page = write_report(results, path)
    print(markdown(results))
    say(f"{path}, and for people {page}")
    wrong = failures(results, floor_psnr)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


@bench_app.command(name="compare")
def compare_results(before: Path, after: Path, /, *, threshold: float = 0.05) -> int:
    """Compare two results files; exit 1 on a regression.

    Parameters
    ----------
    before
        Results of `ugatit-fast bench`.
    after
        Later results of the same machine.
    threshold
        How much slower, relatively, a contender may become beyond noise.
    """
    from ugatit_fast.bench.compare import caveats, compare, report
    from ugatit_fast.bench.results import read_results

    old, new = read_results(before), read_results(after)
    for line in caveats(old, new):
        say(line)
    changes = compare(old, new, threshold)
    print(report(changes))
    return 1 if any(change.is_regression for change in changes) else 0
