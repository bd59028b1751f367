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
HOMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Translator": ("ugatit_fast.export.front_door", ("cpu",)),
    "build_engine": ("ugatit_fast.export.build", ("cpu", "torch")),
    "load_generator": ("ugatit_fast.checkpoint", ("torch",)),
}
"""Where each name is, and the extras that it takes."""


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ugatit_fast.backends.extras import libraries_needed

    home, extras = HOMES[name]
    with libraries_needed(extras):
        return getattr(import_module(home), name)
