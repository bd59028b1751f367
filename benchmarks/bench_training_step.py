"""One training step, ours and the published one, on the same images: `pytest benchmarks/bench_training_step.py`.

Light, ch 16, 128x128 on a CPU; ch 64, 256x256 on a GPU, where bf16 is a contender too. Contenders start from the same
weights, and their losses are compared before anything is timed. The loader runs alone, with two processes.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.published_training import PublishedTraining
from ugatit_fast.train.data import Places, batches, training_files
from ugatit_fast.train.settings import TrainPrecision, TrainSettings
from ugatit_fast.train.step import Trainer, generator_config

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
CH, SIDE = (64, 256) if ON_GPU else (16, 128)
CONTENDERS = ("published", "ours", "ours bf16") if ON_GPU else ("published", "ours")
ROUNDS = 9
LOADER_STEPS = 100
RELATIVE_ERROR = {"ours": 1e-4, "ours bf16": 0.05}


def settings_for(data: Path, contender: str = "ours", workers: int = 0) -> TrainSettings:
    precision: TrainPrecision = "bf16" if contender == "ours bf16" else "fp32"
    return TrainSettings(data=data, output=data, light=True, ch=CH, img_size=SIDE, precision=precision, workers=workers)


def contender_step(name: str, images: tuple[Tensor, Tensor]) -> Callable[[], float]:
    """One step of a contender, until its work is done; gives the generators' loss."""
    trainer = Trainer(settings_for(Path(), name), DEVICE)
    a, b = (image.contiguous(memory_format=torch.channels_last) for image in images)

    def ours() -> float:
        return trainer.train_step(a, b)["generator"].item()

    if name != "published":
        return ours
    published = PublishedTraining(generator_config(trainer.settings))
    for network, module in published.networks().items():
        module.to(DEVICE).load_state_dict(getattr(trainer.networks, network).state_dict())

    def theirs() -> float:
        return published.step(*images)[1].item()

    return theirs


@pytest.mark.parametrize("contender", CONTENDERS)
def test_training_step(benchmark: Any, contender: str) -> None:
    torch.manual_seed(0)
    real_a, real_b = (torch.rand(2, 1, 3, SIDE, SIDE, device=DEVICE) * 2 - 1).unbind()
    expected = contender_step("published", (real_a, real_b))()
    step = contender_step(contender, (real_a, real_b))
    assert step() == pytest.approx(expected, rel=RELATIVE_ERROR.get(contender, 0))
    if ON_GPU:
        torch.cuda.reset_peak_memory_stats()
    benchmark.pedantic(step, rounds=ROUNDS, warmup_rounds=2)
    if ON_GPU:
        benchmark.extra_info["peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)


def test_loader_alone(tmp_path: Path) -> None:
    """Two processes deliver at least five times the images that a CPU step consumes."""
    for domain in ("trainA", "trainB"):
        (tmp_path / domain).mkdir()
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 256, (256, 256, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / domain / f"{i}.jpg", quality=95)
    loader = batches(settings_for(tmp_path, workers=2), training_files(tmp_path), Places(0, LOADER_STEPS, 1))
    iterator = iter(loader)
    next(iterator)
    started = perf_counter()
    loaded_s = (sum(1 for _ in iterator) and perf_counter() - started) / (LOADER_STEPS - 1)
    images = (torch.rand(2, 1, 3, SIDE, SIDE, device=DEVICE) * 2 - 1).unbind()
    step = contender_step("ours", (images[0], images[1]))
    step()
    started = perf_counter()
    step()
    step_s = perf_counter() - started
    print(f"loader {2 / loaded_s:.0f} images/s, step {2 / step_s:.1f} images/s")
    assert ON_GPU or loaded_s * 5 <= step_s
