"""Whole runs, seconds long: what they write, how they stop, and how they go on."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.train.conftest import SIDE
from ugatit_fast.errors import BackendUnavailable, InputError, TrainingError
from ugatit_fast.train import loop, metrics
from ugatit_fast.train.checkpoints import checkpoints_in
from ugatit_fast.train.failures import is_out_of_memory, memory_advice
from ugatit_fast.train.loop import train
from ugatit_fast.train.metrics import Metrics, as_time
from ugatit_fast.train.run_folder import held
from ugatit_fast.train.settings import TrainSettings
from ugatit_fast.train.step import Trainer

ROOT = Path(__file__).resolve().parents[2]


def quiet(_: str) -> None:
    pass


def same(a: Any, b: Any) -> bool:
    """Bit for bit, through dicts and lists."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b if not isinstance(a, list) else len(a) == len(b) and all(map(same, a, b))


def content(path: Path) -> dict[str, Any]:
    """A checkpoint without what may differ: where its run wrote."""
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    del loaded["settings"]
    return loaded


def interrupt_after(monkeypatch: pytest.MonkeyPatch, steps: int, number: int) -> None:
    """Send this process a signal after so many steps."""
    take = Trainer.train_step

    def step(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        losses = take(self, a, b)
        if self.step == steps:
            os.kill(os.getpid(), number)
        return losses

    monkeypatch.setattr(Trainer, "train_step", step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twenty_steps_are_ten_a_signal_and_ten_resumed(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Bit for bit: six networks, averaged weights, optimisers, and with loading processes on one side only."""
    settings = replace(settings, iterations=20, save_every=100, log_every=5)
    whole = train(settings, say=quiet)
    halved = replace(settings, output=settings.output.with_name("halved"), workers=1)
    with monkeypatch.context() as patched:
        interrupt_after(patched, 10, number)
        first = train(halved, say=quiet)
    assert (first.step, first.stopped) == (10, True)
    second = train(halved, resume=True, say=quiet)
    assert (second.step, second.stopped) == (20, False)
    assert same(content(whole.checkpoint), content(second.checkpoint))


def test_a_run_writes_checkpoints_metrics_and_samples(settings: TrainSettings) -> None:
    lines: list[str] = []
    settings = replace(settings, iterations=7, keep=2, sample_every=7)
    trained = train(settings, say=lines.append)
    assert [path.name for path in checkpoints_in(settings.output / "checkpoints")] == [
        "noise_params_0000006.pt",
        "noise_params_0000007.pt",
    ]
    assert trained.checkpoint.name == "noise_params_0000007.pt"
    records = [json.loads(line) for line in (settings.output / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 6, 7]
    assert {"discriminator", "generator", "adv", "cycle", "identity", "cam", "lr", "images_per_second"} <= set(
        records[0]
    )
    assert records[-1]["memory_bytes"] > 0
    assert any(line.startswith("step 7/7") and "left" in line for line in lines)
    assert any("batch_size" in line for line in lines)
    for name in ("A2B_0000007.png", "B2A_0000007.png"):
        assert Image.open(settings.output / "samples" / name).size == (4 * SIDE, 7 * SIDE)  # 3 training, 1 test
    sample = np.asarray(Image.open(settings.output / "samples" / "A2B_0000007.png"))
    original = Image.open(settings.data / "trainA" / "0.png").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(sample[:SIDE, :SIDE], original)


def test_resuming_drops_the_lines_after_the_checkpoint(settings: TrainSettings) -> None:
    train(settings, say=quiet)
    checkpoints_in(settings.output / "checkpoints")[-1].unlink()  # as if cut off after step 2
    train(settings, resume=True, say=quiet)
    lines = (settings.output / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]


def test_a_finished_run_has_nothing_left_to_do(settings: TrainSettings) -> None:
    first = train(settings, say=quiet)
    assert train(settings, resume=True, say=quiet) == first


def test_a_run_is_not_overwritten_and_none_is_made_up(settings: TrainSettings) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume"):
        train(settings, resume=True, say=quiet)
    train(settings, say=quiet)
    with pytest.raises(InputError, match="--resume"):
        train(settings, say=quiet)


def test_two_runs_into_one_folder(settings: TrainSettings) -> None:
    with held(settings.output), pytest.raises(InputError, match="another run is training"):
        train(settings, say=quiet)
    train(settings, say=quiet)


def test_a_loss_that_is_no_number_stops_and_names_the_last_good_checkpoint(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Trainer.train_step

    def step(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        return take(self, a * float("nan") if self.step == 2 else a, b)

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(TrainingError, match=r"no longer finite.*noise_params_0000002\.pt"):
        train(settings, say=quiet)
    assert [path.name for path in checkpoints_in(settings.output / "checkpoints")] == ["noise_params_0000002.pt"]


def test_a_full_disk_costs_a_checkpoint_and_says_so(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    write = loop.save_checkpoint

    def full_at_2(trainer: Trainer, path: Path) -> None:
        if trainer.step == 2:
            raise InputError(f"cannot write {path}: the disk is full")
        write(trainer, path)

    monkeypatch.setattr(loop, "save_checkpoint", full_at_2)
    with pytest.warns(UserWarning, match="the disk is full; training goes on"):
        assert train(settings, say=quiet).step == 4


def test_a_full_disk_at_the_end_is_an_error(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(trainer: Trainer, path: Path) -> None:
        raise InputError(f"cannot write {path}: the disk is full")

    monkeypatch.setattr(loop, "save_checkpoint", full)
    with pytest.warns(UserWarning, match="disk is full"), pytest.raises(InputError, match="disk is full"):
        train(settings, say=quiet)


def test_a_loading_process_that_dies(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Trainer.train_step

    def step(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        for child in multiprocessing.active_children():
            child.kill()
        return take(self, a, b)

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(TrainingError, match=r"process that loads images died.*no checkpoint yet"):
        train(replace(settings, iterations=50, save_every=50, workers=1), say=quiet)


def test_out_of_memory_says_what_would_help(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(TrainingError, match=r"out of memory .*--recompute.*--ch 1 .*no checkpoint yet"):
        train(settings, say=quiet)
    advice = memory_advice(replace(settings, ch=64, n_res=4, img_size=256, light=False, batch_size=4), 10**10)
    # (2 x 278.96 M + 112.84 M) x 16 bytes + 2 x 278.96 M x 4 bytes, by the published networks' parameter counts
    assert "take 13.0 GB" in advice
    assert all(option in advice for option in ("of 10.0 GB", "--light (weights 2.2 GB)", "--batch-size 2", "--ch 32"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_broken_pictures_are_said_once_and_counted(settings: TrainSettings) -> None:
    (settings.data / "trainA" / "0.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"skipped: .*0\.png") as warned:
        train(settings, say=quiet)
    assert sum("0.png" in str(warning.message) for warning in warned) == 1
    assert json.loads((settings.output / "metrics.jsonl").read_text().splitlines()[-1])["files_skipped"] == 1


def test_tensorboard_is_asked_for_or_not_needed(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(settings, say=quiet)
    with pytest.raises(BackendUnavailable, match=r"pip install .*\[train\]"):
        train(replace(settings, output=settings.output.with_name("board"), tensorboard=True), say=quiet)


def test_tensorboard_shows_every_line_of_the_metrics(settings: TrainSettings) -> None:
    """Written by the real package and read back with it; a resumed run's events take the place of those cut off."""
    settings = replace(settings, tensorboard=True)
    train(settings, say=quiet)
    checkpoints_in(settings.output / "checkpoints")[-1].unlink()  # as if cut off after step 2
    time.sleep(1.1)  # event files are read in the order of their names, which say the second
    train(settings, resume=True, say=quiet)
    board = EventAccumulator(str(settings.output / "tensorboard"))
    board.Reload()
    records = [json.loads(line) for line in (settings.output / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4]
    assert set(board.Tags()["scalars"]) == set(records[0])
    for name in ("generator", "discriminator", "cycle", "lr", "files_skipped"):
        events = board.Scalars(name)
        assert [event.step for event in events] == [2, 4]
        assert [event.value for event in events] == pytest.approx([record[name] for record in records], rel=1e-6)


def test_one_picture_a_domain_smaller_than_the_crop_will_do(settings: TrainSettings) -> None:
    for name in ("trainA", "trainB"):
        for file in (settings.data / name).iterdir():
            file.unlink()
        Image.new("RGB", (9, 5), "red").save(settings.data / name / "only.png")
    assert train(replace(settings, iterations=2, batch_size=2), say=quiet).step == 2


def test_two_processes_train_as_one_with_the_joint_batch(settings: TrainSettings) -> None:
    """By torchrun and gloo; the sums differ in order only."""
    settings = replace(settings, iterations=2, batch_size=2, ema=0)
    alone = content(train(settings, say=quiet).checkpoint)
    output = settings.output.with_name("shared")
    program = (
        "import torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from ugatit_fast.train.loop import train; from ugatit_fast.train.settings import TrainSettings\n"
        f"values = {replace(settings, output=output).plain()!r}\n"
        "train(TrainSettings(**values | {name: Path(values[name]) for name in ('data', 'output')}))"
    )
    script = output.with_suffix(".py")
    script.write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("training on cpu") == 1
    shared = content(checkpoints_in(output / "checkpoints")[-1])
    for network in ("genA2B", "genB2A", "disGA", "disLB"):
        for name, tensor in alone[network].items():
            # Adam's first steps are lr times a gradient's sign, whose rounding shows where the gradient is nearly 0.
            assert (shared[network][name] - tensor).abs().mean() < 1e-6, f"{network}.{name}"


def test_the_first_step_says_what_the_run_will_take(settings: TrainSettings) -> None:
    lines: list[str] = []
    seen: list[tuple[int, int]] = []
    train(settings, say=lines.append, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, 4) for step in range(5)]
    said = [line for line in lines if line.startswith("the first step took")]
    assert len(said) == 1
    assert "the other 3 take" in said[0]
    assert "arithmetic" not in said[0]
    lines.clear()
    train(replace(settings, iterations=5), resume=True, say=lines.append)
    assert not any("at that pace" in line for line in lines)  # nothing is left after it


def test_the_first_step_says_how_much_less_a_small_run_is(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 2.0])
    monkeypatch.setattr(metrics, "perf_counter", lambda: next(times))
    settings.output.mkdir()
    lines: list[str] = []
    full = replace(settings, ch=64, img_size=256, iterations=2001)
    Metrics(full, torch.device("cpu"), 0, lines.append).first({"adv": torch.zeros(())})
    expected = (
        "the first step took 2 s, getting ready included; at that pace the other 2,000 take 1 h 6 min; "
        "--ch 16 --img-size 128 is about 64 times less arithmetic"
    )
    assert lines == [expected]


def test_ctrl_c_is_answered_before_the_step_is_done(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    answered_during: list[bool] = []
    take = Trainer.train_step

    def step(self: Trainer, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and not any("finishing this step" in line for line in lines):
                time.sleep(0.01)
            answered_during.append(any("finishing this step, then saving" in line for line in lines))
        return take(self, a, b)

    monkeypatch.setattr(Trainer, "train_step", step)
    assert train(settings, say=lines.append).stopped
    assert answered_during == [True]
    lines.clear()
    train(settings, resume=True, say=lines.append)
    assert not any("finishing this step" in line for line in lines)


def test_a_batch_that_cannot_be_shared_evenly(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="can't be shared by 2 processes"):
        train(settings, say=quiet)


def test_speed_and_time_left_are_those_of_the_last_steps(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's sleep before the first line is forgotten at the second."""
    times = iter([0.0, 3600.0, 3601.0])
    monkeypatch.setattr(metrics, "perf_counter", lambda: next(times))
    settings.output.mkdir()
    settings = replace(settings, iterations=100)
    log = Metrics(settings, torch.device("cpu"), 10, quiet)
    for step in (20, 30):
        log.log(step, {}, 1e-4, 0)
    slow, usual = (json.loads(line) for line in log.path.read_text().splitlines())
    assert slow["images_per_second"] == pytest.approx(2 * 10 / 3600)
    assert usual["images_per_second"] == pytest.approx(2 * 10)
    assert usual["seconds_left"] == pytest.approx(7)


def test_times_as_people_say_them() -> None:
    said = {
        0: "0 s", 0.4: "0 s", 6: "6 s", 60: "1 min", 66: "1 min 6 s", 3600: "1 h", 3602: "1 h", 3900: "1 h 5 min",
        86_400: "1 d", 86_700: "1 d", 90_000: "1 d 1 h", 400_000: "4 d 15 h",
    }  # fmt: skip
    assert {seconds: as_time(seconds) for seconds in said} == said
