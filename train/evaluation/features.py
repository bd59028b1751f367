"""A folder of pictures -> what the Inception network sees in each -> a row of an .npz file, and back.

    picture, uint8 (h, w, 3) -> 299 x 299, about [-1, 1] -> 2048 features

Resizing is part of a protocol:

    tf1-bilinear  TensorFlow 1's resize_bilinear, which doesn't smooth, and (x - 128) / 128
    pil-bilinear  Pillow's resize, which smooths where it shrinks, to whole levels, and x / 127.5 - 1
"""

import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.machine import available_cores
from ugatit_fast.media.folders import IMAGE_SUFFIXES, INPUT_FOLDER, PAGE, photos_below
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.progress import Counted, Say
from ugatit_fast.train.evaluation.inception import SIDE_PIXELS, WIDTH, Inception
from ugatit_fast.train.evaluation.protocols import Resize, Role

BATCH = 16
"""Pictures in one call of the network."""
ABOUT = ("resize", "network")
"""What our .npz files say beside the features."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class FeatureSet:
    """The features of one side of a comparison."""

    features: NDArray[np.float32]
    """(n, 2048), finite."""
    resize: str
    """How the pictures were resized, or "unknown"."""
    network: str
    """The beginning of the SHA-256 of the network's weights, or "unknown"."""
    skipped: int = 0
    """Files that couldn't be read, and aren't in it."""

    def __len__(self) -> int:
        return len(self.features)


def tf1_bilinear(image: Tensor, side: int) -> Tensor:
    """float32 (3, h, w) -> (3, side, side) as TensorFlow 1's `resize_bilinear` with align_corners=False.

    Place i of the result is place i * h / side of the image, between two pixels of it: without the shift of half a
    pixel that others make, and without smoothing. Along rows first, in float32, as there.
    """
    for dim in (2, 1):
        count = image.shape[dim]
        places = torch.arange(side, dtype=torch.float32) * torch.tensor(count / side, dtype=torch.float32)
        low = places.long()
        first = image.index_select(dim, low)
        second = image.index_select(dim, (low + 1).clamp(max=count - 1))
        share = (places - low).reshape((1, 1, -1) if dim == 2 else (1, -1, 1))
        image = first + (second - first) * share
    return image


def as_seen(picture: Pixels, resize: Resize) -> Tensor:
    """uint8 (h, w, 3) -> float32 (3, 299, 299), about [-1, 1]."""
    if resize == "pil-bilinear":
        small = Image.fromarray(picture).resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BILINEAR)
        return unit_range(torch.from_numpy(np.array(small))[None], torch.float32)[0]
    return (tf1_bilinear(torch.from_numpy(picture).permute(2, 0, 1).float(), SIDE_PIXELS) - 128) / 128


def pictures_of(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, those that a page of ours shows left out.

    Raises InputError where there are none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of pictures and no .npz file; check the name")
    shown = folder / INPUT_FOLDER.parts[0] if (folder / PAGE).exists() else None
    files = [file for file in photos_below(folder) if shown is None or shown not in file.parents]
    if not files:
        raise InputError(f"folder {folder} holds no pictures; expected files ending in {' '.join(IMAGE_SUFFIXES)}")
    return files


@torch.inference_mode()
def features_of(
    files: Sequence[Path],
    resize: Resize,
    network: Inception,
    on_skipped: Say,
    on_progress: Counted,
) -> NDArray[np.float32]:
    """The features of those files that can be read, (n, 2048).

    on_skipped gets the reason why one can't, on_progress the files done and all of them.
    """
    device = next(network.parameters()).device
    rows = [np.empty((0, WIDTH), np.float32)]

    def seen(file: Path) -> Tensor | InputError:
        try:
            return as_seen(load_image(file), resize)
        except InputError as error:
            return error

    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(files), BATCH):
            results = list(pool.map(seen, files[start : start + BATCH]))
            for result in results:
                if isinstance(result, InputError):
                    on_skipped(str(result))
            batch = [result for result in results if isinstance(result, Tensor)]
            if batch:
                rows.append(network(torch.stack(batch).to(device)).float().cpu().numpy())
            on_progress(min(start + BATCH, len(files)), len(files))
    return np.concatenate(rows)


def read_features(file: Path, role: Role) -> FeatureSet:
    """The features in an .npz file: those of that role in one of ours, the only array in anyone else's.

    Raises InputError where the file can't be read or holds no features.
    """
    try:
        with file.open("rb") as opened:
            if not zipfile.is_zipfile(opened):
                raise InputError(f"{file} is no .npz file, or cut off; make it again")
            archive = np.load(opened, allow_pickle=False)
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror or error}); check its name") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is a damaged .npz file ({error}); make it again") from error
    resize, network = (str(arrays.pop(name, UNKNOWN)) for name in ABOUT)
    if role not in arrays and len(arrays) != 1:
        raise InputError(
            f"{file} holds {', '.join(arrays) or 'nothing'}; expected an array {role!r}, or a single one of features "
            f"(n, {WIDTH}), not their means and covariances"
        )
    features = arrays[role] if role in arrays else arrays.popitem()[1]
    if features.ndim != 2 or features.shape[1] != WIDTH or features.dtype.kind not in "fiu":
        raise InputError(
            f"{file} holds an array {features.shape} of {features.dtype}; expected a row of {WIDTH} numbers for each "
            "picture: the pooled features of the Inception network"
        )
    if not np.isfinite(features).all():
        wrong = int((~np.isfinite(features).all(axis=1)).sum())
        raise InputError(f"{file} has NaN or infinite features in {wrong} of {len(features)} rows; make it again")
    return FeatureSet(features.astype(np.float32), resize, network)


def save_features(file: Path, sets: Mapping[Role, FeatureSet]) -> None:
    """Write the features of each role to an .npz file, which `read_features` reads. Atomic; raises InputError."""
    arrays = {role: of_role.features for role, of_role in sets.items()}
    about = {name: np.array(common(sets.values(), name)) for name in ABOUT}
    with written_whole(file) as partial, partial.open("wb") as target:
        np.savez(target, **arrays, **about)  # type: ignore[arg-type]


def common(sets: Collection[FeatureSet], name: str) -> str:
    """What "resize" or "network" of all sets is; "unknown" where one doesn't say."""
    said = {str(getattr(one, name)) for one in sets}
    return said.pop() if len(said) == 1 else UNKNOWN
