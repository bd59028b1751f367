"""`ugatit-fast compare`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ugatit_fast.commands.arguments import Output, Size, options, phase_bars, say
from ugatit_fast.commands.ready import EngineFlags, engine_for
from ugatit_fast.commands.tables import show
from ugatit_fast.errors import UgatitFastError
from ugatit_fast.study.options import CompareOptions
from ugatit_fast.train.evaluation.protocols import Measure

if TYPE_CHECKING:
    from ugatit_fast.study.opening import Named


@dataclass(frozen=True, kw_only=True)
class CompareFlags(CompareOptions):
    """The options as people type them."""

    size: Size = CompareOptions.size
    style: Annotated[
        tuple[str, ...], Parameter(show_default=False, metavar="[NAME=]STYLE", allow_leading_hyphen=True)
    ] = CompareOptions.style


COMPARED, MEASURED, FLAGS = CompareFlags(), Measure(), EngineFlags()


def compare_command(
    *methods: str,
    photos: str,
    output: Output,
    target: Path | None = None,
    compared: Annotated[CompareFlags, options()] = COMPARED,
    measured: Annotated[Measure, options()] = MEASURED,
    flags: Annotated[EngineFlags, options(without=["style"])] = FLAGS,
) -> int:
    """Translate photos by several methods, into a page that shows them side by side, with figures.

    Pictures, times, sizes and, with --target, KID and FID; comparison.csv and comparison.json hold them too. A run that
    was cut off goes on. Exit 1 where a method or a photo failed.

    ```
    ugatit-fast compare selfie2anime.zip half.onnx --photos holiday/ -o report
    ugatit-fast compare a=selfie2anime.onnx b=half.onnx --photos me.jpg -o two
    ugatit-fast compare gen_01000000.pt --photos me.jpg --style 1 --style 2 -o s
    ```

    Parameters
    ----------
    methods
        Engines, or weights of which one is built, as translate takes them; NAME=ENGINE says what one is to be called.
    photos
        A folder of photos, a pattern, or a zip archive.
    output
        The folder for the report, made if missing; one that holds anything else is refused.
    target
        A folder of real pictures that translations should look like, or an .npz file of their features.
    """
    from ugatit_fast.study.compare import Target, compare
    from ugatit_fast.study.figures import markdown
    from ugatit_fast.study.names import labels_of
    from ugatit_fast.study.styles import asked_of

    names = labels_of(methods)
    asked_of(compared.style, [name for name, _ in names])  # a slip is said before an engine is built
    compared = replace(compared, target_name=compared.target_name or listed_target([weights for _, weights in names]))
    found = [ready(name, weights, flags) for name, weights in names]
    asked = None if target is None else Target(target, measured)
    with phase_bars() as progress:
        comparison = compare(
            found, photos, output, compared, flags.loading, target=asked, say=say_failure, on_progress=progress
        )
    show(markdown(comparison), str(output / "index.html"))
    made, photos_done = len(comparison.made()), len(comparison.photos)
    done = f"{made} of {len(comparison.methods)} methods, {photos_done} photo{'s' * (photos_done != 1)}"
    wrong = len(comparison.failures)
    print(f"{done}, {wrong} went wrong" if wrong else done)
    print(f"look at {output / 'index.html'}")
    return 1 if wrong else 0


def say_failure(line: str) -> None:
    say(f"error: {line}")


def listed_target(weights: Sequence[str]) -> str | None:
    """What the first of the weights that are on the list turn photos into."""
    from ugatit_fast.weights.known import known_weights

    return next((known.turns[1] for name in weights if (known := known_weights().get(name))), None)


def ready(name: str, weights: str, flags: EngineFlags) -> "Named":
    """A method with its engine, built where there is none, or with the reason why there can be none."""
    from ugatit_fast.study.opening import Named

    try:
        return Named(name, engine_for(weights, flags), weights)
    except UgatitFastError as error:
        return Named(name, error, weights)
