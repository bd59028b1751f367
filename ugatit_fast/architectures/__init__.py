"""The generators that can be translated with: U-GAT-IT and its neighbours, one small module a family.

    architecture.py  what every one of them says about itself
    ugatit.py        U-GAT-IT (its reference, graph and folds: ugatit_fast/model.py, graph.py, fold.py)
    normed.py        what CycleGAN's and pix2pix's have in common
    published_options.py  what their files leave to be told
    unet.py          pix2pix's U-Net
    cyclegan.py      CycleGAN, pix2pix with residual blocks, pix2pixHD's global generator
    resnet_tensors.py  what the tensors of such a generator say
    cut.py           CUT, FastCUT and DCLGAN, which are such a generator with blurs
    animegan2.py     AnimeGANv2
    animegan2_variables.py  what its TensorFlow code calls its tensors
    unit.py          UNIT
    munit.py         MUNIT, which draws in styles
    drit.py          DRIT and DRIT++, which do, too
    photo2cartoon.py  photo2cartoon: U-GAT-IT with hourglasses
    unit_tensors.py  what the tensors of UNIT and MUNIT say, and the configuration beside them
    rewrites.py      exact rewrites that several of them share
    whitebox.py      white-box cartoonization
    foreign.py       what is known by its tensors' names and isn't read

An architecture is recognised by names and shapes of tensors, never by a file's name.
"""

from typing import Any

from ugatit_fast.architectures.animegan2 import AnimeGan2
from ugatit_fast.architectures.architecture import Architecture, Shapes, Understood
from ugatit_fast.architectures.cut import Cut
from ugatit_fast.architectures.cyclegan import CycleGan
from ugatit_fast.architectures.drit import Drit
from ugatit_fast.architectures.munit import Munit
from ugatit_fast.architectures.photo2cartoon import Photo2Cartoon
from ugatit_fast.architectures.ugatit import Ugatit
from ugatit_fast.architectures.unet import Unet
from ugatit_fast.architectures.unit import Unit
from ugatit_fast.architectures.whitebox import Whitebox
from ugatit_fast.graph import FoldedNetwork
from ugatit_fast.model import Config, Reference

ARCHITECTURES: tuple[Architecture[Any], ...] = (
    Ugatit(),
    CycleGan(),
    Cut(),
    AnimeGan2(),
    Unet(),
    Unit(),
    Munit(),
    Drit(),
    Whitebox(),
    Photo2Cartoon(),
)
"""In the order in which they are looked for."""


def architecture_called(name: str) -> Architecture[Any]:
    """KeyError for a name that there is none of."""
    by_name: dict[str, Architecture[Any]] = {one.name: one for one in ARCHITECTURES}
    return by_name[name]


def architecture_of(config: Config) -> Architecture[Any]:
    """The one that a config is of."""
    return architecture_called(config.architecture)


def fold(reference: Reference) -> FoldedNetwork:
    """The inference graph of a generator, in its dtype (float32 from a checkpoint)."""
    return architecture_of(reference.config).fold(reference)


__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Shapes",
    "Understood",
    "architecture_called",
    "architecture_of",
    "fold",
]
