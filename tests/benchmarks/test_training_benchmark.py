"""benchmarks/training_step.py on the smallest networks: what it writes, and that it believes no wrong step."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import training_step
from ugatit_fast.train.step import Trainer


@pytest.fixture(autouse=True)
def smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CH": 2, "SIDE": 96, "ROUNDS": 2, "WARMUPS": 1, "LOADER_STEPS": 4}.items():
        monkeypatch.setattr(training_step, name, value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures the GPU where there is one")
def test_results_hold_every_contender_and_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = training_step.main(["-o", str(tmp_path / "results.json")])

    found = json.loads((tmp_path / "results.json").read_text())
    assert json.loads(capsys.readouterr().out) == found
    assert set(found["steps"]) == {"published", "ours"}
    assert found["steps"]["published"]["times_as_fast"] == 1
    assert all(len(one["rounds_ms"]) == 2 for one in found["steps"].values())
    assert set(found["passes"]) == {"losses", "speed", "loader"}
    assert found["passes"]["losses"]
    assert code == (0 if all(found["passes"].values()) else 1)


def test_a_step_with_another_loss_is_timed_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Trainer.train_step

    def wrong(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: 1.01 * loss for name, loss in take(self, a, b).items()}

    monkeypatch.setattr(Trainer, "train_step", wrong)
    results = training_step.steps()
    assert results["steps"]["ours"]["loss_off_by"] == pytest.approx(0.01, rel=1e-2)
    assert not training_step.passes({**results, "loader_times_step": 9.0})["losses"]
