"""A data set of noise, the smallest networks that the recipe allows, and settings that train them in milliseconds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ugatit_fast import cli
from ugatit_fast.train.evaluation.inception import WIDTH
from ugatit_fast.train.settings import TrainSettings

Run = Callable[..., tuple[int, str, str]]
"""A command line's words -> exit code, stdout, stderr."""

PICTURES = 3
SIDE = 96


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """trainA and trainB of three pictures each, testA and testB of one."""
    folder = tmp_path / "noise"
    for number, (name, count) in enumerate({"trainA": PICTURES, "trainB": PICTURES, "testA": 1, "testB": 1}.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng((number, i)).integers(0, 256, (100, 120, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def settings(data: Path, tmp_path: Path) -> TrainSettings:
    return tiny(data=data, output=tmp_path / "run")


def tiny(**changes: Any) -> TrainSettings:
    smallest = TrainSettings(
        data=Path("data"),
        output=Path("run"),
        ch=2,
        n_res=1,
        img_size=SIDE,
        light=True,
        iterations=4,
        workers=0,
        device="cpu",
        log_every=2,
        sample_every=100,
        save_every=2,
    )
    return replace(smallest, **changes)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def rows_of(n: int, seed: int = 0, shift: float = 0) -> NDArray[np.float32]:
    """Features of as many pictures as an Inception network might make them, at random."""
    return np.random.default_rng(seed).normal(shift, 1, (n, WIDTH)).astype(np.float32)
