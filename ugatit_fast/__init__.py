"""ugatit-fast: turns a trained U-GAT-IT checkpoint into the fastest correct translator this machine can run.

checkpoint -> folded inference graph -> engine -> Translator -> images. Importing this package imports neither torch
nor any runtime; the names below bring what they need when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ugatit_fast.version import __version__

if TYPE_CHECKING:
    from ugatit_fast.checkpoint import load_generator
    from ugatit_fast.export.build import build_engine
    from ugatit_fast.export.front_door import Translator

__all__ = ["Translator", "__version__", "build_engine", "load_generator"]
HOMES = {
    "Translator": "ugatit_fast.export.front_door",
    "build_engine": "ugatit_fast.export.build",
    "load_generator": "ugatit_fast.checkpoint",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
