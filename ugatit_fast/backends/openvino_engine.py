"""OpenVINO: eight bits on a CPU, compiled for each size of picture.

A model of open sizes would serve them all, and OpenVINO 2026.4 gives wrong pictures with one (it applies the scale of a
convolution's result once for each operator that reads it); with the size fixed they are right.
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray

from ugatit_fast.backends.base import Heatmaps, Images, joined
from ugatit_fast.backends.border import border
from ugatit_fast.backends.compiled_file import keep, kept
from ugatit_fast.backends.lanes import Lanes
from ugatit_fast.backends.styles import Style, style_for
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.machine import available_cores, cpu_in_words, pip_install

MOST_SIZES = 4
"""Compiled models that are kept, the last used: each has the weights once more."""
MOST_LANES = 4
"""One computes, the others copy in and out: OpenVINO has one stream for all."""
Size = tuple[int, int]
"""Height and width in pixels."""


class Tensor(Protocol):
    """As much as we use of `openvino.Tensor`."""

    data: NDArray[Any]


class Request(Protocol):
    """As much as we use of `openvino.InferRequest`."""

    def infer(self, inputs: Sequence[Images | Style], share_inputs: bool) -> object: ...

    def get_output_tensor(self, index: int) -> Tensor: ...


class OpenVinoBackend:
    """An `.openvino` engine in OpenVINO, on the CPU."""

    def __init__(self, path: Path, spec: EngineSpec, *, threads: int | None = None) -> None:
        """threads: None is one a core. The model for the engine's own size is compiled here, or read from a file beside
        the engine that keeps it.

        Raises BackendUnavailable where OpenVINO is missing, EngineError where it can't load the file.
        """
        self.openvino = import_openvino()
        self.path, self.spec = path, spec
        self.threads = threads or available_cores()
        self.device = cpu_in_words(self.threads)
        self.core = self.openvino.Core()
        self.settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # of what has no eight bits
            "ENABLE_CPU_PINNING": False,  # two engines would be pinned to the same cores
        }
        self.choosing = threading.Lock()
        self.sizes: dict[Size, Sized] = {}
        self.sized((spec.height, spec.width)).lanes  # noqa: B018 - compiles it

    def run(self, images: Images, style: Style | None = None) -> tuple[Images, Heatmaps | None]:
        """One at a time: a CPU gains nothing from batches."""
        given = style_for(self.spec, style)
        return joined([self.translated(image[None], given) for image in images], images)

    def translated(self, image: Images, style: Style | None) -> tuple[Images, Heatmaps | None]:
        """Of one picture, (1, h, w, 3)."""
        height, width = image.shape[1:3]
        with border(self.path, self.spec), self.sized((height, width)).lanes.lane() as request:
            request.infer([image] if style is None else [image, style], share_inputs=True)
            results = [request.get_output_tensor(i).data.copy() for i in range(2 if self.spec.heatmap else 1)]
        return results[0], results[1] if self.spec.heatmap else None

    def close(self) -> None:
        with self.choosing:
            for sized in self.sizes.values():
                sized.close()
            self.sizes.clear()
        del self.core

    def sized(self, size: Size) -> "Sized":
        """What computes pictures of a size. The size that was used longest ago is let go where there are too many."""
        with self.choosing:
            sized = self.sizes.pop(size, None) or Sized(self, size)
            self.sizes[size] = sized
            if len(self.sizes) > MOST_SIZES:
                del self.sizes[next(iter(self.sizes))]
            return sized

    def compiled(self, size: Size) -> Any:
        """`openvino.CompiledModel` for pictures of one size; of the engine's own size, from its file or into it."""
        if size != (self.spec.height, self.spec.width):
            return self.compile(size)
        blob = kept(self.path, self.key)
        if blob is not None:
            return self.core.import_model(blob, "CPU", self.settings)
        compiled = self.compile(size)
        keep(self.path, self.key, compiled.export_model().getvalue())
        return compiled

    def compile(self, size: Size) -> Any:
        model = self.model.clone()
        model.reshape({"image": [1, *size, 3]})
        return self.core.compile_model(model, "CPU", self.settings)

    @cached_property
    def model(self) -> Any:
        """`openvino.Model` of any size."""
        return self.core.read_model(self.path.read_bytes())

    @cached_property
    def key(self) -> str:
        """Of what is compiled here: by which OpenVINO, of which engine, for which processor and settings."""
        with self.path.open("rb") as file:
            engine = hashlib.file_digest(file, "sha256").hexdigest()
        processor = [self.core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        return json.dumps([self.openvino.get_version(), engine, processor, self.settings])


class Sized:
    """Pictures of one size: compiled when the first is wanted, while those of other sizes go on."""

    def __init__(self, backend: OpenVinoBackend, size: Size) -> None:
        self.backend, self.size = backend, size
        self.compiling = threading.Lock()
        self.made: Lanes[Request] | None = None

    @property
    def lanes(self) -> Lanes[Request]:
        with self.compiling:
            if self.made is None:
                with border(self.backend.path, self.backend.spec):
                    compiled = self.backend.compiled(self.size)
                    self.made = Lanes(compiled.create_infer_request, MOST_LANES)
            return self.made

    def close(self) -> None:
        """Once its callers are done."""
        if self.made is not None:
            for _ in self.made.close():
                pass


def import_openvino() -> ModuleType:
    try:
        import openvino
    except ImportError as error:
        raise BackendUnavailable(
            f"this engine needs OpenVINO ({error}); install it: {pip_install('openvino')}"
        ) from error
    return openvino
