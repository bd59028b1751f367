"""The page of a comparison, `index.html`: figures of the methods, then photos down and methods across.

All that it shows lies in its folder under relative names, so that the folder can be moved, sent or served as it is.
"""

from html import escape
from importlib.resources import files
from pathlib import Path, PurePath
from string import Template

from ugatit_fast.files import written_whole
from ugatit_fast.media.folders import PAGE
from ugatit_fast.study.figures import heading_of, rows_for_people
from ugatit_fast.study.report import METHODS, PHOTOS, REPORT, TABLE, Comparison, Method, Photo
from ugatit_fast.translate.gallery import failure_list, link_to
from ugatit_fast.version import __version__


def write_page(folder: Path, comparison: Comparison) -> Path:
    """Write index.html, taking the place of an earlier one at once, and return its path. Raises InputError."""
    template = files("ugatit_fast.study").joinpath("report.html").read_text(encoding="utf-8")
    methods = comparison.made()
    text = Template(template).substitute(
        version=__version__,
        title=escape(title_of(comparison)),
        summary=escape(summary_of(comparison)),
        figures=figures_table(comparison),
        notes="".join(f"<li>{escape(note)}</li>" for note in explained(comparison)),
        failures=failure_list(comparison.failures, "went wrong"),
        columns=len(methods) + 1,
        width=comparison.width,
        height=comparison.height,
        photos="\n".join(row_of(comparison, photo, methods) for photo in comparison.photos),
        report=REPORT,
        table=TABLE,
    )
    with written_whole(folder / PAGE) as partial:
        partial.write_bytes(text.encode(errors="replace"))  # names of files need not be valid text
    return folder / PAGE


def title_of(comparison: Comparison) -> str:
    count = len(comparison.methods)
    return f"{comparison.data_set}: {count} methods"


def summary_of(comparison: Comparison) -> str:
    count = len(comparison.photos)
    target = f", translated into {comparison.target_name}" if comparison.target_name else ""
    return f"{count} photo{'s' * (count != 1)}{target}. {comparison.started[:10]}, ugatit-fast {comparison.made_with}"


def explained(comparison: Comparison) -> list[str]:
    """How the figures came about, and what to know of them."""
    lines = list(comparison.notes)
    if timed := [method.times.samples for method in comparison.methods if method.times]:
        lines.insert(
            0,
            f"ms: one picture, from pixels to pixels, on {comparison.machine}; median of {timed[0]} "
            f"round{'s' * (timed[0] != 1)} in which the methods took turns",
        )
    hows = {found.metric: found.how for method in comparison.methods for found in method.distances}
    return lines + [f"{metric}: {how}" for metric, how in hows.items()]


def figures_table(comparison: Comparison) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heading_of(comparison))
    rows = []
    for row in rows_for_people(comparison):
        name, *cells = map(escape, row)
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    return f"<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>"


def row_of(comparison: Comparison, photo: Photo, methods: list[Method]) -> str:
    """A photo and what every method made of it."""
    cells = [cell_of("photo", photo, PHOTOS)]
    for method in methods:
        if comparison.has(method, photo):
            cells.append(cell_of(method.name, photo, METHODS / method.folder))
        else:
            reason = escape(photo.failures.get(method.name, ""))
            cells.append(f'<figure class="none"><p>{reason}</p><figcaption>{escape(method.name)}</figcaption></figure>')
    return (
        f'<section class="photo">\n<h2>{escape(photo.name)}</h2>\n<div class="row">{"".join(cells)}</div>\n</section>'
    )


def cell_of(name: str, photo: Photo, folder: PurePath) -> str:
    link = link_to(folder / photo.picture)
    label = escape(f"{name}: {photo.name}")
    picture = f'<a href="{link}"><img src="{link}" alt="{label}" loading="lazy"></a>'
    return f"<figure>{picture}<figcaption>{escape(name)}</figcaption></figure>"
