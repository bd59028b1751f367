"""Translator: pictures in, pictures of the same kind out, on whatever engine it was given."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ugatit_fast.backends.base import Backend, DeviceBackend, Heatmaps, Images
from ugatit_fast.backends.runtimes import describe_bare_plan, open_backend
from ugatit_fast.backends.styles import Style
from ugatit_fast.choices import Loading, Tune
from ugatit_fast.engine import UGATIT, EngineSpec, read_spec
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.progress import Say
from ugatit_fast.translator.kinds import Batch, beside, is_on_gpu, like, tensor_like, tensor_to_images, to_images
from ugatit_fast.translator.pictures import Pictures, Taken, in_batches, taken
from ugatit_fast.translator.styles import GivenStyle, style_of


class Translated(NamedTuple):
    """What an engine makes of a batch."""

    pictures: Images
    """uint8 (n, h, w, 3) RGB."""
    heatmaps: Heatmaps | None
    """float32 (n, h / 4, w / 4), where the translator was asked for them."""


class Translates(Protocol):
    """The part of `Translator` that everything which translates needs: uint8 pictures in, pictures out.

    Anything with these three may stand in for an engine: a rival in a benchmark, a stand-in in a test.
    """

    @property
    def spec(self) -> EngineSpec:
        """The sizes and batches that it serves, and what it was made from."""

    @property
    def heatmap(self) -> bool:
        """Whether `translate` gives heat maps."""

    def translate(self, images: Images) -> Translated:
        """Translate uint8 (n, h, w, 3) RGB. Raises InputError for a size that isn't served."""


@runtime_checkable
class InStyle(Protocol):
    """What knows the style that it draws in."""

    @property
    def style(self) -> Style | None:
        """None where it draws in one only."""


