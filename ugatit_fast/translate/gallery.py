"""The page of a folder run, `index.html`: each photo as the network saw it, where it looked, and what it made of it.

Everything the page shows lies in its own folder, under relative names, so that the folder can be moved or served as it
is: translations beside the page, and under the same names the photos in `INPUT_FOLDER` and heat maps in
`HEATMAP_FOLDER`. The pipeline writes the pictures; this file the page.
"""

import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path, PurePath
from string import Template
from urllib.parse import quote

from ugatit_fast.errors import InputError
from ugatit_fast.media.folders import HEATMAP_FOLDER, INPUT_FOLDER, PAGE
from ugatit_fast.media.video_writer import CONTAINERS
from ugatit_fast.translate.sinks import Sink
from ugatit_fast.translate.sources import ClipSource, Source
from ugatit_fast.version import __version__

SIGNATURE = '<meta name="generator" content="ugatit-fast'
"""How a page of ours is told from anyone else's, early in the file."""
SIGNATURE_WITHIN_BYTES = 1000


def write_page(
    sink: Sink, sources: Sequence[Source], failures: Sequence[str], *, size: tuple[int, int], heatmap: bool
) -> Path:
    """Write index.html, taking the place of an earlier one at once, and return its path.

    sink: where the pictures are.
    sources: the photos and clips translated, in the order to show them.
    failures: one line for each that wasn't, naming it.
    size: (height, width) of the translations, in pixels; of the larger ones, where they differ.
    heatmap: whether there are heat maps to show.
    Raises InputError where the page can't be written.
    """
    columns = {"input": INPUT_FOLDER, "heat map": HEATMAP_FOLDER, "output": PurePath()}
    if not heatmap:
        del columns["heat map"]
    height, width = size
    page = Template(files("ugatit_fast.translate").joinpath("gallery.html").read_text(encoding="utf-8")).substitute(
        version=__version__,
        title=title_of(sources),
        legend=" → ".join(columns),
        columns=len(columns),
        height=height,
        width=width,
        failures=failure_list(failures, "not translated"),
        photos="\n".join(figure_of(source, columns) for source in sources),
    )
    # File names need not be valid text; what can't be shown becomes "?" (links keep the bytes).
    sink.put(PurePath(PAGE), page.encode(errors="replace"))
    return sink.root / PAGE


def is_reserved(relative: PurePath) -> bool:
    """Whether a translation of this name would lie among the gallery's own pictures."""
    start = PurePath(*relative.parts[:2]).as_posix().casefold()
    return start in (INPUT_FOLDER.as_posix(), HEATMAP_FOLDER.as_posix())


def refuse_foreign_page(out: Path) -> None:
    """Raises InputError where `out` holds an index.html that isn't a gallery of ours."""
    try:
        with (out / PAGE).open("rb") as file:
            start = file.read(SIGNATURE_WITHIN_BYTES)
    except OSError:  # none there, or none that can be read: writing will tell
        return
    if SIGNATURE.encode() not in start:
        raise InputError(f"{out / PAGE} is not a gallery of ours and would be lost; choose another output folder")


def figure_of(source: Source, columns: dict[str, PurePath]) -> str:
    name = escape(source.relative.as_posix())
    if isinstance(source, ClipSource):
        return f'<figure><div class="clip">{clip_element(source, name)}</div><figcaption>{name}</figcaption></figure>'
    pictures = "".join(
        f'<a href="{link}"><img src="{link}" alt="{column}: {name}" loading="lazy"></a>'
        for column, link in ((column, link_to(folder / source.relative)) for column, folder in columns.items())
    )
    return f"<figure><div>{pictures}</div><figcaption>{name}</figcaption></figure>"


def clip_element(source: ClipSource, name: str) -> str:
    """Only the translation: what the network saw of a clip isn't kept."""
    link = link_to(source.relative)
    if source.relative.suffix.lower() in CONTAINERS:
        return f'<video src="{link}" aria-label="output: {name}" controls loop preload="metadata"></video>'
    return f'<a href="{link}"><img src="{link}" alt="output: {name}" loading="lazy"></a>'


def link_to(relative: PurePath) -> str:
    return quote(os.fsencode(relative.as_posix()))


def failure_list(failures: Sequence[str], heading: str) -> str:
    """A section for what went wrong, a line each, under how many there are; nothing where nothing did."""
    if not failures:
        return ""
    items = "\n".join(f"<li>{escape(failure)}</li>" for failure in failures)
    title = f'<h2 id="failures">{len(failures)} {heading}</h2>'
    return f'<section aria-labelledby="failures">\n{title}\n<ul>\n{items}\n</ul>\n</section>'


def title_of(sources: Sequence[Source]) -> str:
    clips = sum(isinstance(source, ClipSource) for source in sources)
    counts = {"photo": len(sources) - clips, "clip": clips}
    named = [f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count]
    return f"{' and '.join(named) or 'Nothing'} translated"
