"""What TensorRT measured in earlier builds, kept in a file: a build that finds its layers there is many times faster.

Times hold for one GPU, one TensorRT and one version of our kernels, so each of these has a file of its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorrt as trt

from ugatit_fast.backends.gpu import Gpu, architecture
from ugatit_fast.errors import InputError
from ugatit_fast.export.plugin_contract import KERNEL_VERSION
from ugatit_fast.files import locked, written_whole
from ugatit_fast.machine import cache_folder
from ugatit_fast.progress import Say


def timing_cache_path(folder: Path | None, gpu: Gpu) -> Path:
    """The file for this GPU, this TensorRT and these kernels; in the user's cache folder unless given."""
    name = re.sub(r"\W+", "-", gpu.name)
    library = f"tensorrt{trt.__version__}-kernels{KERNEL_VERSION}"
    return (folder or cache_folder()) / f"{name}-{architecture(gpu)}-{library}.timing"


@contextmanager
def timing_cache(config: trt.IBuilderConfig, path: Path, say: Say) -> Iterator[None]:
    """Let a build use the file, and add to it what the build has measured."""
    found = path.exists()  # asked once: another build may write it at any time
    cache = read_cache(config, path) if found else None
    if cache is None or not config.set_timing_cache(cache, False):
        if found:
            say(f"the timing cache {path} is damaged or another machine's: measuring afresh, and replacing it")
        config.set_timing_cache(config.create_timing_cache(b""), False)
    yield
    try:
        merge_into(path, config)
    except (InputError, OSError) as error:
        say(f"the timing cache isn't kept: {error}")


def read_cache(config: trt.IBuilderConfig, path: Path) -> trt.ITimingCache | None:
    cache: trt.ITimingCache | None = config.create_timing_cache(path.read_bytes())
    return cache


def merge_into(path: Path, config: trt.IBuilderConfig) -> None:
    """Write the cache of a finished build together with what other builds have written meanwhile."""
    cache = config.get_timing_cache()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), wait=True):
        others = read_cache(config, path) if path.exists() else None
        if others is not None:
            cache.combine(others, False)  # leaves out what isn't of this GPU and TensorRT
        with written_whole(path) as partial:
            partial.write_bytes(cache.serialize())
