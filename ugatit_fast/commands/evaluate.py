"""`ugatit-fast evaluate`."""

from pathlib import Path

from ugatit_fast.choices import Device
from ugatit_fast.commands.arguments import Flag, phase_bars, say
from ugatit_fast.commands.needs import torch_is_needed
from ugatit_fast.train.evaluation.protocols import EvaluateOptions, Protocol


def evaluate_command(
    translated: Path,
    real: Path,
    /,
    *,
    protocol: Protocol = EvaluateOptions.protocol,
    source: Path | None = None,
    subset_size: int | None = EvaluateOptions.subset_size,
    seed: int = EvaluateOptions.seed,
    inception: Path | None = EvaluateOptions.inception,
    download: Flag = EvaluateOptions.download,
    save_features: Path | None = EvaluateOptions.save_features,
    json: Path | None = None,
    device: Device = EvaluateOptions.device,
) -> None:
    """Measure how far translations are from real pictures: KID and FID.

    Parameters
    ----------
    translated
        Folder of translations, or an .npz file of features.
    real
        Folder of pictures that they should look like, or an .npz file.
    protocol
        How: fidelity as torch-fidelity does, blocks10 and ugatit-mean as the code of U-GAT-IT's author. Numbers of
        different protocols can't be compared.
    source
        For ugatit-mean: the pictures that were translated.
    subset_size
        Pictures in each of fidelity's 100 subsets; 1000, or all where there are fewer, unless given.
    seed
        Of subsets and blocks.
    inception
        The published Inception weights, weights-inception-2015-12-05-6726825d.pth; those downloaded unless given.
    download
        Fetch the Inception weights (96 MB) if they aren't there.
    save_features
        Also write the features of all sides to this .npz file, which can stand in for any of the folders.
    json
        Also write the results to this file.
    device
        Where the Inception network runs.
    """
    with torch_is_needed():
        from ugatit_fast.train.evaluation.evaluate import evaluate

    options = EvaluateOptions(
        translated=translated,
        real=real,
        source=source,
        protocol=protocol,
        subset_size=subset_size,
        seed=seed,
        inception=inception,
        download=download,
        save_features=save_features,
        device=device,
    )
    with phase_bars() as progress:
        evaluation = evaluate(options, say=say, on_progress=progress)
    for result in evaluation.results:
        print(result.describe())
    for role, count in evaluation.skipped.items():
        if count:
            print(f"skipped {count} {role} pictures that can't be read")
    for note in evaluation.notes:
        say(f"note: {note}")
    if json is not None:
        evaluation.save(json)
