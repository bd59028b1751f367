"""One training step, ours and the published one: `python -m benchmarks.training_step [-o FILE]`. Prints JSON; exit 1
where a figure is missed.

Light, ch 16, 128x128 on a CPU; ch 64, 256x256 on a GPU, where bf16 is a contender too. Contenders start from the same
weights, and their first step's losses are compared with convolutions in whole float32 (TF32 alone moves a loss by up
to 4e-4): a difference that is too large is in the file, beside the times. Rounds are interleaved, and ratios are
medians over rounds. On a GPU the peak memory is that of each contender alone. On a CPU the loader runs alone, with two
processes.
"""

import gc
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.published_training import PublishedTraining
from ugatit_fast.bench.environment import condition, machine, now
from ugatit_fast.bench.outputs import script_parser
from ugatit_fast.files import written_whole
from ugatit_fast.train.data import Places, batches, training_files
from ugatit_fast.train.settings import TrainPrecision, TrainSettings
from ugatit_fast.train.step import Trainer, generator_config

Figures = dict[str, Any]
"""What goes into a results file."""

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
CH, SIDE = (64, 256) if ON_GPU else (16, 128)
PUBLISHED = "published"
CONTENDERS: dict[str, TrainPrecision] = {"ours": "fp32", "ours, bf16": "bf16"} if ON_GPU else {"ours": "fp32"}
RELATIVE_ERROR: dict[TrainPrecision, float] = {"fp32": 1e-4, "bf16": 0.05}
"""Of the first step's loss against the published one."""
ROUNDS = 9
WARMUPS = 2
TIMES_AS_FAST = 2.0 if ON_GPU else 1.5
MEMORY_SHARE = 0.5
LOADER_STEPS = 100
TIMES_THE_STEP = 5.0
"""What the loader must deliver of the images that a CPU step takes."""

Step = Callable[[], float]
"""One step, until its work is done; gives the generators' loss."""


def main(arguments: list[str]) -> int:
    parser = script_parser(__doc__)
    parser.add_argument("-o", "--output", type=Path, help="a file for what is printed, too")
    output: Path | None = parser.parse_args(arguments).output
    results = steps() if ON_GPU else {**steps(), **loader()}
    found = {
        "when": now(),
        "machine": asdict(machine()),
        "condition": asdict(condition()),
        "network": f"light, ch {CH}, {SIDE}x{SIDE}, batch 1",
        **results,
        "passes": passes(results),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if output:
        with written_whole(output) as partial:
            partial.write_text(text + "\n")
    return 0 if all(found["passes"].values()) else 1


def passes(results: Figures) -> dict[str, bool]:
    """Which figures are reached: by bf16 on a GPU, by float32 on a CPU."""
    ours = results["steps"][list(CONTENDERS)[-1]]
    reached = {
        "losses": all(results["steps"][name]["loss_off_by"] <= RELATIVE_ERROR[of] for name, of in CONTENDERS.items()),
        "speed": ours["times_as_fast"] >= TIMES_AS_FAST,
    }
    if ON_GPU:
        reached["memory"] = ours["peak_mb"] <= MEMORY_SHARE * results["steps"][PUBLISHED]["peak_mb"]
    else:
        reached["loader"] = results["loader_times_step"] >= TIMES_THE_STEP
    return reached


# The step ---------------------------------------------------------------------------------------------------------


def steps() -> Figures:
    """Every contender's median, how many times as fast as the published step, and its memory on a GPU."""
    torch.manual_seed(0)
    images = (torch.rand(2, 1, 3, SIDE, SIDE, device=DEVICE) * 2 - 1).unbind()
    peaks = {name: peak_mb(name, images) for name in (PUBLISHED, *CONTENDERS)} if ON_GPU else {}
    contenders = {name: step_of(name, images) for name in (PUBLISHED, *CONTENDERS)}
    off_by = losses_off_by(contenders)
    torch.backends.cudnn.benchmark = ON_GPU  # as in a training run; for the published step too
    rounds = [{name: timed_ms(step) for name, step in contenders.items()} for _ in range(WARMUPS + ROUNDS)][WARMUPS:]
    found: Figures = {}
    for name in contenders:
        found[name] = {
            "median_ms": round(median(times[name] for times in rounds), 1),
            "rounds_ms": [round(times[name], 1) for times in rounds],
            "loss_off_by": off_by[name],
            "times_as_fast": round(median(times[PUBLISHED] / times[name] for times in rounds), 2),
            **({"peak_mb": peaks[name]} if ON_GPU else {}),
        }
    return {"steps": found}


def settings_for(precision: TrainPrecision = "fp32", data: Path = Path(), workers: int = 0) -> TrainSettings:
    return TrainSettings(data=data, output=data, light=True, ch=CH, img_size=SIDE, precision=precision, workers=workers)


def step_of(name: str, images: tuple[Tensor, ...]) -> Step:
    """All contenders start from the same weights."""
    trainer = Trainer(settings_for(CONTENDERS.get(name, "fp32")), DEVICE)
    if name != PUBLISHED:
        a, b = (image.contiguous(memory_format=torch.channels_last) for image in images)

        def ours() -> float:
            return trainer.train_step(a, b)["generator"].item()

        return ours
    published = PublishedTraining(generator_config(trainer.settings))
    for network, module in published.networks().items():
        module.to(DEVICE).load_state_dict(getattr(trainer.networks, network).state_dict())

    def theirs() -> float:
        return published.step(*images)[1].item()

    return theirs


def losses_off_by(contenders: dict[str, Step]) -> dict[str, float]:
    """How far, relatively, each first step's loss is from the published one."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False) if ON_GPU else nullcontext():
        losses = {name: step() for name, step in contenders.items()}
    return {name: abs(loss / losses[PUBLISHED] - 1) for name, loss in losses.items()}


def timed_ms(step: Step) -> float:
    started = perf_counter()
    step()
    return (perf_counter() - started) * 1e3


def peak_mb(name: str, images: tuple[Tensor, ...]) -> int:
    """Of a contender alone on the GPU."""
    gc.collect()  # trainers refer to themselves, and would outlive their turn
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = step_of(name, images)
    for _ in range(WARMUPS):
        step()
    return round(torch.cuda.max_memory_allocated() / 1e6)


# The loader -------------------------------------------------------------------------------------------------------


def loader() -> dict[str, float]:
    """Images a second of two loading processes alone, and how many times those that steps take."""
    with TemporaryDirectory() as name:
        data = Path(name)
        write_noise(data)
        loading = batches(settings_for(data=data, workers=2), training_files(data), Places(0, LOADER_STEPS, 1))
        iterator = iter(loading)
        next(iterator)
        started = perf_counter()
        loaded_s = (sum(1 for _ in iterator) and perf_counter() - started) / (LOADER_STEPS - 1)
    step = step_of("ours", (torch.rand(2, 1, 3, SIDE, SIDE, device=DEVICE) * 2 - 1).unbind())
    step_ms = median([timed_ms(step) for _ in range(WARMUPS + 3)][WARMUPS:])
    return {
        "loader_images_per_second": round(2 / loaded_s, 1),
        "step_images_per_second": round(2e3 / step_ms, 1),
        "loader_times_step": round(step_ms / 1e3 / loaded_s, 1),
    }


def write_noise(data: Path) -> None:
    """Eight JPEG files of 256x256 a domain."""
    for domain in ("trainA", "trainB"):
        (data / domain).mkdir()
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 256, (256, 256, 3), dtype=np.uint8)
            Image.fromarray(noise).save(data / domain / f"{i}.jpg", quality=95)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
