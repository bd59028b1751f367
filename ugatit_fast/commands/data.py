"""`ugatit-fast data`."""

from pathlib import Path

from cyclopts import App

from ugatit_fast.backends.extras import lacking
from ugatit_fast.commands.arguments import phase_bars, say_next
from ugatit_fast.train.settings import TrainSettings

data_app = App(name="data", help="Look after data sets.")


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
    from ugatit_fast.train.example.example_data import build_example_data

    with phase_bars() as progress:
        counts = build_example_data(folder, count, seed, on_progress=progress)
    for name, pictures in counts.items():
        print(f"{name:8} {pictures} pictures")
    train = f"ugatit-fast train --data {folder} --output RUN --light --ch 16 --img-size 128 --cam-weight 10"
    say_next(train, lacking(("train",)))
