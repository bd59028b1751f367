"""The files of a run: everything that training needs to go on, and the six networks as published beside it.

A checkpoint is one .pt file of tensors and plain values. At its top are the six published names, so that every command
reads it as it is: `genA2B` and `genB2A` are the weights to translate with (the averaged ones where the run averages).
Under "training" is what only `--resume` needs.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ugatit_fast.checkpoint import DIRECTIONS, read_checkpoint, ugatit_config
from ugatit_fast.checkpoint.pytorch import TRAINING_FORMAT, in_memory, read_torch_file
from ugatit_fast.errors import CheckpointError, InputError, first_line
from ugatit_fast.files import make_folder, written_whole
from ugatit_fast.train.settings import ARCHITECTURE, STREAM, Cam, Norm, TrainSettings
from ugatit_fast.train.step import Trainer, generator_config

FORMAT_VERSION = 1
NETWORKS = ("genA2B", "genB2A", "disGA", "disGB", "disLA", "disLB")
STEP_IN_NAME = re.compile(r"_params_(\d+)\.pt$")


def checkpoint_name(settings: TrainSettings, step: int) -> str:
    """As published: the data set's name and the step."""
    return f"{settings.data.resolve().name}_params_{step:07d}.pt"


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of a run's folder, oldest first."""
    found = [(int(match[1]), path) for path in folder.glob("*.pt") if (match := STEP_IN_NAME.search(path.name))]
    return [path for _, path in sorted(found)]


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write everything. Atomic: what was there stays where it fails, with an InputError."""
    networks = {name: plain_state(getattr(trainer.networks, name)) for name in NETWORKS}
    training = {
        "optimizer_generators": trainer.optimizer_generators.state_dict(),
        "optimizer_discriminators": trainer.optimizer_discriminators.state_dict(),
        "scaler": trainer.scaler.state_dict(),
    }
    if trainer.averaged is not None:
        training |= {name: networks[name] for name in ("genA2B", "genB2A")}
        networks |= {name: plain_state(getattr(trainer.averaged, name)) for name in ("genA2B", "genB2A")}
    content = {
        "format": TRAINING_FORMAT,
        "format_version": FORMAT_VERSION,
        "step": trainer.step,
        "config": asdict(generator_config(trainer.settings)),
        "settings": trainer.settings.plain(),
        "training": training,
    }
    write_torch_file(path, networks | content)


def save_latest(trainer: Trainer, folder: Path) -> None:
    """Write the six networks alone, as published, to NAME_params_latest.pt beside a run's folder NAME. Atomic."""
    networks = {name: plain_state(getattr(trainer.networks, name)) for name in NETWORKS}
    write_torch_file(folder.with_name(f"{folder.name}_params_latest.pt"), networks)


