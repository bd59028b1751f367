"""A data set of noise, the smallest networks that the recipe allows, and settings that train them in milliseconds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ugatit_fast.train.settings import TrainSettings

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
