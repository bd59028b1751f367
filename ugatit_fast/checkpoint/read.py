"""A path -> one generator's weights, whatever wrote them."""

from dataclasses import replace
from pathlib import Path

from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint
from ugatit_fast.checkpoint.layout import check_finite, check_layout
from ugatit_fast.checkpoint.own_file import from_safetensors
from ugatit_fast.checkpoint.pytorch import from_torch_file
from ugatit_fast.checkpoint.tensorflow import from_tensorflow
from ugatit_fast.choices import Direction
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Generator
from ugatit_fast.progress import Phased, Say
from ugatit_fast.tensor_bundle import looks_like_bundle
from ugatit_fast.weights.locate import locate


def load_generator(path: str | Path, direction: Direction | None = None) -> Generator:
    """The reference generator (float32, CPU, eval mode) from any checkpoint that `read_checkpoint` reads."""
    return read_checkpoint(path, direction).generator()


def read_checkpoint(
    path: str | Path,
    direction: Direction | None = None,
    *,
    smoothing: bool | None = None,
    verify: bool = False,
    offline: bool = False,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Checkpoint:
    """Read one generator's weights.

    path: a published .pt, a state dict, our own .safetensors; a TensorFlow checkpoint's prefix, .index file or folder;
        a folder or an archive with one of these in it; or whatever `ugatit_fast.weights.locate` finds one by: a name
        of the list of weights, hf://ORG/REPO[@REVISION][/FILE], or https://...
    direction: which of the two to take from a file that holds both (A2B unless said); what a bare generator is
        called; for our own files, which say it themselves, it must agree.
    smoothing: whether a TensorFlow run was trained with it; None decides by the folder's name and by rho.
    verify: also compare the checksums of the weights, where the format has any.
    offline: use only what was fetched before.
    say, progress: as for `locate`.
    Raises CheckpointError with what the file looks like instead where it isn't a U-GAT-IT generator, is damaged, holds
    objects that could run code, or has weights that are NaN or infinite.
    """
    if direction is not None and direction not in DIRECTIONS:
        raise CheckpointError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    local, in_cache = locate(path, direction, offline=offline, say=say, progress=progress)
    checkpoint = replace(open_checkpoint(local, direction, smoothing, verify), in_cache=in_cache)
    if smoothing is not None and checkpoint.smoothing is None:
        raise CheckpointError(
            f"{local} is no TensorFlow checkpoint; smoothing is a choice for those only: leave it out"
        )
    check_layout(checkpoint)
    check_finite(checkpoint)
    return checkpoint


def open_checkpoint(path: Path, direction: Direction | None, smoothing: bool | None, verify: bool) -> Checkpoint:
    """Tell the format by content and find the generator's tensors; their shapes and values are not yet checked."""
    if looks_like_bundle(path):
        return from_tensorflow(path, direction, smoothing, verify)
    if path.is_dir():
        raise CheckpointError(
            f"{path} is a folder without a TensorFlow checkpoint in it; expected a checkpoint file, "
            f"such as {path}/..._params_latest.pt"
        )
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"cannot read the checkpoint {path}: {reason}; check the path") from error
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return from_torch_file(path, direction, verify)
    if start[8:9] == b"{":
        return from_safetensors(path, direction)
    raise CheckpointError(
        f"{path} is no checkpoint: {looks_like(start)}; expected a U-GAT-IT .pt or .safetensors file, "
        "or a TensorFlow checkpoint"
    )


def looks_like(start: bytes) -> str:
    """A guess, for an error message, at what a file is from its first bytes."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the real file with `git lfs pull`"
    if start.lstrip()[:1] == b"<":
        return "it is a web page, probably a download that failed"
    for name, magic in (
        ("a JPEG picture", b"\xff\xd8\xff"),
        ("a PNG picture", b"\x89PNG"),
        ("an HDF5 file", b"\x89HDF"),
    ):
        if start.startswith(magic):
            return f"it is {name}"
    return f"it starts with {start[:8]!r}"
