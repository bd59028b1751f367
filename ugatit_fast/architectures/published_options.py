"""What the published code of CycleGAN and pix2pix leaves to be told of a network: by its norms, its colours, and the
options of its run, which may lie beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ugatit_fast.choices import Direction, Hints
from ugatit_fast.errors import CheckpointError

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
OPTIONS = ("train_opt.txt", "opt.txt")
"""What the published code leaves beside the networks of a run: lines of `name: value`."""
UNLESS_CHOSEN = (
    "batch norm with the statistics of each picture, as the published test.py has it without --eval, but without its "
    "random dropout; for those of the training: --norm batch-running"
)
HINTED = {"batch-image": "each picture", "batch-running": "the training"}


def told_norm(path: Path, hints: Hints, *, affine: bool, gathered: bool, biased: bool) -> tuple[str, list[str]]:
    """Which statistics normalise, and what there is to say about it.

    affine, gathered: whether the norms scale and shift, and have running statistics; biased: whether the first
    convolution has a bias. Raises CheckpointError where a hint is for other norms.
    """
    if not (affine and gathered):
        if hints.norm:
            raise CheckpointError(f"{path} has no batch norm, whose statistics --norm chooses; leave it out")
        if gathered:
            return "instance", ["running statistics beside its instance norms, which never used them, are left out"]
        return ("instance" if affine or biased else "none"), []
    if hints.norm:
        return hints.norm, [f"batch norm with the statistics of {HINTED[hints.norm]}, as asked for"]
    return "batch-image", [UNLESS_CHOSEN]


def refuse_colours(path: Path, taken: int, given: int) -> None:
    """CheckpointError for networks that make no pictures of pictures."""
    if (taken, given) == (1, 2):
        raise CheckpointError(f"{path} colours greyscale pictures (pix2pix's colorization, in Lab), which isn't served")
    if (taken, given) != (3, 3):
        raise CheckpointError(
            f"{path} takes {taken} channels and gives {given}; expected 3 and 3: label maps, and what else isn't a "
            "picture, aren't served"
        )


@dataclass(frozen=True)
class RunOptions:
    """What the options of a run say that lie beside its networks."""

    name: str = ""
    """Of their file; empty where there is none."""
    said: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def beside(cls, path: Path) -> "RunOptions":
        for name in OPTIONS:
            try:
                text = path.with_name(name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            lines = (line.partition(":") for line in text.splitlines())
            return cls(name, {key.strip(): value.split("[")[0].strip() for key, colon, value in lines if colon})
        return cls()

    @property
    def direction(self) -> Direction | None:
        found: dict[str, Direction] = {"AtoB": "A2B", "BtoA": "B2A"}
        return found.get(self.said.get("direction", ""))

    def notes(self) -> list[str]:
        told = [f"{key} {self.said[key]}" for key in ("netG", "norm", "ngf", "direction") if self.said.get(key)]
        return [f"{self.name} beside it says: {', '.join(told)}"] if told else []
