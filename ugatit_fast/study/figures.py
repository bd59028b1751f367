"""The figures of a comparison: as words for people, and as a table for programs (comparison.csv)."""

import csv
import io
from pathlib import Path

from ugatit_fast.bench.tables import table
from ugatit_fast.files import written_whole
from ugatit_fast.study.report import TABLE, Comparison, Method

NOTHING = "–"


def heading_of(comparison: Comparison) -> list[str]:
    """What `rows_for_people` have under each other."""
    style = ["style"] if has_styles(comparison) else []
    return ["method", *metrics_of(comparison), "family", *style, "picture", "ms", "file", "runs as"]


def has_styles(comparison: Comparison) -> bool:
    """Whether any method draws in styles."""
    return any(method.engine and method.engine.style for method in comparison.methods)


def markdown(comparison: Comparison) -> str:
    """A table for people."""
    return table(heading_of(comparison), rows_for_people(comparison))


def metrics_of(comparison: Comparison) -> list[str]:
    """The names of what was measured, in order."""
    return list(dict.fromkeys(found.metric for method in comparison.methods for found in method.distances))


def rows_for_people(comparison: Comparison) -> list[list[str]]:
    """Of each method its name, a figure for each metric, family, style, size, time, size of file and what runs it."""
    metrics, styles = metrics_of(comparison), has_styles(comparison)
    return [row_for_people(method, metrics, styles) for method in comparison.methods]


def row_for_people(method: Method, metrics: list[str], styles: bool) -> list[str]:
    """styles: whether there is a column of them."""
    engine = method.engine
    distances = {found.metric: found for found in method.distances}
    measured = [
        NOTHING
        if (found := distances.get(metric)) is None
        else f"{found.value:.2f}" + ("" if found.spread is None else f" ± {found.spread:.2f}")
        for metric in metrics
    ]
    if engine is None:
        return [method.name, *measured, *[NOTHING] * (5 + styles)]
    return [
        method.name,
        *measured,
        engine.architecture or NOTHING,
        *([engine.style.said if engine.style else NOTHING] if styles else []),
        f"{engine.width} × {engine.height}",
        NOTHING if method.times is None else milliseconds(method.times.median_ms),
        f"{engine.bytes / 1e6:.1f} MB",
        f"{engine.kind} {engine.precision}, {engine.device}",
    ]


def milliseconds(value: float) -> str:
    """Three digits: more are noise."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def write_table(folder: Path, comparison: Comparison) -> None:
    """comparison.csv: a line a method, with every fact and figure, and nothing in a field that isn't known."""
    metrics = metrics_of(comparison)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    facts = ("file", "bytes", "sha256", "architecture", "kind", "precision", "direction", "height", "width", "device")
    writer.writerow(
        [
            "data_set",
            "method",
            *facts,
            "style",
            "style numbers",
            "pictures",
            "median_ms",
            "p5_ms",
            "p95_ms",
            "timed",
            "machine",
            *(name for metric in metrics for name in (metric, f"{metric} spread", f"{metric} how")),
            "failure",
        ]
    )
    for method in comparison.methods:
        times, distances = method.times, {found.metric: found for found in method.distances}
        row: list[object] = [comparison.data_set, method.name]
        row += [getattr(method.engine, fact) if method.engine else None for fact in facts]
        style = method.engine and method.engine.style
        row += [style.said, ",".join(map(str, style.numbers))] if style else [None] * 2
        row += [sum(comparison.has(method, photo) for photo in comparison.photos)]
        row += [times.median_ms, times.p5_ms, times.p95_ms, times.samples] if times else [None] * 4
        row += [comparison.machine]
        for metric in metrics:
            found = distances.get(metric)
            row += [found.value, found.spread, found.how] if found else [None] * 3
        writer.writerow([*row, method.failure])
    with written_whole(folder / TABLE) as partial:
        partial.write_text(file.getvalue(), encoding="utf-8", errors="replace", newline="")
