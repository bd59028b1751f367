"""Eight bits on this CPU, against float32 and what the usual tools make: `python -m benchmarks.eight_bits`

A race as `ugatit-fast bench` runs it, on a trained network of full width (the shipped generator widened): our engines
in float32 and in eight bits, plain ONNX Runtime, and the tools that round a plain export. Eight bits are judged by the
sample photos at the int8 gate; what misses it is listed as "wrong pictures" and isn't timed. The results go to
benchmarks/results/eight-bits/; what followed from them is in docs/decisions.md. --quick: a few rounds at 128x128.
"""

import sys
from dataclasses import replace
from pathlib import Path

from ugatit_fast.bench.contenders import CPU, Contender
from ugatit_fast.bench.environment import file_stem, machine
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.bench.report import write_report
from ugatit_fast.bench.results import Settings
from ugatit_fast.bench.suite import Plan, run_suite
from ugatit_fast.files import make_folder

RESULTS = Path(__file__).parent / "results" / "eight-bits"
SETTINGS = Settings(rounds=12, throughput_rounds=0, callers=1, photos=0, limit_seconds=1800.0)
"""Choosing layers takes a minute on a quiet machine; a busy one may take many."""
RIVALS = ("ONNX Runtime", "OpenVINO")


def contenders() -> list[Contender]:
    """Of the table for CPUs: our engines, and all that ONNX Runtime and OpenVINO make of a plain export."""
    return [one for one in CPU if one.kind == "ours" or one.name.startswith(RIVALS)]


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds of small pictures")
    add_output(parser, RESULTS / f"{file_stem(machine().name)}.json", "file for the results")
    given = parser.parse_args()
    output = output_of(parser, given)
    make_folder(output.parent)
    results, path = run_suite(
        Plan(device="cpu", sizes=((128, 128),) if given.quick else ()),
        output,
        settings=replace(SETTINGS, rounds=3) if given.quick else SETTINGS,
        table=contenders(),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(write_report(results, path).read_text())


if __name__ == "__main__":
    main()
