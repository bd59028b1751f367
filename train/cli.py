"""`ugatit-fast train` and `data check`."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Toml

from ugatit_fast.arguments import Flag, say
from ugatit_fast.errors import InputError
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


@train_app.default
def train_command(
    settings: Annotated[TrainSettings, Parameter(name="*")], *, config: Path | None = None, resume: Flag = False
) -> int:
    """Train a pair of generators on two folders of pictures; Ctrl-C saves, --resume goes on.

    Parameters
    ----------
    config
        A TOML file of these settings by name; flags win.
    resume
        Go on with the run in the output folder.
    """
    from ugatit_fast.train.loop import train

    trained = train(settings, resume=resume, say=say)
    if os.environ.get("RANK", "0") == "0":  # under torchrun, one process speaks
        print(f"{trained.checkpoint}: step {trained.step} of {settings.iterations}")
        say(f"next: ugatit-fast build-engine {trained.checkpoint}")
    return 130 if trained.stopped else 0


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

    for name, pictures in build_example_data(folder, count, seed).items():
        print(f"{name:8} {pictures} pictures")
    say(f"next: ugatit-fast train --data {folder} --output RUN --light --ch 16 --img-size 96")
