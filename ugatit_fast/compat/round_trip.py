"""The way back from a translation as the published code goes it: from the network's own floats.

An engine takes and gives pictures of 8 bits. Rounding on the way moves the picture that comes back by a few levels, and
its heat map by more, so this part of the published test picture is made by the reference generators.
"""

import torch

from ugatit_fast.backends.base import Images
from ugatit_fast.checkpoint.reference import reference_pictures
from ugatit_fast.engine import EngineSpec
from ugatit_fast.kernels.image import image_of
from ugatit_fast.model import Reference
from ugatit_fast.translator import Translated, Translates


class UnroundedWayBack:
    """An engine, with the generators of both directions for the way back to its domain.

    A `ugatit_fast.translate.products.WayBack`.
    """

    heatmap = True

    def __init__(self, engine: Translates, there: Reference, back: Reference) -> None:
        """engine: of the direction of `back`, with heat maps. The generators are on one device, in float32."""
        self.engine, self.there, self.back = engine, there, back

    @property
    def spec(self) -> EngineSpec:
        """The engine's."""
        return self.engine.spec

    def translate(self, images: Images) -> Translated:
        """By the engine."""
        return self.engine.translate(images)

    @torch.inference_mode()
    def there_and_back(self, photos: Images) -> Translated:
        """As `products.WayBack.there_and_back`; one picture at a time takes the memory of one."""
        cycles = []
        for photo in photos:
            cycled, heatmap = self.back.pictures(reference_pictures(self.there, photo[None])[0])
            assert heatmap is not None, "what the published code trains has one"
            cycles.append((image_of(cycled), heatmap))
        pictures, heatmaps = (torch.cat(parts).cpu().numpy() for parts in zip(*cycles, strict=True))
        return Translated(pictures, heatmaps)
