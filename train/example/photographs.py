"""Which photographs the example data set takes from installed packages; authors and licences: assets/PROVENANCE.md.

A photograph is in one domain or held out of both, so no print of B shows what a photo of A shows.
"""

import importlib.util
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ugatit_fast.errors import BackendUnavailable
from ugatit_fast.machine import pip_install
from ugatit_fast.media.images import Pixels, load_image

SHORT_SIDE_PIXELS = 900
"""Larger photographs are reduced to this: what crops of up to all of it are made from."""


@dataclass(frozen=True)
class Collection:
    """Photographs inside one package: paths below `folder`, which is inside a Python package or below the root."""

    package: str
    folder: str
    a: tuple[str, ...] = ()
    b: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    """Never trained on."""
    debian: bool = False
    """A package of Debian, which may be missing; otherwise one of Python, which must be there."""

    def file(self, name: str) -> Path:
        """Where a photograph is, or would be. BackendUnavailable where its Python package is missing."""
        if self.debian:
            return Path("/", self.folder, name)
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise BackendUnavailable(
                f"the example data set takes photographs from {self.package}, which isn't installed; "
                f"{pip_install('example-data')}"
            )
        return Path(spec.origin).parent / self.folder / name

    @property
    def is_installed(self) -> bool:
        """Whether all of its photographs are there."""
        return all(self.file(name).is_file() for name in (*self.a, *self.b, *self.held_out))


of_debian = partial(Collection, debian=True)

COLLECTIONS = (
    Collection("matplotlib", "mpl-data/sample_data", held_out=("grace_hopper.jpg",)),
    Collection(
        "skimage",
        "data",
        a=("gravel.png", "retina.jpg", "rocket.jpg"),
        b=("brick.png", "camera.png", "coins.png", "grass.png"),
        held_out=("astronaut.png", "chelsea.png", "coffee.png"),
    ),
    Collection("sklearn", "datasets/images", b=("flower.jpg",), held_out=("china.jpg",)),
    of_debian(
        "gnome-backgrounds",
        "usr/share/backgrounds/gnome",
        a=("adwaita-l.webp",),
        b=("licorice-l.webp", "truchet-l.webp"),
    ),
    of_debian(
        "mate-backgrounds",
        "usr/share/backgrounds/mate",
        a=(
            "desktop/Ubuntu-Mate-Cold-no-logo.png",
            "nature/Aqua.jpg",
            "nature/Blinds.jpg",
            "nature/Dune.jpg",
            "nature/LadyBird.jpg",
            "nature/Storm.jpg",
        ),
        b=(
            "abstract/Elephants.jpg",
            "nature/Garden.jpg",
            "nature/GreenMeadow.jpg",
            "nature/RainDrops.jpg",
            "nature/TwoWings.jpg",
            "nature/Wood.jpg",
            "nature/YellowFlower.jpg",
        ),
    ),
    of_debian(
        "plasma-workspace-wallpapers",
        "usr/share/wallpapers",
        a=(
            "Altai/contents/images/5120x2880.png",
            "Autumn/contents/images/2560x1600.jpg",
            "ColdRipple/contents/images/2560x1600.jpg",
            "ColorfulCups/contents/images/2560x1600.jpg",
            "DarkestHour/contents/images/2560x1600.jpg",
            "SafeLanding/contents/images/5120x2880.jpg",
            "summer_1am/contents/images/2560x1600.jpg",
        ),
        b=(
            "BytheWater/contents/images/2560x1600.jpg",
            "FallenLeaf/contents/images/2560x1600.jpg",
            "IceCold/contents/images/5120x2880.png",
            "Kite/contents/images/2560x1600.jpg",
            "OneStandsOut/contents/images/2560x1600.jpg",
            "Volna/contents/images/5120x2880.jpg",
        ),
        held_out=("EveningGlow/contents/images/2560x1600.jpg",),
    ),
    of_debian(
        "lomiri-wallpapers-16.04",
        "usr/share/backgrounds",
        a=(
            "Picture_1A_by_freespace.jpg",
            "free_by_Peter_Nerlich.jpg",
            "greentock_by_Peter_Nerlich.jpg",
            "sunset_by_Aitzol_Berasategi.jpg",
            "umang_by_Abhishek_Mudgal.jpg",
        ),
        b=(
            "Bridge_by_Sander_Klootwijk.jpg",
            "Dragonfly_by_Bolly.jpg",
            "aitzgorri_by_Aitzol_Berasategi.jpg",
            "seeding_by_Clements_Engelhardt.jpg",
        ),
        held_out=(
            "Picture_0B_by_freespace.jpg",
            "Wine_by_Jakkub_Mede.jpg",
            "friends_by_Aitzol_Berasategi.jpg",
            "life_by_Aitzol_Berasategi.jpg",
            "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        ),
    ),
    of_debian(
        "lomiri-wallpapers-20.04",
        "usr/share/backgrounds",
        b=("Infinite-Sea_by_Aury88.jpg",),
        held_out=("Kleiber_by_Lukas_Baubkus.jpg",),
    ),
    of_debian(
        "ukui-wallpapers",
        "usr/share/backgrounds",
        a=("calla.png",),
        b=("the-mouse.jpg",),
    ),
    of_debian(
        "tuxpaint-stamps-default",
        "usr/share/tuxpaint/stamps",
        a=(
            "animals/birds/albino_peahen.png",
            "animals/birds/helmeted_guineafowl.png",
            "animals/mammals/bovines/gnu-baby.png",
            "food/fruit/Apricot_whole.png",
            "food/fruit/cherimoya.png",
            "food/fruit/orange_seville.png",
            "food/spices/ginger.png",
            "household/tools/spade.png",
            "military/vehicles/f22_raptor.png",
            "military/vehicles/infantry-stryker.png",
            "plants/flowers/daffodil.png",
        ),
        b=(
            "household/Lightbulb.png",
            "household/tools/cementmixer.png",
            "military/vehicles/bradley.png",
            "plants/flowers/anemone_red.png",
            "plants/trees/holm_oak.png",
            "plants/trees/tree336.png",
            "vehicles/race/indycar.png",
            "vehicles/wheel_tractor.png",
        ),
        held_out=(
            "food/fruit/Cherry_Stella.png",
            "vehicles/emergency/firetruck.png",
            "vehicles/flight/balloon360.png",
        ),
    ),
)


def missing_debian_packages() -> list[str]:
    """Debian packages whose photographs aren't all there, for apt-get to install."""
    return [collection.package for collection in COLLECTIONS if collection.debian and not collection.is_installed]


@dataclass(frozen=True)
class Photographs:
    """Files of either domain, and of neither."""

    a: list[Path]
    b: list[Path]
    held_out: list[Path]


def installed_photographs() -> Photographs:
    """Those that are there. BackendUnavailable where a Python package is missing."""
    found = Photographs([], [], [])
    for collection in COLLECTIONS:
        if collection.debian and not collection.is_installed:
            continue
        for files, names in (
            (found.a, collection.a),
            (found.b, collection.b),
            (found.held_out, collection.held_out),
        ):
            files += [collection.file(name) for name in names]
    return found


def load_reduced(file: Path) -> Pixels:
    """A photograph, uint8 RGB (h, w, 3), its shorter side at most 900."""
    photo = load_image(file, at_least=(SHORT_SIDE_PIXELS, SHORT_SIDE_PIXELS))
    height, width = photo.shape[:2]
    scale = SHORT_SIDE_PIXELS / min(height, width)
    if scale >= 1:
        return photo
    size = round(width * scale), round(height * scale)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
