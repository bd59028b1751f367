"""Translator as people import it: weights of any kind go in, and an engine is built where there is none.

Inside, a translator takes an engine and knows of no builder (`ugatit_fast.translator`); what serves pictures must be
able neither to build nor to fetch. This is the door that `from ugatit_fast import Translator` leads to.
"""

from pathlib import Path

from ugatit_fast.choices import HINTS, Direction, Hints, Precision, Tune
from ugatit_fast.export.options import ReadyOptions
from ugatit_fast.export.ready import ready_engine
from ugatit_fast.progress import Say
from ugatit_fast.translator import GivenStyle
from ugatit_fast.translator import Translator as EngineTranslator


class Translator(EngineTranslator):
    """Translates pictures with any weights. Thread-safe, and a context manager.

    with Translator("selfie2anime.zip") as translator:
        translated = translator("me.jpg")
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str = "auto",
        heatmap: bool = False,
        threads: int | None = None,
        tune: Tune = "auto",
        trust_plan: bool = False,
        style: "GivenStyle | None" = None,
        direction: Direction | None = None,
        size: tuple[int, int] | None = None,
        precision: Precision | None = None,
        hints: Hints = HINTS,
        network: str | None = None,
        offline: bool = False,
        say: Say = lambda _: None,
    ) -> None:
        """Load an engine, built before where there is none; the object is ready when this returns.

        weights: an engine file from `build_engine`; or a checkpoint, an archive or a folder with one, a name from
            `ugatit-fast weights`, hf://ORG/REPO or https://..., of which an engine is built once and kept in the
            user's cache.
        direction, size (height, width), precision: of the engine where one is built; else A2B or the only one, the
            training size, and the runtime's own choice.
        hints: what is known of the weights' generator that its tensors don't say. network: of a file with several
            generators of a direction, the one of this name.
        offline: as for `ReadyOptions`.
        device, heatmap, threads, tune, trust_plan, style: as for the translator of an engine.
        say: called with a line of progress now and then.
        Raises what `ready_engine` does, and EngineError or BackendUnavailable where the engine can't be loaded.
        """
        options = ReadyOptions(
            direction=direction, precision=precision, network=network, offline=offline, **vars(hints.alone)
        )
        engine = (  # a bare plan says nothing about itself, not even that it is an engine
            Path(weights)
            if trust_plan
            else ready_engine(weights, options, device=device, size=size, heatmap=heatmap, say=say)
        )
        super().__init__(
            engine,
            device=device,
            heatmap=heatmap,
            threads=threads,
            tune=tune,
            trust_plan=trust_plan,
            style=style,
            say=say,
        )
