"""`--phase test`: every test picture through the generators, in the layout of the repository whose flags these are.

    PyTorch       results/NAME/test/A2B_1.png ...    seven tiles a picture, numbered (see `ugatit_fast.media.tiles`)
    TensorFlow    results/RUN/<name of the picture>  the translation alone, and index.html

The checkpoint becomes two engines, the fastest that this machine can run; they stay in the result folder, and serve
until the checkpoint is another. What the tiles show of the way back is made without them (`round_trip`).
"""

import html
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

import torch

from ugatit_fast.backends.runtimes import RUNTIMES, choose_backend
from ugatit_fast.checkpoint import NETWORKS, read_checkpoint, ugatit_config
from ugatit_fast.choices import Device, Direction
from ugatit_fast.compat.flags import OfficialFlags, default
from ugatit_fast.compat.layout import data_folder, find_checkpoint, read_direction, result_folder, tensorflow_name
from ugatit_fast.compat.round_trip import UnroundedWayBack
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.files import make_folder, written_whole
from ugatit_fast.model import Reference
from ugatit_fast.progress import Say
from ugatit_fast.tensor_bundle import looks_like_bundle
from ugatit_fast.train.data import TEST_FOLDERS, image_files
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.report import Report
from ugatit_fast.translate.sources import Source, output_name
from ugatit_fast.translator import Translates, Translator
from ugatit_fast.version import __version__

OPTIONS = TranslateOptions(fit="squash", gallery=False)
DOMAINS: dict[Direction, str] = dict(zip(("A2B", "B2A"), TEST_FOLDERS, strict=True))
"""Which pictures are translated in which direction."""
OTHER: dict[Direction, Direction] = {"A2B": "B2A", "B2A": "A2B"}


@dataclass(frozen=True)
class Outcome:
    """What a test did."""

    folder: Path
    written: int
    failures: tuple[str, ...]
    """Pictures that couldn't be read, a line each."""


def test_as_published(flags: OfficialFlags, say: Say) -> Outcome:
    """Translate the data set's test pictures in both directions, at img_size, whatever their shape.

    A checkpoint with one generator translates in its direction, and the rest is said. A picture that can't be read is a
    failure in the outcome. Raises InputError where there is no test picture that can be translated, CheckpointError
    where there is no checkpoint, or one of another architecture.
    """
    pictures = {there: image_files(data_folder(flags) / folder) for there, folder in DOMAINS.items()}
    if not any(pictures.values()):
        raise InputError(f"no pictures in {' and '.join(str(data_folder(flags) / name) for name in TEST_FOLDERS)}")
    checkpoint = find_checkpoint(flags)
    as_tensorflow = flags.tensorflow or looks_like_bundle(checkpoint)
    folder = Path(flags.result_dir) / tensorflow_name(flags) if as_tensorflow else result_folder(flags) / "test"
    say(f"checkpoint: {checkpoint}")
    say(f"results: {folder}, in the layout of the {'TensorFlow' if as_tensorflow else 'PyTorch'} repository")
    engines = (folder if as_tensorflow else folder.parent) / "engines"
    there = read_checkpoint(checkpoint)
    light = str(ugatit_config(there, "compat").light)
    if looks_like_bundle(checkpoint) and flags.light not in (None, light):
        say(f"note: the folder is one of --light {flags.light}, the weights in it are of --light {light}")
    directions = translatable(checkpoint, there.directions, pictures, say)
    stacked = not as_tensorflow and len(directions) == len(DOMAINS)
    with ExitStack() as stack:
        translators = {
            direction: stack.enter_context(open_engine(flags, checkpoint, direction, engines, heatmap=stacked, say=say))
            for direction in directions
        }
        asked = {direction: pictures[direction] for direction in directions}
        if not stacked:
            return (
                write_named(folder, asked, translators) if as_tensorflow else write_stacks(folder, asked, translators)
            )
        generators = {direction: generator(flags, checkpoint, direction) for direction in directions}
        ways_back = {
            there: UnroundedWayBack(translators[back], generators[there], generators[back])
            for there, back in OTHER.items()
        }
        return write_stacks(folder, asked, translators, ways_back)


test_as_published.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


def translatable(
    checkpoint: Path, directions: Sequence[Direction], pictures: "Pictures", say: Say
) -> Sequence[Direction]:
    """The directions that there is a generator for. Says what is left out; InputError where nothing is left."""
    for missing in (direction for direction in DOMAINS if direction not in directions):
        (only,) = directions
        if not pictures[only]:
            raise InputError(
                f"{checkpoint} translates {only} only, and {DOMAINS[only]} has no pictures; put some there, or take a "
                f"checkpoint with {NETWORKS[missing]}"
            )
        say(
            f"note: {checkpoint} has no {NETWORKS[missing]}: {len(pictures[missing])} pictures in {DOMAINS[missing]} "
            f"aren't translated, and those in {DOMAINS[only]} without the tiles that take it"
        )
    return directions


