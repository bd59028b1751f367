"""`ugatit-fast data`."""

from pathlib import Path

from cyclopts import App

from ugatit_fast.backends.extras import lacking
from ugatit_fast.commands.arguments import phase_bars, say, say_next
from ugatit_fast.train.settings import TrainSettings

data_app = App(name="data", help="Look after data sets.")


@data_app.command
def check(folder: Path, /, *, img_size: int = TrainSettings.img_size) -> int:
    """Say what is wrong with a data set; exit 1 where training can't start or a file is broken.

    ```
    ugatit-fast data check my-set
    ugatit-fast data check my-set --img-size 128
    ```

    Parameters
    ----------
    folder
        The one with trainA, trainB and, where there are any, testA and testB in it.
    img_size
        Side of the training images in pixels.
    """
    from ugatit_fast.train.data_check import check_data

    report = check_data(folder, img_size)
    for name, count in report.counts.items():
        print(f"{name:8} {count} pictures")
    for finding in report.findings:
        print(f"{'problem' if finding.grave else 'note':8} {finding.text}")
    return 0 if report.sound else 1


@data_app.command
def get(name: str, folder: Path | None = None, /, *, archive: Path | None = None) -> int:
    """Fetch a data set of the paper from where its authors put it, and check it.

    ```
    ugatit-fast data get horse2zebra
    ugatit-fast data get selfie2anime faces --archive selfie2anime.zip
    ```

    Parameters
    ----------
    name
        selfie2anime, horse2zebra, cat2dog, photo2portrait or photo2vangogh.
    folder
        A new folder, for trainA, trainB, testA and testB; one of that name unless given.
    archive
        Its zip file, where you have downloaded it yourself.
    """
    from ugatit_fast.train.published_data import get_data

    target = folder or Path(name)
    with phase_bars() as progress:
        get_data(name, target, archive, say=say, on_progress=progress)
    return check(target)


@data_app.command
def example(folder: Path, /, *, count: int = 1200, seed: int = 0) -> None:
    """Make a data set from the photographs inside installed packages: some as they are, others as prints in two inks.

    ```
    ugatit-fast data example prints
    ugatit-fast data example prints --count 200 --seed 1
    ```

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
    from ugatit_fast.train.example.photographs import missing_debian_packages

    if missing := missing_debian_packages():
        say(f"some photographs aren't here; with more of them, results are better: apt-get install {' '.join(missing)}")
    with phase_bars() as progress:
        counts = build_example_data(folder, count, seed, on_progress=progress)
    for name, pictures in counts.items():
        print(f"{name:8} {pictures} pictures")
    train = f"ugatit-fast train --data {folder} --output RUN --light --ch 16 --img-size 128 --cam-weight 10"
    say_next(train, lacking(("train",)))
