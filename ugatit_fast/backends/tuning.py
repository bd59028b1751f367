"""Whose convolution a layer of a cuda engine runs by: measured once on each GPU, and kept in the user's cache.

The network is run once at every batch size. A layer that has more than one way is timed where it stands, with the
tensors that it has there: the convolution with all that follows it, as a CUDA graph, all ways in turn. Ours is only
taken where it is faster, and where its result is cuDNN's but for rounding.

The file of a GPU holds what the choices depend on (the GPU, PyTorch, Triton, cuDNN, us). One that can't be read, or
that is about anything else, is made anew; where none can be written, choices are made again at the next start. Nothing
here keeps an engine from starting.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.backends.convolutions import CUDNN, Choices, ChosenOperations, Layer, Way, name_of
from ugatit_fast.backends.cuda_graph import recorded
from ugatit_fast.backends.cudnn import OurConvolutions
from ugatit_fast.choices import Tune
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import InputError, first_line
from ugatit_fast.files import make_folder, written_whole
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.kernels.convolution import HALF
from ugatit_fast.kernels.schedule import Gpu, gpu_of
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Say
from ugatit_fast.version import __version__

REPEATS = 5
"""Of a layer in one graph, so that its launch counts for little."""
ROUNDS = 7
MOST_DIFFERENCE = 1e-2
"""‖ours - cuDNN's‖ / ‖cuDNN's‖ beyond which ours is wrong rather than rounded otherwise: that gives some 1e-3."""

Times = Mapping[str, float]
"""Microseconds by the name of a way."""
Facts = dict[str, str]


def choose(folded: FoldedNetwork, spec: EngineSpec, tune: Tune, say: Say) -> Choices | None:
    """How the layers of an engine run on the current GPU, where `folded` is; None: by cuDNN, all of them."""
    weight = folded.stem.weight
    gpu = gpu_of(weight.device)
    if tune == "cudnn" or weight.dtype not in HALF:
        return None
    layers = {size: layers_of(folded, size, spec.height, spec.width) for size in spec.batch_sizes}
    different = dict.fromkeys(layer for some in layers.values() for layer in some if layer.tiles(gpu))
    if not different:
        return None
    if tune == "ours":
        choices = Choices(gpu, {layer: layer.usual(gpu) for layer in different})
        say(f"convolutions: {told(layers, choices)}, as asked for")
        return choices
    started, kept = time.perf_counter(), Kept(torch.cuda.get_device_name(), gpu)
    known = kept.read()
    sizes = [
        size for size, some in layers.items() if any(layer in different and layer.name not in known for layer in some)
    ]
    if sizes:
        say(f"convolutions: timing ours and cuDNN's, once on this GPU, at batch {' and '.join(map(str, sizes))}")
        known |= measured(folded, spec, sizes, gpu, known)
        where = f"measured in {time.perf_counter() - started:.0f} s, {kept.write(known)}"
    else:
        where = f"as measured before ({kept.path})"
    choices = Choices(gpu, {layer: fastest(layer, known.get(layer.name, {}), gpu) for layer in different})
    say(f"convolutions: {told(layers, choices)}, {where}")
    return choices


def told(layers: Mapping[int, Sequence[Layer]], choices: Choices) -> str:
    """For people: how many are ours."""
    return "ours " + ", ".join(
        f"{sum(choices.ways.get(layer) is not None for layer in some)} of {len(some)} at batch {size}"
        for size, some in layers.items()
    )


def fastest(layer: Layer, times: Times, gpu: Gpu) -> Way:
    """The fastest of the ways that were measured; cuDNN's where there are none."""
    ways = {name_of(way): way for way in (None, *layer.tiles(gpu))}
    return ways[min((name for name in times if name in ways), key=lambda name: times[name], default=CUDNN)]


# The layers of a network ------------------------------------------------------------------------------------------


class ListingOperations(ChosenOperations):
    """Writes down the layers that have a choice, in order."""

    def __init__(self, dtype: torch.dtype, channels: int) -> None:
        super().__init__(dtype, channels, None)
        self.layers: list[Layer] = []

    def by_choice(self, layer: Layer, run: Callable[[Way], Tensor]) -> Tensor:
        self.layers.append(layer)
        return run(None)


def layers_of(folded: FoldedNetwork, size: int, height: int, width: int) -> list[Layer]:
    """Every convolution of stride 1 that a normalisation or the attention follows, found without computing anything."""
    tensors = {name: tensor.to("meta") for name, tensor in folded.tensors().items()}
    shapes = folded.with_tensors(tensors)
    listing = ListingOperations(folded.stem.weight.dtype, folded.stem.weight.shape[1])
    shapes.graph(listing, torch.empty(size, height, width, 3, dtype=torch.uint8, device="meta"))
    return listing.layers


