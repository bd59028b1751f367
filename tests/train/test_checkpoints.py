"""What a run writes: whole or not at all, readable by every command, and by the published code."""

import resource
from pathlib import Path

import pytest
import torch

from benchmarks.published_training import PublishedTraining
from tests.train.conftest import tiny
from tests.train.test_step import CPU, random_batch
from ugatit_fast.checkpoint import DIRECTIONS, read_checkpoint
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.train.checkpoints import (
    checkpoint_name,
    checkpoints_in,
    export_official,
    prune,
    restore,
    save_checkpoint,
    start_from,
)
from ugatit_fast.train.step import Trainer, generator_config


@pytest.fixture
def trainer() -> Trainer:
    trained = Trainer(tiny(ema=0.9), CPU)
    trained.train_step(*random_batch(0))
    return trained


def test_every_command_reads_a_checkpoint_and_gets_the_averaged_weights(trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / checkpoint_name(trainer.settings, 1)
    save_checkpoint(trainer, path)
    for direction, averaged in zip(("A2B", "B2A"), trainer.translators(), strict=True):
        checkpoint = read_checkpoint(path, direction)  # type: ignore[arg-type]
        assert checkpoint.step == 1
        assert checkpoint.directions == ("A2B", "B2A")
        image = torch.rand(1, 3, 96, 96)
        torch.testing.assert_close(checkpoint.generator()(image)[0], averaged(image)[0], rtol=0, atol=1e-5)


def test_restoring_gives_the_same_next_step(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    restored = Trainer(tiny(ema=0.9, seed=0), CPU)
    assert restore(restored, tmp_path / "x_params_1.pt") == []
    assert restored.step == 1
    assert restored.train_step(*random_batch(1)) == trainer.train_step(*random_batch(1))
    for mine, theirs in zip(
        restored.networks.state_dict().values(), trainer.networks.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    "change", [{"ch": 4}, {"n_res": 2}, {"cam": "none"}, {"norm": "in"}, {"light": False}, {"seed": 5}]
)
def test_another_architecture_or_stream_is_refused_by_name(
    trainer: Trainer, tmp_path: Path, change: dict[str, object]
) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    with pytest.raises(CheckpointError, match=next(iter(change))):
        restore(Trainer(tiny(**change), CPU), tmp_path / "x_params_1.pt")


def test_other_settings_may_change_and_are_told(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    other = Trainer(tiny(ema=0.9, weight_decay=0.5, lr=0.01), CPU)
    assert sorted(restore(other, tmp_path / "x_params_1.pt")) == ["lr 0.01, was 0.0001", "weight_decay 0.5, was 0.0001"]
    other.train_step(*random_batch(1))
    group = other.optimizer_generators.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.01, 0.5)


def test_a_published_file_cannot_be_resumed(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    export_official(tmp_path / "x_params_1.pt", tmp_path / "official.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of ugatit-fast train"):
        restore(trainer, tmp_path / "official.pt")


def test_the_published_networks_load_an_export(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    export_official(tmp_path / "x_params_1.pt", tmp_path / "official.pt")
    content = torch.load(tmp_path / "official.pt", weights_only=True)
    published = PublishedTraining(generator_config(trainer.settings)).networks()
    assert list(content) == list(published)
    for name, network in published.items():
        network.load_state_dict(content[name])  # raises where a name or shape differs
    image = torch.rand(1, 3, 96, 96)
    expected, _ = trainer.networks.disGA.eval()(image)
    torch.testing.assert_close(published["disGA"].eval()(image)[0], expected, rtol=0, atol=1e-5)


def test_an_export_translates_like_its_checkpoint(trainer: Trainer, tmp_path: Path) -> None:
    """Into a folder it goes under the name that the published code looks for, step included."""
    path = tmp_path / checkpoint_name(trainer.settings, 1)
    save_checkpoint(trainer, path)
    exported = export_official(path, tmp_path / "model" / "of")
    assert exported == tmp_path / "model" / "of" / "data_params_0000001.pt"
    for direction in DIRECTIONS:
        ours, published = (read_checkpoint(file, direction) for file in (path, exported))
        assert (published.step, published.format) == (1, "published file of networks (.pt)")
        for name, tensor in ours.tensors.items():
            torch.testing.assert_close(published.tensors[name], tensor, rtol=0, atol=0)


def test_an_export_never_replaces_its_checkpoint(trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "x_params_1.pt"
    save_checkpoint(trainer, path)
    for target in (path, tmp_path):
        with pytest.raises(InputError, match="is the checkpoint itself"):
            export_official(path, target)
    restore(trainer, path)


def test_an_ablation_has_no_published_layout(tmp_path: Path) -> None:
    save_checkpoint(Trainer(tiny(norm="in"), CPU), tmp_path / "x_params_1.pt")
    with pytest.raises(InputError, match="no network with norm in and cam both"):
        export_official(tmp_path / "x_params_1.pt", tmp_path / "official.pt")


@pytest.mark.parametrize("light", [True, False])
def test_a_checkpoint_tells_the_size_that_light_weights_do_not_show(tmp_path: Path, light: bool) -> None:
    """So that an engine is built for it. The name may say another step, or none; the file knows."""
    trainer = Trainer(tiny(img_size=128, light=light, ema=0), CPU)
    trainer.step = 7
    save_checkpoint(trainer, tmp_path / "renamed_params_0000003.pt")
    checkpoint = read_checkpoint(tmp_path / "renamed_params_0000003.pt")
    assert checkpoint.config == generator_config(trainer.settings)
    assert (checkpoint.config.img_size, checkpoint.step) == (128, 7)
    assert checkpoint.format == "checkpoint of ugatit-fast train (.pt)"
    assert checkpoint.dropped == ("genB2A", "disGA", "disGB", "disLA", "disLB", "training")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"ch": 4}}, "its tensors are of"),
        ({"config": {"ch": 2, "n_res": 1, "light": True, "img_size": 0}}, "its tensors are of"),
        ({"config": {"channels": 2}}, "damaged description"),
        ({"config": None}, "damaged description"),
        ({"step": "first"}, "damaged description"),
    ],
)
def test_a_description_that_the_tensors_belie_is_refused(
    trainer: Trainer, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "x_params_1.pt"
    save_checkpoint(trainer, path)
    torch.save(torch.load(path, weights_only=True) | change, path)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_a_full_disk_leaves_the_former_checkpoint(trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "x_params_1.pt"
    save_checkpoint(trainer, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))  # writes fail as on a full disk
    try:
        with pytest.raises(InputError, match=r"cannot write .*x_params_1\.pt"):
            save_checkpoint(trainer, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pruning_keeps_the_newest_by_step(tmp_path: Path) -> None:
    for name in ("x_params_0000002.pt", "x_params_0000010.pt", "x_params_10000000.pt", "other.pt"):
        (tmp_path / name).touch()
    prune(tmp_path, 2)
    assert [path.name for path in checkpoints_in(tmp_path)] == ["x_params_0000010.pt", "x_params_10000000.pt"]
    assert (tmp_path / "other.pt").exists()


def test_a_run_starts_from_trained_generators_and_their_averages(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    fresh = Trainer(tiny(ema=0.9, img_size=128), CPU)  # light weights fit any side
    judge = fresh.networks.disGA.state_dict()
    start_from(fresh, str(tmp_path / "x_params_1.pt"))
    for networks in (fresh.networks, fresh.averaged):
        assert networks is not None
        for mine, theirs in zip(networks.generators(), trainer.translators(), strict=True):
            for name, tensor in theirs.state_dict().items():
                assert torch.equal(mine.state_dict()[name], tensor), name
    assert fresh.step == 0
    assert all(torch.equal(tensor, judge[name]) for name, tensor in fresh.networks.disGA.state_dict().items())


def test_what_a_run_cannot_start_from_is_refused(trainer: Trainer, tmp_path: Path) -> None:
    save_checkpoint(trainer, tmp_path / "x_params_1.pt")
    with pytest.raises(CheckpointError, match="has ch 2, not 3; train with what it has"):
        start_from(Trainer(tiny(ch=3), CPU), str(tmp_path / "x_params_1.pt"))
    with pytest.raises(InputError, match="ablation"):
        start_from(Trainer(tiny(norm="in"), CPU), str(tmp_path / "x_params_1.pt"))
    torch.save(trainer.networks.genA2B.state_dict(), tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match="one generator"):
        start_from(Trainer(tiny(), CPU), str(tmp_path / "one.pt"))
