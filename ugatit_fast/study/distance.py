"""How far each method's pictures are from real ones: `train.evaluation` once a method, the real pictures seen once."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from ugatit_fast.choices import Device
from ugatit_fast.errors import InputError
from ugatit_fast.progress import Phased, Say
from ugatit_fast.study.report import Distance
from ugatit_fast.train.evaluation import inception_file
from ugatit_fast.train.evaluation.evaluate import Evaluation, evaluate
from ugatit_fast.train.evaluation.features import pictures_of, read_features
from ugatit_fast.train.evaluation.protocols import EvaluateOptions, Measure

Measured = list[Distance] | InputError


def refuse_unmeasurable(target: Path, measure: Measure, say: Say) -> None:
    """Raises InputError, before any work, where the target or the network can't be had."""
    if target.suffix == ".npz":
        read_features(target, "real")
    else:
        pictures_of(target)
    inception_file.find_inception(measure.inception, measure.download, say)


def distances(
    methods: Iterable[tuple[str, Path]],
    target: Path,
    photos: Path,
    measure: Measure,
    device: Device,
    say: Say,
    on_progress: Phased,
) -> Iterator[tuple[str, Measured, list[str]]]:
    """For each method and the folder of its pictures: distances, or why there are none; and what to know of them.

    photos: the pictures that were translated, which ugatit-mean also takes.
    """
    with tempfile.TemporaryDirectory(prefix="ugatit-fast-") as folder:
        real, features = target, Path(folder) / "features.npz"
        for name, pictures in methods:
            options = EvaluateOptions(
                **{one.name: getattr(measure, one.name) for one in fields(Measure)},
                source=photos if measure.protocol == "ugatit-mean" else None,
                save_features=None if features.exists() else features,
                device=device,
            )
            try:
                found = evaluate(pictures, real, options, say=say, on_progress=on_progress)
            except InputError as error:  # too few pictures: another method may have more
                yield name, error, []
                continue
            real = features
            yield name, as_distances(found), found.notes


def as_distances(found: Evaluation) -> list[Distance]:
    return [
        Distance(result.metric, result.value, result.spread, result.describe().partition(": ")[2])
        for result in found.results
    ]
