"""How good is a translator? How far its pictures are from real ones, by a named protocol.

folders of pictures, or .npz files -> features of each side -> KID and FID -> lines that say how they were measured
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole
from ugatit_fast.progress import Phased, Say
from ugatit_fast.train.distributed import chosen_device
from ugatit_fast.train.evaluation import inception_file
from ugatit_fast.train.evaluation.features import (
    UNKNOWN,
    FeatureSet,
    common,
    features_of,
    pictures_of,
    read_features,
    save_features,
)
from ugatit_fast.train.evaluation.inception import WIDTH
from ugatit_fast.train.evaluation.kid_fid import Estimate, Features, blocks_of, fid, kid_of_blocks, kid_of_subsets
from ugatit_fast.train.evaluation.protocols import (
    BLOCK_SIZE,
    SUBSET_SIZE,
    SUBSETS,
    WEIGHT_OF_REAL,
    WEIGHT_OF_SOURCE,
    EvaluateOptions,
    Role,
)

Sets = Mapping[Role, FeatureSet]
TIMES = 100
"""KID is given so many times larger, as in the paper."""
DIGEST_DIGITS = 8
"""Of the SHA-256 that a network is called by."""


@dataclass(frozen=True)
class Sampling:
    """How pictures were put together for a KID."""

    unit: Literal["subset", "block"]
    count: int | None
    """None for a mean of KIDs with different counts."""
    size: int
    """Pictures of either side in each; of blocks at most."""
    seed: int
    spread: str
    """What the spread is."""

    def describe(self) -> str:
        """A few words for people."""
        counted = f"{self.count} " if self.count else ""
        units = self.unit if self.count == 1 else f"{self.unit}s"
        return f"{counted}{units} of {'up to ' if self.unit == 'block' else ''}{self.size}, seed {self.seed}"


@dataclass(frozen=True)
class Result:
    """A number with everything that it depends on."""

    metric: str
    value: float
    spread: float | None
    protocol: str
    pictures: dict[Role, int]
    """How many of each side that it compares."""
    sampling: Sampling | None
    """None where all pictures are taken at once."""
    resize: str
    network: str

    def describe(self) -> str:
        """One line for people."""
        scatter = ""
        if self.spread is not None and self.sampling is not None:
            scatter = f" ± {self.spread:.3f} ({self.sampling.spread})"
        facts = [
            f"protocol {self.protocol}",
            ", ".join(f"{count} {role}" for role, count in self.pictures.items()),
            "all pictures at once, no seed" if self.sampling is None else self.sampling.describe(),
            f"resize {self.resize}",
            f"Inception {self.network}",
        ]
        return f"{self.metric} {self.value:.3f}{scatter}: {'; '.join(facts)}"


@dataclass(frozen=True)
class Evaluation:
    """What was found."""

    results: list[Result]
    skipped: dict[Role, int]
    """Files of each side that couldn't be read."""
    notes: list[str]
    """What to know before comparing the numbers with others, a sentence each."""

    def save(self, file: Path) -> None:
        """Write everything as JSON. Atomic; raises InputError."""
        with written_whole(file) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n")


def evaluate(
    translated: Path,
    real: Path,
    options: EvaluateOptions,
    *,
    say: Say = print,
    on_progress: Phased = lambda *_: None,
) -> Evaluation:
    """Measure how far translated pictures are from real ones; either is a folder, or an .npz file of features.

    say gets a line for every file that is skipped, and for a download. Raises InputError for folders, features and
    weights that can't be used or are too few; BackendUnavailable without the GPU that was asked for.
    """
    if options.save_features is not None and not options.save_features.parent.is_dir():
        raise InputError(f"cannot write {options.save_features}: the folder does not exist; make it first")
    given: dict[Role, Path] = {"translated": translated, "real": real}
    if options.source is not None:
        given["source"] = options.source
    sets = feature_sets(given, options, say, on_progress)
    if options.save_features is not None:
        save_features(options.save_features, sets)
    results = mean_results(sets, options) if options.protocol == "ugatit-mean" else plain_results(sets, options)
    return Evaluation(results, {role: of_role.skipped for role, of_role in sets.items()}, list(notes(sets, options)))


def feature_sets(given: Mapping[Role, Path], options: EvaluateOptions, say: Say, on_progress: Phased) -> Sets:
    """The features of every side. What files and names alone can show to be wrong is refused before any work."""
    read = {role: read_features(path, role) for role, path in given.items() if path.suffix == ".npz"}
    for role, of_role in read.items():
        if of_role.resize not in (options.resize, UNKNOWN):
            raise InputError(
                f"{given[role]} has features of pictures resized by {of_role.resize}, {options.protocol} resizes by "
                f"{options.resize}; name the folder of the pictures instead"
            )
    pictures = {role: pictures_of(path) for role, path in given.items() if role not in read}
    seen = look_at(pictures, options, say, on_progress) if pictures else {}
    sets = {role: read[role] if role in read else seen[role] for role in given}
    networks = sorted({of_role.network for of_role in sets.values()} - {UNKNOWN})
    if len(networks) > 1:
        raise InputError(f"the features are of different networks, {' and '.join(networks)}; make them anew with one")
    for role, path in given.items():
        if len(sets[role]) < 2:
            raise InputError(f"{path} has {len(sets[role])} pictures that can be read; a distance needs at least 2")
    return sets


