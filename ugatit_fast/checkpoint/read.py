"""A path -> one generator's weights, whatever wrote them."""

from dataclasses import replace
from pathlib import Path

from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint
from ugatit_fast.checkpoint.layout import check_finite, check_layout
from ugatit_fast.checkpoint.old_torch_file import AS_TEXT
from ugatit_fast.checkpoint.own_file import from_safetensors
from ugatit_fast.checkpoint.pytorch import from_torch_file
from ugatit_fast.checkpoint.tensorflow import from_tensorflow
from ugatit_fast.checkpoint.told import Asked
from ugatit_fast.checkpoint.zip_torch_file import find_unpacked
from ugatit_fast.choices import HINTS, Direction, Hints
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Reference
from ugatit_fast.progress import Phased, Say
from ugatit_fast.tensor_bundle import looks_like_bundle
from ugatit_fast.weights.locate import locate


def load_generator(path: str | Path, direction: Direction | None = None) -> Reference:
    """The reference generator (float32, CPU, eval mode) from any checkpoint that `read_checkpoint` reads."""
    return read_checkpoint(path, direction).generator()


def read_checkpoint(
    path: str | Path,
    direction: Direction | None = None,
    *,
    network: str | None = None,
    hints: Hints = HINTS,
    smoothing: bool | None = None,
    verify: bool = False,
    offline: bool = False,
    say: Say = lambda _: None,
    progress: Phased = lambda *_: None,
) -> Checkpoint:
    """Read one generator's weights.

    path: whatever PyTorch wrote with a generator anywhere in it, packed or unpacked; .safetensors, ours or not; a
        TensorFlow checkpoint's prefix, .index file or folder; a folder or an archive with one of these in it; or
        whatever `ugatit_fast.weights.locate` finds one by: a name of the list of weights,
        hf://ORG/REPO[@REVISION][/FILE], or https://...
    direction: which of the two to take from a file that holds both (A2B unless said, or the only one); what a generator
        is called whose own name says nothing; for our own files, which say it themselves, it must agree.
    network: which generator of several to take, by its name in the file or the part of it that no other has.
    hints: what is known of the generator that its tensors don't say.
    smoothing: whether a TensorFlow run was trained with it; None decides by the folder's name and by rho.
    verify: also compare the checksums of the weights, where the format has any.
    offline: use only what was fetched before.
    say, progress: as for `locate`.
    Raises CheckpointError with what the file looks like instead where it isn't a generator that is known, is damaged,
    holds Python objects and no weights, or has weights that are NaN or infinite.
    """
    if direction is not None and direction not in DIRECTIONS:
        raise CheckpointError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    local, in_cache = locate(path, direction, offline=offline, say=say, progress=progress)
    asked = Asked(direction=direction, network=network, hints=hints)
    try:
        checkpoint = replace(open_checkpoint(local, asked, smoothing, verify), in_cache=in_cache)
    except CheckpointError as error:
        if in_cache:  # what was fetched or unpacked has a name there that nobody gave it
            raise CheckpointError(f"{path}: {error}") from error
        raise
    if smoothing is not None and checkpoint.smoothing is None:
        raise CheckpointError(
            f"{local} is no TensorFlow checkpoint of U-GAT-IT; smoothing is a choice for those only: leave it out"
        )
    check_layout(checkpoint)
    check_finite(checkpoint)
    return checkpoint


def open_checkpoint(path: Path, asked: Asked, smoothing: bool | None, verify: bool) -> Checkpoint:
    """Tell the format by content and find the generator's tensors; their shapes and values are not yet checked."""
    if looks_like_bundle(path):
        return from_tensorflow(path, asked, smoothing, verify)
    try:
        if find_unpacked(path):
            return from_torch_file(path, asked, verify)
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder without a checkpoint of its own in it; {what_to_name(path)}")
        with path.open("rb") as file:
            start = file.read(512)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"cannot read the checkpoint {path}: {reason}; check the path") from error
    if start[8:9] == b"{" and start[5:8] == bytes(3):  # first: its length may begin as a pickle does
        return from_safetensors(path, asked)
    if start[:2] == b"PK" or start[:1] == b"\x80" or start.startswith(AS_TEXT):
        return from_torch_file(path, asked, verify)
    raise CheckpointError(f"{path} is no checkpoint: {looks_like(start)}")


def what_to_name(folder: Path) -> str:
    """What could have been meant by a folder without a checkpoint, for an error message."""
    if (folder / "saved_model.pb").exists():
        return "it is a TensorFlow SavedModel; expected what training saved, NAME.index and NAME.data-00000-of-00001"
    return f"expected a checkpoint file, such as {folder}/..._params_latest.pt"


EXPECTED = "expected the .pt, .pth or .safetensors file of a generator, or a TensorFlow checkpoint"
KINDS = (
    (b"\xff\xd8\xff", f"it is a JPEG picture; {EXPECTED}"),
    (b"\x89PNG", f"it is a PNG picture; {EXPECTED}"),
    (b"\x89HDF", f"it is an HDF5 file, as Keras writes; {EXPECTED}"),
    (b"GGUF", f"it is a GGUF file; {EXPECTED}"),
    (b"version https://git-lfs", "it is a Git LFS pointer; fetch the real file with `git lfs pull`"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it with 7-Zip, and name the file or the folder in it"),
    (b"Rar!\x1a\x07", "it is a RAR archive; unpack it with 7-Zip or unrar, and name the file or the folder in it"),
    (b"\x1f\x8b", "it is packed with gzip; unpack it (tar -xzf, or gunzip), and name the file or the folder in it"),
    (b"BZh", "it is packed with bzip2; unpack it (tar -xjf, or bunzip2), and name the file or the folder in it"),
    (b"\xfd7zXZ", "it is packed with xz; unpack it (tar -xJf, or unxz), and name the file or the folder in it"),
    (b"\x28\xb5\x2f\xfd", "it is packed with Zstandard; unpack it (unzstd), and name the file or the folder in it"),
    (b"\x93NUMPY", f"it is a NumPy array; {EXPECTED}"),
    (b"<", "it is a web page, probably a download that failed; download it again"),
    (b"{", "it is JSON, such as the index of weights in several files; name a file of weights"),
)
"""How files begin that people take for checkpoints, spaces aside."""


def looks_like(start: bytes) -> str:
    """What a file is from its first bytes, as far as they tell, and what to do; for an error message."""
    if not start:
        return "the file is empty; copy or download it again"
    if start[257:262] == b"ustar":
        return "it is a tar archive; unpack it (tar -xf), and name the file or the folder in it"
    if start[4:8] == b"TFL3":
        return f"it is a TensorFlow Lite model; {EXPECTED}"
    known = (what for magic, what in KINDS if start.lstrip().startswith(magic))
    return next(known, f"it starts with {start[:8]!r}; {EXPECTED}")
