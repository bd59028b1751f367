"""A results file's companions for people: a Markdown page and charts beside it, made anew from it at any time."""

from pathlib import Path

from ugatit_fast.bench import charts
from ugatit_fast.bench.results import Results
from ugatit_fast.bench.tables import markdown
from ugatit_fast.files import written_whole


def write_report(results: Results, path: Path) -> Path:
    """Write `NAME.md` and its charts beside the results file `NAME.json`. Returns the page."""
    drawn = {f"{path.stem}-{name}.svg": svg for name, svg in all_charts(results).items()}
    pictures = "\n\n".join(f"![{name}]({name})" for name in drawn)
    for name, text in {**drawn, f"{path.stem}.md": f"{markdown(results)}\n{pictures}\n"}.items():
        with written_whole(path.with_name(name)) as partial:
            partial.write_text(text)
    return path.with_suffix(".md")


def all_charts(results: Results) -> dict[str, str]:
    """Every chart that the results have figures for, by a short name."""
    found: dict[str, str | None] = {}
    for i, network in enumerate(dict.fromkeys(row.network for row in results.rows if row.latency)):
        found[f"latency-{i + 1}"] = charts.bars(results, network)
        found[f"roofline-{i + 1}"] = charts.roofline(results, network)
    found["scaling"] = charts.scaling(results)
    return {name: svg for name, svg in found.items() if svg is not None}
