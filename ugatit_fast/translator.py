"""Translator: pictures in, pictures of the same kind out, on whatever engine it was given."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ugatit_fast.backends.base import Backend, Heatmaps, Images
from ugatit_fast.choices import Device, check_choice
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.errors import EngineError, InputError

if TYPE_CHECKING:
    import torch

Batch: TypeAlias = "NDArray[Any] | torch.Tensor"
RANGE_SLACK = 1e-3
"""How far beyond [-1, 1] a batch may stray by rounding; it is clipped."""


class Translator:
    """Translates batches of images with an engine file. Thread-safe, and a context manager.

    with Translator("selfie2anime.onnx") as translator:
        translated = translator.run(photos)
    """

    def __init__(
        self, engine: str | Path, *, device: Device = "auto", heatmap: bool = False, threads: int | None = None
    ) -> None:
        """Load an engine; the object is ready when this returns.

        engine: an engine file from `build_engine`.
        device: "auto" (the best that the engine can use here), "cpu" or "cuda".
        heatmap: also return the attention heat maps; the engine must have been built with them.
        threads: of a CPU engine; None takes every core.
        Raises EngineError (missing, damaged, too new, for another machine) or BackendUnavailable (runtime or device
        missing).
        """
        path = Path(engine)
        self.spec: EngineSpec = read_spec(path)
        if heatmap and not self.spec.heatmap:
            raise EngineError(f"{path} was built without heat maps; build it again with --heatmap")
        self.heatmap = heatmap
        self.backend: Backend = open_backend(path, self.spec, device, threads)

    def run(self, batch: Batch) -> Any:
        """Translate a batch of any number of images.

        batch: uint8 (n, h, w, 3) RGB, or floating point (n, 3, h, w) RGB in [-1, 1], in NumPy or torch (any device).
        Returns the same kind: type, dtype, layout and device. Pictures cross the engine as 8 bits a channel, so
        floating point results are multiples of 1/127.5. With `heatmap=True`, a pair: images and float32 (n, h / 4, w
        / 4) heat maps of the same library and device. What is returned belongs to the caller; nothing of it is
        written to again. It is ready on return. Raises InputError where the batch isn't of that form, or is of a size
        the engine doesn't serve.
        """
        images = to_images(batch)
        reason = self.spec.check_size(images.shape[1], images.shape[2])
        if reason:
            raise InputError(f"cannot translate {images.shape[1]}x{images.shape[2]} images: {reason}")
        translated, heatmaps = self.run_chunks(images)
        result = like(batch, translated)
        return (result, beside(batch, heatmaps)) if self.heatmap else result

    def run_chunks(self, images: Images) -> tuple[Images, Heatmaps]:
        """Run a batch in pieces the engine serves; the last piece of a fixed batch size is filled up and cut again."""
        n, h, w, _ = images.shape
        results, maps = [np.empty((0, h, w, 3), np.uint8)], [np.empty((0, h // 4, w // 4), np.float32)]
        done = 0
        while done < n:
            size = served_batch(self.spec.batch_sizes, n - done)
            piece = images[done : done + size]
            count = len(piece)
            if count < size:
                piece = np.concatenate([piece, np.zeros((size - count, h, w, 3), np.uint8)])
            translated, heatmaps = self.backend.run(piece)
            results.append(translated[:count])
            if heatmaps is not None:
                maps.append(heatmaps[:count])
            done += count
        return joined(results), joined(maps)

    def warmup(self) -> None:
        """Run once on an empty picture of each batch size, so that the first real one pays for nothing but itself."""
        for size in self.spec.batch_sizes or (1,):
            self.backend.run(np.zeros((size, self.spec.height, self.spec.width, 3), np.uint8))

    def close(self) -> None:
        """Give back the engine's memory. `run` must not be called afterwards."""
        self.backend.close()

    def __enter__(self) -> "Translator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_backend(path: Path, spec: EngineSpec, device: Device, threads: int | None) -> Backend:
    """The runtime that an engine names, loaded with it; its library is imported here and not before."""
    check_choice("device", device, Device)
    if spec.kind == "onnxruntime":
        from ugatit_fast.backends.ort import OrtBackend

        return OrtBackend(path, spec, device=device, threads=threads)
    raise EngineError(f"{path} is an engine for {spec.kind}, which this version cannot run; upgrade ugatit-fast")


def served_batch(batch_sizes: tuple[int, ...], remaining: int) -> int:
    """How many images to run next: all of them, or the largest batch size that they fill, else the smallest there
    is.
    """
    if not batch_sizes:
        return remaining
    return max((size for size in batch_sizes if size <= remaining), default=min(batch_sizes))


def joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """The pieces as one array, without a copy where only one has images in it."""
    filled = [piece for piece in pieces if len(piece)] or pieces[:1]
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


# What came in, and back to it -------------------------------------------------------------------------------------


def to_images(batch: Batch) -> Images:
    """A batch of any accepted kind as uint8 (n, h, w, 3), C-contiguous. Raises InputError."""
    array = batch if isinstance(batch, np.ndarray) else torch_to_numpy(batch)
    if array.dtype == np.uint8:
        if array.ndim != 4 or array.shape[3] != 3:
            raise InputError(f"a uint8 batch must be (n, h, w, 3) RGB, got shape {array.shape}{hint(array)}")
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"a batch must be uint8 (n, h, w, 3) or floating point (n, 3, h, w), got {array.dtype}")
    if array.ndim != 4 or array.shape[1] != 3:
        raise InputError(f"a floating point batch must be (n, 3, h, w) RGB, got shape {array.shape}{hint(array)}")
    if array.size and not (array.min() >= -1 - RANGE_SLACK and array.max() <= 1 + RANGE_SLACK):
        raise InputError(
            f"a floating point batch must lie in [-1, 1], got [{array.min():.4g}, {array.max():.4g}]; "
            "scale 0..255 by x / 127.5 - 1, or 0..1 by 2 x - 1"
        )
    levels = np.rint((np.clip(array, -1, 1).astype(np.float32) + 1) * 127.5)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def hint(array: NDArray[Any]) -> str:
    """What to do about a wrong shape."""
    if array.ndim == 3:
        return "; add the batch dimension: batch[None]"
    if array.ndim == 4 and (array.shape[1] == 3) != (array.shape[3] == 3):
        return "; uint8 batches have the colours last, floating point ones after n"
    return ""


def torch_to_numpy(batch: Any) -> NDArray[Any]:
    """A torch tensor as an array (bfloat16 as float32); anything else is an InputError."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not isinstance(batch, torch.Tensor):
        raise InputError(f"a batch must be a NumPy array or a torch tensor, got {type(batch).__name__}")
    batch = batch.detach().cpu()
    array: NDArray[Any] = (batch.float() if batch.dtype == torch.bfloat16 else batch).numpy()
    return array


def like(batch: Batch, images: Images) -> Any:
    """`images` in the type, dtype, layout and device of `batch`."""
    if isinstance(batch, np.ndarray):
        return images if batch.dtype == np.uint8 else to_unit_range(images).astype(batch.dtype)
    import torch

    result = torch.from_numpy(images if batch.dtype == torch.uint8 else to_unit_range(images))
    return result.to(device=batch.device, dtype=batch.dtype)


def beside(batch: Batch, heatmaps: Heatmaps) -> Any:
    """Heat maps in the library and on the device of `batch`."""
    if isinstance(batch, np.ndarray):
        return heatmaps
    import torch

    return torch.from_numpy(heatmaps).to(batch.device)


def to_unit_range(images: Images) -> NDArray[np.float32]:
    """uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [-1, 1]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(127.5) - np.float32(1)
