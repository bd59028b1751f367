"""The sample grid of the published trainers: seven rows, a column a picture."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ugatit_fast.errors import InputError
from ugatit_fast.kernels.image import image_of
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, load_image, save_image
from ugatit_fast.media.tiles import Pass, stack_tiles
from ugatit_fast.train.data import TEST_FOLDERS, TRAIN_FOLDERS, image_files, on_device
from ugatit_fast.train.generator import TrainingGenerator
from ugatit_fast.train.step import Trainer

COLUMNS_EACH = 5
"""Pictures from the training folder, and as many from the test folder where there is one."""


def sample_pictures(data: Path, size: int) -> tuple[list[Pixels], list[Pixels]]:
    """The first pictures that can be read of domains A and B, uint8 (size, size, 3); always the same ones."""
    domains = []
    for folders in zip(TRAIN_FOLDERS, TEST_FOLDERS, strict=True):
        pictures = []
        for folder in folders:
            pictures += first_pictures(image_files(data / folder), size)
        domains.append(pictures)
    return domains[0], domains[1]


def first_pictures(files: list[Path], size: int) -> list[Pixels]:
    pictures: list[Pixels] = []
    for file in files:
        if len(pictures) == COLUMNS_EACH:
            break
        try:
            pictures.append(fit_image(load_image(file), (size, size), "squash"))
        except InputError:  # the loader reports it
            continue
    return pictures


def save_samples(trainer: Trainer, pictures: tuple[list[Pixels], list[Pixels]], folder: Path) -> None:
    """Write A2B_<step>.png and B2A_<step>.png below `folder`. Raises InputError where they can't be written."""
    a2b, b2a = trainer.translators()
    for name, of_domain, there, back in (("A2B", pictures[0], a2b, b2a), ("B2A", pictures[1], b2a, a2b)):
        columns = [column(picture, there, back, trainer.device) for picture in of_domain]
        save_image(folder / f"{name}_{trainer.step:07d}.png", np.concatenate(columns, axis=1))


@torch.no_grad()
def column(picture: Pixels, there: TrainingGenerator, back: TrainingGenerator, device: torch.device) -> Pixels:
    """The published seven tiles of a picture, from top to bottom: see `stack_tiles`."""
    real = on_device(torch.from_numpy(picture)[None], device)
    same, _, same_map = back(real)
    fake, _, fake_map = there(real)
    cycled, _, cycled_map = back(fake)
    return stack_tiles(picture, as_pass(same, same_map), as_pass(fake, fake_map), as_pass(cycled, cycled_map))


def as_pass(image: Tensor, heatmap: Tensor) -> Pass:
    return Pass(as_pixels(image), heatmap[0, 0].float().cpu().numpy())


def as_pixels(image: Tensor) -> Pixels:
    """(1, 3, h, w) in [-1, 1] -> uint8 (h, w, 3)."""
    return image_of(image)[0].cpu().numpy()