def write_torch_file(path: Path, content: Mapping[str, object]) -> None:
    with written_whole(path) as partial:
        try:
            torch.save(dict(content), partial)
        except RuntimeError as error:  # how torch's writer reports that it could not write
            raise OSError(first_line(error)) from error


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """A state dict in the layout that every reader takes."""
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def read_training(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that `save_checkpoint` wrote. Raises CheckpointError for anything else."""
    try:
        content = in_memory(read_torch_file(path)[0])
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} doesn't exist; check the name") from error
    if not isinstance(content, dict) or content.get("format") != TRAINING_FORMAT:
        raise CheckpointError(
            f"{path} is no checkpoint of ugatit-fast train, which alone has what resuming needs; translate with it, or "
            "start a new run"
        )
    if content["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {content['format_version']}; this ugatit-fast reads up to {FORMAT_VERSION}: "
            "upgrade it with pip install -U ugatit-fast"
        )
    return content


def restore(trainer: Trainer, path: Path) -> list[str]:
    """Put a trainer in the state that a checkpoint holds. Returns what is set differently from then, for people.

    Raises CheckpointError where it is of another architecture, or of a run over other images.
    """
    content = read_training(path)
    then, now = content["settings"], trainer.settings.plain()
    fixed = [name for name in (*ARCHITECTURE, *STREAM) if then[name] != now[name]]
    if fixed:
        differences = ", ".join(f"{name} {then[name]}, not {now[name]}" for name in fixed)
        raise CheckpointError(f"{path} was trained with {differences}; resume with what it has, or start a new run")
    training = content["training"]
    for name in NETWORKS:
        getattr(trainer.networks, name).load_state_dict(training.get(name, content[name]))
    trainer.optimizer_generators.load_state_dict(training["optimizer_generators"])
    trainer.optimizer_discriminators.load_state_dict(training["optimizer_discriminators"])
    if training["scaler"] and trainer.scaler.is_enabled():
        trainer.scaler.load_state_dict(training["scaler"])
    if trainer.averaged is not None:
        for name in ("genA2B", "genB2A"):
            getattr(trainer.averaged, name).load_state_dict(content[name])
    trainer.step = content["step"]
    return [f"{name} {now[name]}, was {then[name]}" for name in now if then.get(name) != now[name]]


def start_from(trainer: Trainer, weights: str) -> None:
    """Let both generators of a new trainer begin with trained weights; the discriminators stay as they were drawn.

    weights: what `read_checkpoint` finds both directions by. A light generator fits any side. Raises InputError for an
    ablation, and CheckpointError where the weights are of another architecture, or of one direction.
    """
    if trainer.settings.norm != "adalin" or trainer.settings.cam in ("discriminator", "none"):
        raise InputError("an ablation has other parameters than trained generators; leave out start_from")
    trained = [read_checkpoint(weights, direction) for direction in DIRECTIONS]
    expected = asdict(generator_config(trainer.settings))
    for checkpoint in trained:
        found = asdict(ugatit_config(checkpoint, "training")) | (
            {"img_size": expected["img_size"]} if expected["light"] else {}
        )
        if differences := ", ".join(
            f"{name} {found[name]}, not {expected[name]}" for name in found if found[name] != expected[name]
        ):
            raise CheckpointError(f"{weights} has {differences}; train with what it has, or start from other weights")
    states = [checkpoint.generator().state_dict() for checkpoint in trained]
    if all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items()):
        raise CheckpointError(
            f"{weights} holds one generator, and training starts from two; name weights of both directions"
        )
    for networks in (trainer.networks, trainer.averaged):
        for generator, state in zip(networks.generators() if networks else (), states, strict=False):
            generator.load_state_dict(state)


def is_finite(trainer: Trainer) -> bool:
    """Whether every weight is a number."""
    return all(bool(tensor.isfinite().all()) for tensor in trainer.networks.state_dict().values())


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest checkpoints."""
    for path in checkpoints_in(folder)[:-keep]:
        path.unlink(missing_ok=True)


def export_official(checkpoint: Path, target: Path) -> Path:
    """Write the six networks of a checkpoint, and nothing else, as the published code saves and loads them.

    target: a name ending in .pt, or a folder, made if missing, for a file of the checkpoint's name, which the published
    code looks for. Returns the file. Raises CheckpointError for anything but a checkpoint of ours, and InputError for
    ablations, which that code doesn't have, and where the file can't be written.
    """
    content = read_training(checkpoint)
    settings = content["settings"]
    refuse_ablation(settings["norm"], settings["cam"])
    if target.suffix != ".pt" or target.is_dir():
        make_folder(target)
        target /= checkpoint.name
    if target.exists() and target.samefile(checkpoint):
        raise InputError(f"{target} is the checkpoint itself, which --resume needs as it is; name another file")
    write_torch_file(target, {name: content[name] for name in NETWORKS})
    return target


def refuse_ablation(norm: Norm, cam: Cam) -> None:
    """InputError for networks that the published code doesn't have."""
    if (norm, cam) != ("adalin", "both"):
        raise InputError(f"the published code has no network with norm {norm} and cam {cam}; leave out the export")