class Translator:
    """Translates batches of images with an engine file. Thread-safe, and a context manager.

    with Translator("selfie2anime.onnx") as translator:
        translated = translator("me.jpg")
    """

    def __init__(
        self,
        engine: str | Path,
        *,
        device: str = "auto",
        heatmap: bool = False,
        threads: int | None = None,
        tune: Tune = "auto",
        trust_plan: bool = False,
        style: "GivenStyle | None" = None,
        say: Say = lambda _: None,
    ) -> None:
        """Load an engine; the object is ready when this returns.

        engine: an engine file from `build_engine`.
        device: "auto" (the best that the engine can use here), "cpu", "cuda", a GPU by its number ("cuda:1"), or
            several ("cuda:0,cuda:1"): batches are shared out, and callers at once go where the least is in hand.
        heatmap: also return the attention heat maps; the engine must have been built with them.
        threads: of a CPU engine; None takes every core.
        tune: whose convolutions a cuda engine runs by: "cudnn", "ours", or "auto", the faster for each layer, timed
            when an engine is first loaded on a GPU.
        trust_plan: also load a bare TensorRT plan, which says nothing about itself. A plan can carry code: whoever made
        it can do on this machine what you can.
        style: what an engine that draws in styles draws in, unless a call says otherwise: a seed, numbers, or a picture
        to see the style in; see `GivenStyle`. Seed 0 unless given.
        say: called with a line where loading takes long.
        Raises EngineError (missing, damaged, too new, for another machine) or BackendUnavailable (runtime or device
        missing).
        """
        path = Path(engine)
        self.path, self.closed = path.absolute(), False
        loading = Loading(device=device, threads=threads, tune=tune, trust_plan=trust_plan)
        self.asked = {"heatmap": heatmap, **vars(loading), "style": style}
        self.spec: EngineSpec = describe_engine(path, trust_plan)
        if heatmap and not self.spec.heatmap:
            raise EngineError(f"{path} {without_heatmap(self.spec)}")
        self.heatmap = heatmap
        self.style: Style | None = style_of(style, self.spec, path)
        self.backend: Backend = open_backend(path, self.spec, loading, say)
        self.spec = self.backend.spec

    def run(self, pictures: Pictures, *, style: "GivenStyle | None" = None) -> Any:
        """Translate one picture or many, and give the same kind back. `translator(pictures)` is the same.

        pictures: an array, uint8 (n, h, w, 3) RGB or floating point (n, 3, h, w) RGB in [-1, 1], in NumPy or torch (any
            device), of a size that the engine serves; or one picture of such a batch, without n. A photo of any size:
            the path of a file, its content as bytes, or a Pillow image; its middle is brought to the engine's size. Or
            a list of any of these.
        style: of an engine that draws in styles, for all of them: as for the constructor, whose it is unless given.
        Returns an array of the same type, dtype, layout and device; bytes of the same format (PNG where that is none of
        JPEG, PNG and WebP); a Pillow image for a Pillow image and for a path; a list for a list. Pictures cross the
        engine as 8 bits a channel, so floating point results are multiples of 1/127.5. With `heatmap=True`, a pair:
        that, and float32 heat maps, (n, h / 4, w / 4) in the library and on the device of an array, (h / 4, w / 4) of a
        single picture, a list for a list. What is returned belongs to the caller; nothing of it is written to again. It
        is ready on return. Raises InputError where a picture can't be read or isn't of that form, or is of a size that
        the engine doesn't serve, EngineError after `close`.
        """
        self.check_open()
        size, given = (self.spec.height, self.spec.width), self.style_of(style)
        if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes):
            return self.run_many([taken(picture, size) for picture in pictures], given)
        one = taken(pictures, size)
        result = self.run_batch(one.batch, given)
        return (one.back(result[0]), one.first(result[1])) if self.heatmap else one.back(result)

    __call__ = run

    def style_of(self, style: "GivenStyle | None") -> Style | None:
        """The numbers of a style as people give it; the translator's own for None. Raises InputError, EngineError."""
        return self.style if style is None else style_of(style, self.spec, self.path)

    def run_many(self, pictures: Sequence[Taken], style: Style | None) -> object:
        """As `run`, of several: neighbours of one size go through the engine together."""
        results: list[object] = []
        maps: list[object] = []
        for images, members in in_batches(pictures):
            translated = self.translate(images, style)
            begin = 0
            for one in members:
                end = begin + len(one.batch)
                results.append(one.back(like(one.batch, translated.pictures[begin:end])))
                if translated.heatmaps is not None:
                    maps.append(one.first(beside(one.batch, translated.heatmaps[begin:end])))
                begin = end
        return (results, maps) if self.heatmap else results

    def run_batch(self, batch: Batch, style: Style | None) -> Any:
        """As `run`, of arrays with their n: a pair with heat maps."""
        if isinstance(self.backend, DeviceBackend) and is_on_gpu(batch, self.backend.number):
            images = tensor_to_images(batch)
            self.check_size(*images.shape[1:3])
            translated, attention = self.backend.run_on_device(images, style)
            return (tensor_like(batch, translated), attention) if self.heatmap else tensor_like(batch, translated)
        pictures, heatmaps = self.translate(to_images(batch), style)
        return like(batch, pictures) if heatmaps is None else (like(batch, pictures), beside(batch, heatmaps))

    def translate(self, images: Images, style: Style | None = None) -> Translated:
        """As `run`, for uint8 pictures in the host's memory, and with a name for each half of the result.

        style: its numbers, as from `style_of`; the translator's own unless given.
        """
        self.check_open()
        n, h, w, _ = images.shape
        self.check_size(h, w)
        nothing = np.empty((0, h, w, 3), np.uint8), np.empty((0, h // 4, w // 4), np.float32)
        pictures, heatmaps = self.backend.run(images, self.style if style is None else style) if n else nothing
        return Translated(pictures, heatmaps if self.heatmap else None)

    def check_size(self, height: int, width: int) -> None:
        reason = self.spec.check_size(height, width)
        if reason:
            raise InputError(f"cannot translate {height}x{width} images: {reason}")

    def check_open(self) -> None:
        """EngineError after `close`."""
        if self.closed:
            raise EngineError(f"{self.path} was closed; load it again: Translator({str(self.path)!r})")

    @property
    def device(self) -> str:
        """Where it computes, in words: `CPU (2 threads)`, a GPU's name, ..."""
        return self.backend.device

    def warmup(self) -> None:
        """Run once on an empty picture of each batch size, so that the first real one pays for nothing but itself."""
        self.check_open()
        for size in self.spec.batch_sizes or (1,):
            self.backend.run(np.zeros((size, self.spec.height, self.spec.width, 3), np.uint8))

    def close(self) -> None:
        """Give back the engine's memory. Using it afterwards is an EngineError, closing it again nothing."""
        if not self.closed:
            self.closed = True
            self.backend.close()

    def __reduce__(self) -> tuple[object, ...]:
        """What is copied or sent to another process loads the engine's file anew: nobody can hand on a runtime."""
        self.check_open()
        return loaded, (type(self), self.path, self.asked)

    def __enter__(self) -> "Translator":
        self.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def loaded(kind: type[Translator], path: Path, asked: dict[str, Any]) -> Translator:
    """A pickled Translator."""
    return kind(path, **asked)


def without_heatmap(spec: EngineSpec) -> str:
    """Why an engine gives none, and what to do."""
    if spec.network and spec.network.architecture != UGATIT:
        return f"is of a {spec.network.architecture} generator, which has no attention heat map; leave it out"
    return "was built without heat maps; build it again with --heatmap"


def describe_engine(path: Path, trust_plan: bool) -> EngineSpec:
    """What an engine file says about itself, or for a bare plan that is trusted, what TensorRT says about it."""
    try:
        return read_spec(path)
    except EngineError:
        if not trust_plan or not path.is_file():
            raise
    return describe_bare_plan(path)
