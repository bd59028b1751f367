"""The README's table, made from a results file: `python -m ugatit_fast.bench.readme README.md` writes it anew.

The README names the file between two comments, and a test fails when what stands between them isn't what the file says:

    <!-- benchmark table: benchmarks/results/NAME.json -->
    <!-- end of benchmark table -->
"""

import re
from pathlib import Path

from ugatit_fast.bench.outputs import script_parser
from ugatit_fast.bench.results import Results, Row, read_results
from ugatit_fast.bench.tables import figure, number, table
from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole

BLOCK = re.compile(r"(<!-- benchmark table: (?P<file>\S+) -->\n).*?(<!-- end of benchmark table -->)", re.DOTALL)


def short_table(results: Results) -> str:
    """Rows with figures, slowest first, so that each says what the next one adds; the first line names the machine."""
    rows = sorted((row for row in results.rows if row.latency), key=lambda row: (network_order(row), -speed(row)))
    head = ("engine", "precision", "size, batch", "ms", "images/s", "x best rival")
    lines = [
        [
            f"**{row.contender}**" if row.kind == "ours" else row.contender,
            row.precision,
            f"{'light' if row.network.light else 'full'} {row.network.height}x{row.network.width}, {row.network.batch}",
            figure(speed(row)),
            figure(row.images_per_second),
            number(row.times_best_rival, "{:.2f}"),
        ]
        for row in rows
    ]
    return f"{results.machine.name}, {results.started[:10]}\n\n{table(head, lines)}"


def network_order(row: Row) -> tuple[bool, int, int]:
    return not row.network.light, row.network.height * row.network.width, row.network.batch


def speed(row: Row) -> float:
    return row.latency.median_ms if row.latency else 0.0


def renewed(text: str, folder: Path) -> str:
    """A README's text with every table made anew. Raises InputError where it has no place for one."""
    found = BLOCK.search(text)
    if found is None:
        raise InputError(
            "expected <!-- benchmark table: FILE.json --> and <!-- end of benchmark table --> around the table"
        )
    return BLOCK.sub(lambda block: f"{block[1]}{short_table(read_results(folder / block['file']))}\n{block[3]}", text)


def renew(path: Path) -> None:
    text = path.read_text()
    with written_whole(path) as partial:
        partial.write_text(renewed(text, path.parent))


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("page", type=Path, help="the file to write anew")
    renew(parser.parse_args().page)


if __name__ == "__main__":
    main()
