"""Any checkpoint -> one generator as safetensors: a fiftieth of what training left behind, and it describes itself."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ugatit_fast.checkpoint import DIRECTIONS, check_pictures, read_checkpoint
from ugatit_fast.checkpoint.contents import Checkpoint
from ugatit_fast.checkpoint.own_file import describe, serialise
from ugatit_fast.choices import HINTS, Direction, Hints, StoredPrecision
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.files import make_folder, written_whole
from ugatit_fast.progress import Say

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Converted:
    """A file that was written."""

    path: Path
    direction: Direction
    size_bytes: int
    source_bytes: int

    def describe(self) -> str:
        """One line for people."""
        return (
            f"{self.path}: {self.direction}, {self.size_bytes / 1e6:.1f} MB "
            f"(of {self.source_bytes / 1e6:.1f} MB in the source)"
        )


def convert(
    source: str | Path,
    target: str | Path,
    *,
    direction: Direction | Literal["both"] | None = None,
    network: str | None = None,
    hints: Hints = HINTS,
    precision: StoredPrecision = "fp32",
    smoothing: bool | None = None,
    verify: bool = False,
    offline: bool = False,
    say: Say = lambda _: None,
) -> list[Converted]:
    """Write one generator of a checkpoint, or both, as .safetensors files that `read_checkpoint` reads.

    source, network, hints, smoothing, verify, offline: as for `read_checkpoint`.
    target: a name ending in .safetensors, or a folder, made if missing. With "both" the direction is put into the name.
    direction: None is the file's only one, or A2B.
    precision: fp16 halves the size: matrices and kernels as float16, the rest float32.
    say: called with a line of progress now and then.
    All that was asked for is written, or nothing. Warns SuspiciousWeightsWarning where the generator draws no pictures.
    Raises CheckpointError, InputError.
    """
    both = direction == "both"
    if both and network:
        raise InputError("--network names one generator; leave it out, or --direction both")
    wanted: tuple[Direction | None, ...] = DIRECTIONS if direction == "both" else (direction,)
    written = []
    with ExitStack() as until_all_are_written:
        for one in wanted:  # a full generator is a gigabyte: one at a time
            checkpoint = read_checkpoint(
                source, one, network=network, hints=hints, smoothing=smoothing, verify=verify, offline=offline, say=say
            )
            if both and len(checkpoint.directions) < len(DIRECTIONS):
                raise CheckpointError(
                    f"{checkpoint.path} holds one generator ({checkpoint.directions[0]}); leave out --direction both"
                )
            path = target_path(Path(target), checkpoint, both)
            say(f"{checkpoint.path.name}: {checkpoint.format}, {checkpoint.direction}")
            for note in checkpoint.notes:
                say(note)
            partial = until_all_are_written.enter_context(written_whole(path))
            size = write_generator(partial, checkpoint, precision)
            written.append(Converted(path, checkpoint.direction, size, checkpoint.size_bytes))
            del checkpoint
    return written


def target_path(target: Path, checkpoint: Checkpoint, both: bool) -> Path:
    if target.is_dir() or not target.suffix:
        make_folder(target)
        path = target / checkpoint.product(SUFFIX).name
    elif target.suffix == SUFFIX:
        path = target.with_name(f"{target.stem}-{checkpoint.direction}{SUFFIX}") if both else target
    else:
        raise InputError(f"cannot convert to {target}: expected a name that ends in {SUFFIX}, or a folder")
    if path.exists() and path.samefile(checkpoint.path):
        raise InputError(f"converting would overwrite the checkpoint {path}; name another file")
    return path


def write_generator(path: Path, checkpoint: Checkpoint, precision: StoredPrecision) -> int:
    """Check and write one generator, not atomically. Returns the size in bytes."""
    check_pictures(checkpoint, checkpoint.generator())
    cast = halved if precision == "fp16" else single
    tensors = {name: cast(checkpoint, name) for name in checkpoint.tensors}
    description = describe(checkpoint.config, checkpoint.direction, checkpoint.step, checkpoint.notes)
    serialise(path, tensors, description)
    return path.stat().st_size


def single(checkpoint: Checkpoint, name: str) -> Tensor:
    return checkpoint.tensors[name].float().contiguous()


def halved(checkpoint: Checkpoint, name: str) -> Tensor:
    """float16 where it pays: vectors, hence all of rho, gamma, beta and biases, stay float32."""
    tensor = checkpoint.tensors[name]
    if tensor.numel() == max(tensor.shape):
        return tensor.float().contiguous()
    low, high = torch.aminmax(tensor)  # beforehand: masks of a full generator's weights are gigabytes too
    if max(-low, high) > torch.finfo(torch.float16).max:
        raise CheckpointError(f"{checkpoint.path}: {name} has weights beyond float16's 65504; convert with fp32")
    return tensor.half().contiguous()
