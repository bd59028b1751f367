"""`ugatit-fast train` from its flags to files, and what it says of bad input, on one line."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.train.conftest import Run
from tests.train.test_loop import interrupt_after
from tests.train.test_step import CPU
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.train.checkpoints import checkpoint_name, save_checkpoint
from ugatit_fast.train.settings import TrainSettings
from ugatit_fast.train.step import Trainer


def flags(settings: TrainSettings) -> list[str]:
    """The command line that means these settings."""
    words = []
    for name, value in settings.plain().items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words


def test_training_also_writes_the_published_file_if_asked(settings: TrainSettings, run: Run) -> None:
    code, out, err = run("train", *flags(replace(settings, iterations=1)), "--export-official")
    assert code == 0
    published = settings.output / "published" / "noise_params_0000001.pt"
    assert str(published) in out
    assert "next: ugatit-fast build-engine" in err
    assert read_checkpoint(published).format == "published file of networks (.pt)"
    assert [file.name for file in published.parent.iterdir()] == [published.name]


def test_so_does_a_run_that_is_stopped(settings: TrainSettings, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, 1, signal.SIGINT)
    code, _, _ = run("train", *flags(settings), "--export-official")
    assert code == 130
    assert (settings.output / "published" / "noise_params_0000001.pt").is_file()


def begun(settings: TrainSettings) -> Path:
    """The checkpoint of a run that was stopped before its first step."""
    folder = settings.output / "checkpoints"
    folder.mkdir(parents=True)
    path = folder / checkpoint_name(settings, 0)
    save_checkpoint(Trainer(settings, CPU), path)
    return path


def test_a_checkpoint_is_exported_later(settings: TrainSettings, run: Run, tmp_path: Path) -> None:
    code, out, _ = run("train", "export-official", begun(settings), tmp_path / "official.pt")
    assert (code, out.strip()) == (0, str(tmp_path / "official.pt"))
    assert read_checkpoint(tmp_path / "official.pt", "B2A").step is None
    code, out, err = run("train", "export-official", tmp_path / "official.pt", tmp_path / "again.pt")
    assert (code, out) == (1, "")
    assert "no checkpoint of ugatit-fast train" in err


def test_an_ablation_is_not_trained_before_its_export_is_refused(settings: TrainSettings, run: Run) -> None:
    code, _, err = run("train", *flags(replace(settings, norm="in")), "--export-official")
    assert code == 1
    assert "no network with norm in" in err
    assert not settings.output.exists()


def emptied(settings: TrainSettings) -> None:
    for file in (settings.data / "trainB").iterdir():
        file.unlink()


def damaged(settings: TrainSettings) -> None:
    checkpoint = begun(settings)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])


def nothing(_: TrainSettings) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "changes", "more", "message"),
    [
        (nothing, {"data": Path("nowhere")}, [], "trainA doesn't exist"),
        (emptied, {}, [], "trainB holds no pictures"),
        (nothing, {}, ["--resume"], "no checkpoint to resume from"),
        (begun, {}, [], "holds a run already"),
        (begun, {"ch": 4, "n_res": 2}, ["--resume"], "ch 2, not 4, n_res 1, not 2"),
        (damaged, {}, ["--resume"], "truncated or damaged"),
        (nothing, {"img_size": 50}, [], "multiple of 4"),
    ],
    ids=["no data", "no pictures", "nothing to resume", "a run already", "another architecture", "damaged", "size"],
)
def test_bad_input_is_one_line(
    settings: TrainSettings, run: Run, before: Any, changes: dict[str, Any], more: list[str], message: str
) -> None:
    before(settings)
    words = flags(settings)
    for name, value in changes.items():
        words[words.index(f"--{name.replace('_', '-')}") + 1] = str(value)
    code, out, err = run("train", *words, *more)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err
