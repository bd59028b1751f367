"""The page of a run, `run.html` in its folder: how far it is, its sample grids, its losses. It keeps itself up to date.

metrics.jsonl, samples -> run.js -> run.html, which loads that again every few seconds

The page needs no server: a page from a disk may load scripts, and nothing else, so what changes is one. Both files are
written whole, so that a browser never sees half of one.
"""

import json
import re
import time
from importlib.resources import files
from pathlib import Path

from ugatit_fast.files import written_whole
from ugatit_fast.train.metrics import METRICS, as_time
from ugatit_fast.train.run_folder import Layout
from ugatit_fast.train.settings import TrainSettings

PAGE, STATE = "run.html", "run.js"
POINTS = 400
"""At most, in a curve: more than a chart has pixels, and a run of a million steps stays a file of 50 kB."""
LOSSES = ("discriminator", "generator", "adv", "cycle", "identity", "cam")
"""In the order of their charts."""
SAMPLE = re.compile(r"(A2B|B2A)_(\d{7,})\.png")


def write_page(settings: TrainSettings, layout: Layout, step: int, *, last: bool) -> None:
    """Bring the page up to date after a step, the `last` one of this run or not.

    Raises InputError where it can't be written.
    """
    folder = settings.output
    records = read_records(folder / METRICS)
    newest: dict[str, float] = records[-1] if records else {}
    ended = None if not last else "finished" if step == settings.iterations else "stopped"
    state = {
        "name": folder.resolve().name,
        "step": step,
        "iterations": settings.iterations,
        "ended": ended,
        "left": as_time(newest["seconds_left"]) if newest else None,
        "speed": newest.get("images_per_second"),
        "written": round(time.time()),
        "losses": curves(records),
        "samples": samples(folder, layout.samples, step),
    }
    page = files("ugatit_fast.train").joinpath("run_page.html").read_text(encoding="utf-8")
    for name, text in ((STATE, f"run({json.dumps(state)});\n"), (PAGE, page)):
        with written_whole(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def read_records(path: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl; none where it isn't there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def curves(records: list[dict[str, float]]) -> dict[str, object]:
    """Steps, and the losses at each: of many lines at most `POINTS`, evenly, the newest among them."""
    every = -(-len(records) // POINTS) or 1
    chosen = records[::-1][::every][::-1]
    names = [name for name in LOSSES if chosen and all(name in record for record in chosen)]
    return {
        "steps": [record["step"] for record in chosen],
        "values": {name: [float(f"{record[name]:.5g}") for record in chosen] for name in names},
    }


def samples(folder: Path, name: str, step: int) -> list[dict[str, object]]:
    """The sample grids up to a step, oldest first, with addresses relative to the page."""
    found: dict[int, dict[str, str]] = {}
    for file in sorted((folder / name).glob("*.png")):
        match = SAMPLE.fullmatch(file.name)
        if match and int(match[2]) <= step:
            found.setdefault(int(match[2]), {})[match[1]] = f"{name}/{file.name}"
    return [{"step": at, "pictures": found[at]} for at in sorted(found)]
