"""`ugatit-fast evaluate`."""

from pathlib import Path
from typing import Annotated

from ugatit_fast.commands.arguments import options, phase_bars, say
from ugatit_fast.train.evaluation.protocols import EvaluateOptions

HOW = EvaluateOptions()


def evaluate_command(
    translated: Path,
    real: Path,
    /,
    *,
    how: Annotated[EvaluateOptions, options()] = HOW,
    json: Path | None = None,
) -> None:
    """Measure how far translations are from real pictures: KID and FID.

    ```
    ugatit-fast evaluate anime/ my-set/testB --download
    ugatit-fast evaluate translated.npz real.npz --json distances.json
    ```

    Parameters
    ----------
    translated
        Folder of translations, or an .npz file of features.
    real
        Folder of pictures that they should look like, or an .npz file.
    json
        Also write the results to this file.
    """
    from ugatit_fast.train.evaluation.evaluate import evaluate

    with phase_bars() as progress:
        evaluation = evaluate(translated, real, how, say=say, on_progress=progress)
    for result in evaluation.results:
        print(result.describe())
    for role, count in evaluation.skipped.items():
        if count:
            print(f"skipped {count} {role} pictures that can't be read")
    for note in evaluation.notes:
        say(f"note: {note}")
    if json is not None:
        evaluation.save(json)
