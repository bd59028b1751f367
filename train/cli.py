"""`ugatit-fast train`, `evaluate` and `data`."""

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Toml

from ugatit_fast.arguments import Flag, phase_bars, say
from ugatit_fast.choices import Device
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.train.protocols import EvaluateOptions, Protocol
from ugatit_fast.train.settings import TrainSettings


def settings_file(app: App, commands: Any, arguments: Any) -> None:
    """Let the TOML file that --config names fill in the flags that weren't given."""
    for path in [token.value for argument in arguments if "--config" in argument.names for token in argument.tokens]:
        try:
            Toml(path, must_exist=True)(app, (), arguments)  # flat: no [train] table; `data` is a key, not the command
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{path} can't be read as TOML ({error}); check the name and what is in it") from error


train_app = App(name="train", config=settings_file)
data_app = App(name="data")


@contextmanager
def torch_is_needed() -> Iterator[None]:
    """For imports: BackendUnavailable where there is no torch."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendUnavailable(
            'this needs PyTorch, which is not installed: pip install "ugatit-fast[train]"'
        ) from error


@train_app.default
def train_command(
    settings: Annotated[TrainSettings, Parameter(name="*")],
    *,
    config: Path | None = None,
    resume: Flag = False,
    export_official: Flag = False,
) -> int:
    """Train a pair of generators on two folders of pictures; Ctrl-C saves, --resume goes on.

    Parameters
    ----------
    config
        A TOML file of these settings by name; flags win.
    resume
        Go on with the run in the output folder.
    export_official
        At the end, however it comes, also write the networks as the published code saves them, to OUTPUT/published.
    """
    with torch_is_needed():
        from ugatit_fast.train import checkpoints
        from ugatit_fast.train.loop import train

    if export_official:
        checkpoints.refuse_ablation(settings.norm, settings.cam)
    trained = train(settings, resume=resume, say=say)
    if os.environ.get("RANK", "0") == "0":  # under torchrun, one process speaks
        print(f"{trained.checkpoint}: step {trained.step} of {settings.iterations}")
        if export_official:
            print(checkpoints.export_official(trained.checkpoint, settings.output / "published"))
        say(f"next: ugatit-fast build-engine {trained.checkpoint}")
    return 130 if trained.stopped else 0


@train_app.command(name="export-official")
def export_official_command(checkpoint: Path, target: Path, /) -> None:
    """Write the networks of a checkpoint as the published code saves and loads them.

    Parameters
    ----------
    checkpoint
        One that training wrote.
    target
        The .pt file to write, or a folder for one of the same name, made if missing.
    """
    with torch_is_needed():
        from ugatit_fast.train import checkpoints

    print(checkpoints.export_official(checkpoint, target))


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
        from ugatit_fast.train.evaluate import evaluate

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


@data_app.command
def check(folder: Path, /, *, img_size: int = TrainSettings.img_size) -> int:
    """Say what is wrong with a data set; exit 1 where training can't start.

    Parameters
    ----------
    folder
        The one with trainA, trainB and, where there are any, testA and testB in it.
    img_size
        Side of the training images in pixels.
    """
    from ugatit_fast.train.data_check import check_data

    report = check_data(folder, img_size)
    for finding in report.findings:
        print(f"{'problem' if finding.blocks else 'note':8} {finding.text}")
    for name, count in report.counts.items():
        print(f"{name:8} {count} pictures")
    return 0 if report.usable else 1


@data_app.command
def example(folder: Path, /, *, count: int = 600, seed: int = 0) -> None:
    """Make a data set without downloading one: photographs and renderings, and others drawn by a cartoon filter.

    Parameters
    ----------
    folder
        A new folder, for trainA, trainB, testA and testB.
    count
        Pictures in each training folder.
    seed
        Of everything random in it.
    """
    from ugatit_fast.train.example_data import build_example_data

    with phase_bars() as progress:
        counts = build_example_data(folder, count, seed, on_progress=progress)
    for name, pictures in counts.items():
        print(f"{name:8} {pictures} pictures")
    say(f"next: ugatit-fast train --data {folder} --output RUN --light --ch 16 --img-size 128 --cam-weight 10")