# Measuring --------------------------------------------------------------------------------------------------------


class MeasuringOperations(ChosenOperations):
    """Times every way of a layer where it comes by for the first time."""

    def __init__(self, dtype: torch.dtype, channels: int, gpu: Gpu, known: Mapping[str, Times]) -> None:
        super().__init__(dtype, channels, Choices(gpu, {}))
        self.gpu, self.times = gpu, dict(known)

    def by_choice(self, layer: Layer, run: Callable[[Way], Tensor]) -> Tensor:
        tiles = layer.tiles(self.gpu)
        if tiles and layer.name not in self.times:
            self.times[layer.name] = times_of({name_of(way): partial(run, way) for way in (None, *tiles)})
        return run(None)


def measured(
    folded: FoldedNetwork, spec: EngineSpec, sizes: Sequence[int], gpu: Gpu, known: Mapping[str, Times]
) -> dict[str, Times]:
    """Times of all layers at these batch sizes; without those that the GPU has no memory for."""
    stem = folded.stem.weight
    operations = MeasuringOperations(stem.dtype, stem.shape[1], gpu, known)
    with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream()), OurConvolutions():  # type: ignore[no-untyped-call]
        for size in sizes:
            picture = torch.zeros(size, spec.height, spec.width, 3, dtype=torch.uint8, device=stem.device)
            try:
                folded.graph(operations, picture)
            except torch.OutOfMemoryError:
                continue  # whoever makes the graphs will say so
    torch.cuda.empty_cache()
    return operations.times


def times_of(ways: Mapping[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Microseconds of each way: the median of rounds in which all take turns. A way that fails has none."""
    expected = ways[CUDNN]().float()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in ways.items():
        try:
            if name == CUDNN or differs(run(), expected) <= MOST_DIFFERENCE:
                replays[name] = repeated(run)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever keeps ours from running, cuDNN's does
            continue
    rounds = [{name: microseconds(replay) for name, replay in replays.items()} for _ in range(ROUNDS)]
    return {name: median(one[name] for one in rounds) for name in replays}


def differs(found: Tensor, expected: Tensor) -> float:
    """Relative to what is expected; not a number where something isn't one."""
    return float((found.float() - expected).norm() / expected.norm())


def repeated(run: Callable[[], Tensor]) -> Callable[[], None]:
    """`run`, a few times over, as one launch."""

    def work() -> None:
        for _ in range(REPEATS):
            run()

    return recorded(work, torch.device("cuda", torch.cuda.current_device()), None)


def microseconds(replay: Callable[[], None]) -> float:
    """Of one run among those of a replay."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    replay()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e3 / REPEATS


# What is kept -----------------------------------------------------------------------------------------------------


class Kept:
    """The file of a GPU in the user's cache: what was measured, and with what."""

    def __init__(self, name: str, gpu: Gpu) -> None:
        self.facts = facts_of(name, gpu)
        self.path = place_of(name)

    def read(self) -> dict[str, Times]:
        """The times that were measured with just these; none where the file isn't there, is damaged or another's."""
        if self.path is None or not self.path.is_file():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["facts"] != self.facts:
                return {}
            return {str(layer): times_in(times) for layer, times in content["layers"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}

    def write(self, times: Mapping[str, Times]) -> str:
        """For people: where they are kept, or why they aren't."""
        if self.path is None:
            return "not kept: there is no home folder"
        content = {"facts": self.facts, "layers": times}
        try:
            make_folder(self.path.parent)
            with written_whole(self.path) as partial:
                partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except InputError as error:
            return f"not kept: {first_line(error)}"
        return f"kept in {self.path}"


def times_in(times: Mapping[str, Any]) -> dict[str, float]:
    """ValueError where they are none."""
    found = {str(way): float(time) for way, time in times.items()}
    if not all(0 < one < float("inf") for one in found.values()):
        raise ValueError("a time is no time")
    return found


def facts_of(name: str, gpu: Gpu) -> Facts:
    """What the times depend on."""
    import triton

    return {
        "gpu": f"{name}, {gpu.capability[0]}.{gpu.capability[1]}, {gpu.multiprocessors} multiprocessors",
        "ugatit-fast": __version__,
        "torch": torch.__version__,
        "triton": triton.__version__,
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
    }


def place_of(name: str) -> Path | None:
    """None where there is no home folder."""
    try:
        folder = cache_folder()
    except RuntimeError:
        return None
    return folder / f"convolutions-{re.sub(r'[^A-Za-z0-9]+', '-', name)}.json"
