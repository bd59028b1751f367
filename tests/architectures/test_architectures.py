"""What every architecture has, and what is said of it."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import torch

from ugatit_fast.architectures import ARCHITECTURES, Architecture, architecture_called, architecture_of
from ugatit_fast.checkpoint import read_checkpoint, save_generator
from ugatit_fast.choices import ArchitectureName, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Config, Generator, GeneratorConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")


def test_names_are_those_that_can_be_asked_for() -> None:
    assert {one.name for one in ARCHITECTURES} == set(get_args(ArchitectureName))
    assert len({one.title for one in ARCHITECTURES}) == len(ARCHITECTURES)


def test_the_page_has_a_row_for_each_and_no_other() -> None:
    assert re.findall(r"^\| [^|]+ \| `(\w+)` \|", PAGE, re.MULTILINE) == [one.name for one in ARCHITECTURES]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_settings_make_the_config_again(architecture: Architecture[Config]) -> None:
    config = architecture.config()
    assert architecture_of(config) is architecture_called(config.architecture) is architecture
    again = architecture.configured(config.settings(), 64)
    assert again.settings() == config.settings()
    assert again.training_side == 64
    assert all(type(getattr(config, field.name)) is type(field.default) for field in fields(config))


@pytest.mark.parametrize("hints", [Hints(norm="batch-running"), Hints(upsample="half-pixel")], ids=["norm", "upsample"])
def test_a_hint_that_decides_nothing_is_refused(hints: Hints, tmp_path: Path) -> None:
    network = Generator(GeneratorConfig(ch=4, n_res=1, light=True))
    torch.save({"genA2B": network.state_dict()}, tmp_path / "x_params_latest.pt")
    with pytest.raises(CheckpointError, match=r"of U-GAT-IT, about which (norm|upsample) \S+ decides nothing"):
        read_checkpoint(tmp_path / "x_params_latest.pt", hints=hints)
    save_generator(tmp_path / "x.safetensors", network, "A2B")
    with pytest.raises(CheckpointError, match=r"its (norm|upsample) is none, got \S+; leave --\1 out"):
        read_checkpoint(tmp_path / "x.safetensors", hints=hints)