def look_at(
    pictures: Mapping[Role, list[Path]], options: EvaluateOptions, say: Say, on_progress: Phased
) -> dict[Role, FeatureSet]:
    """What the Inception network makes of the pictures."""
    network = inception_file.load_inception(options.inception, options.download, say)
    network = network.to(chosen_device(options.device))
    sets: dict[Role, FeatureSet] = {}
    for role, files in pictures.items():
        reasons: list[str] = []
        rows = features_of(files, options.resize, network, reasons.append, partial(on_progress, role))
        for reason in reasons:
            say(f"skipped: {reason}")
        sets[role] = FeatureSet(rows, options.resize, inception_file.SHA256[:DIGEST_DIGITS], len(reasons))
    return sets


def plain_results(sets: Sets, options: EvaluateOptions) -> list[Result]:
    """KID and FID to the real pictures."""
    translated, real = sets["translated"].features, sets["real"].features
    estimate, sampling = kid(translated, real, options)
    whole = Estimate(fid(translated, real), None)
    return [measured("KID x 100", estimate, sampling, sets, options), measured("FID", whole, None, sets, options)]


def mean_results(sets: Sets, options: EvaluateOptions) -> list[Result]:
    """The mean KID of U-GAT-IT's author, and the two that it is made of."""
    translated = sets["translated"].features
    to_real, sampling = kid(translated, sets["real"].features, options)
    to_source, of_source = kid(translated, sets["source"].features, options)
    spread = None
    if to_real.spread is not None and to_source.spread is not None:
        spread = WEIGHT_OF_REAL * to_real.spread + WEIGHT_OF_SOURCE * to_source.spread
    mean = Estimate(WEIGHT_OF_REAL * to_real.mean + WEIGHT_OF_SOURCE * to_source.mean, spread)
    of_mean = replace(
        sampling,
        count=sampling.count if sampling.count == of_source.count else None,
        spread="of the two below, weighted alike",
    )
    of_real: Sets = {role: of_role for role, of_role in sets.items() if role != "source"}
    of_sources: Sets = {role: of_role for role, of_role in sets.items() if role != "real"}
    return [
        measured("mean KID x 100", mean, of_mean, sets, options),
        measured("KID x 100 to the real", to_real, sampling, of_real, options),
        measured("KID x 100 to the source", to_source, of_source, of_sources, options),
    ]


def kid(x: Features, y: Features, options: EvaluateOptions) -> tuple[Estimate, Sampling]:
    """KID as the protocol has it. Raises InputError for too few pictures."""
    fewest = min(len(x), len(y))
    if options.protocol == "fidelity":
        size = options.subset_size or min(fewest, SUBSET_SIZE)
        if size > fewest:
            raise InputError(
                f"subsets of {size} need as many pictures of either side, but one has {fewest}; "
                f"take --subset-size {fewest} or less"
            )
        count = SUBSETS if size < max(len(x), len(y)) else 1  # 100 times the same, otherwise
        sampling = Sampling("subset", count, size, options.seed, "standard deviation of the subsets")
        return kid_of_subsets(x, y, size, count, options.seed), sampling
    count = blocks_of(len(x), len(y), BLOCK_SIZE)
    if fewest < 2 * count:
        raise InputError(
            f"{max(len(x), len(y))} pictures of one side make {count} blocks of up to {BLOCK_SIZE}, each of which "
            f"needs 2 of the other side, which has {fewest}; take {2 * count} or more"
        )
    random = np.random.default_rng(options.seed)
    x, y = (features[random.permutation(len(features))] for features in (x, y))
    sampling = Sampling("block", count, BLOCK_SIZE, options.seed, "standard error over the blocks")
    return kid_of_blocks(x, y, BLOCK_SIZE), sampling


def measured(
    metric: str, estimate: Estimate, sampling: Sampling | None, sets: Sets, options: EvaluateOptions
) -> Result:
    times = 1 if sampling is None else TIMES
    return Result(
        metric=metric,
        value=times * estimate.mean,
        spread=None if estimate.spread is None else times * estimate.spread,
        protocol=options.protocol,
        pictures={role: len(of_role) for role, of_role in sets.items()},
        sampling=sampling,
        resize=common(sets.values(), "resize"),
        network=common(sets.values(), "network"),
    )


def notes(sets: Sets, options: EvaluateOptions) -> Iterator[str]:
    """What to know before comparing the numbers with others."""
    fewest = min(len(of_role) for of_role in sets.values())
    if options.protocol == "ugatit-mean":
        yield (
            "98 % of a mean KID is the distance to the source pictures, so it is small where little was changed; "
            "compare it with the paper's table only"
        )
    elif fewest < WIDTH:
        yield (
            f"FID grows as pictures get fewer, strongly below {WIDTH}: compare this one, of {fewest}, with FIDs of as "
            "many only"
        )
    for name, word in (("resize", "resized"), ("network", "seen")):
        if common(sets.values(), name) == UNKNOWN:
            yield f"an .npz file doesn't say how its pictures were {word}"