def open_engine(
    flags: OfficialFlags, checkpoint: Path, direction: Direction, folder: Path, *, heatmap: bool, say: Say
) -> Translator:
    """The engine of one direction, from `folder` if the last test left it there, else built."""
    source = read_direction(flags, checkpoint, direction)
    side = default(flags.img_size, source.config.training_side)
    device: Device = default(flags.device, "auto")
    path = folder / f"{direction}{RUNTIMES[choose_backend('auto', lambda _: None, device=device)].suffix}"
    if not serves(path, source.sha256, side, heatmap=heatmap):
        make_folder(folder)
        build_engine(source, path, size=(side, side), heatmap=heatmap, device=device, say=say)
    return Translator(path, device=device, heatmap=heatmap)


def generator(flags: OfficialFlags, checkpoint: Path, direction: Direction) -> Reference:
    """The reference generator of one direction, where the flags say that it runs."""
    device = default(flags.device, "cuda" if torch.cuda.is_available() else "cpu")
    return read_direction(flags, checkpoint, direction).generator().to(device)


def serves(engine: Path, checkpoint_sha256: str, side: int, *, heatmap: bool) -> bool:
    """Whether an engine is there, made by this version from this checkpoint, and for this size."""
    if not engine.is_file():
        return False
    try:
        spec = read_spec(engine)
    except EngineError:
        return False
    made = spec.checkpoint_sha256, spec.ugatit_fast_version, spec.height, spec.width, spec.heatmap
    return made == (checkpoint_sha256, __version__, side, side, heatmap)


# The two layouts --------------------------------------------------------------------------------------------------

Pictures = Mapping[Direction, Sequence[Path]]
"""Files to translate in each direction."""
Translators = Mapping[Direction, Translates]
NONE: Translators = {}


def write_stacks(folder: Path, pictures: Pictures, translators: Translators, ways_back: Translators = NONE) -> Outcome:
    """A2B_1.png ..., B2A_1.png ...: seven tiles each, in the order of the pictures' names; the translation alone where
    there is no way back from it (ways_back: by the direction there).
    """
    reports = []
    for there, files in pictures.items():
        sources = [Source(file, PurePath(f"{there}_{number}.png")) for number, file in enumerate(files, start=1)]
        reports.append(translate_files(translators[there], sources, folder, OPTIONS, stack=ways_back.get(there)))
    return outcome_of(folder, reports)


def write_named(folder: Path, pictures: Pictures, translators: Translators) -> Outcome:
    """Translations under their pictures' names, and a page of both. Where testA and testB have a name in common, which
    the repository lets overwrite each other, that of testB is preceded by B2A_.
    """
    reports = []
    originals: dict[PurePath, Path] = {}
    for there, files in pictures.items():
        sources = []
        for file in files:
            name = output_name(PurePath(file.name))
            name = name.with_name(f"{there}_{name}") if name in originals else name
            originals[name] = file
            sources.append(Source(file, name))
        reports.append(translate_files(translators[there], sources, folder, OPTIONS))
    shown: dict[PurePath, Path] = {
        name: originals[name] for report in reports for name in (path.relative_to(folder) for path in report.translated)
    }
    with written_whole(folder / "index.html") as partial:
        partial.write_text(page(folder, shown, side_of(translators)), encoding="utf-8")
    return outcome_of(folder, reports)


def outcome_of(folder: Path, reports: Sequence[Report]) -> Outcome:
    failures = tuple(failure.reason for report in reports for failure in report.failures)
    return Outcome(folder, sum(len(report.translated) for report in reports), failures)


def side_of(translators: Translators) -> int:
    """Of the pictures, which are square, in pixels: `img_size`."""
    return next(iter(translators.values())).spec.height


def page(folder: Path, originals: Mapping[PurePath, Path], side: int) -> str:
    """The table of the TensorFlow repository: name, input, output, both `side` pixels wide and high.

    originals: of each translation in the folder.
    """
    rows = "\n".join(
        f"<tr><td>{html.escape(original.name)}</td>"
        f'<td><img src="{address(os.path.relpath(original, folder))}" width="{side}" height="{side}"></td>'
        f'<td><img src="{address(str(name))}" width="{side}" height="{side}"></td></tr>'
        for name, original in originals.items()
    )
    return (
        '<!doctype html>\n<meta charset="utf-8">\n<title>U-GAT-IT</title>\n<table>\n'
        f"<tr><th>name</th><th>input</th><th>output</th></tr>\n{rows}\n</table>\n"
    )


def address(path: str) -> str:
    """A relative path as a page names it."""
    return quote(Path(path).as_posix())
