"""`ugatit-fast inspect`."""

from pathlib import Path
from typing import Annotated

from ugatit_fast.choices import Direction, Reading
from ugatit_fast.commands.arguments import READING, Checksums, Named, Offline, options, say


def inspect(
    file: Named,
    /,
    *,
    direction: Direction | None = None,
    reading: Annotated[Reading, options()] = READING,
    verify: Checksums = False,
    offline: Offline = False,
    kernels: bool = False,
) -> None:
    """Say what an engine or a checkpoint holds.

    ```
    ugatit-fast inspect selfie2anime.onnx
    ugatit-fast inspect selfie2anime.zip --direction B2A
    ```

    Parameters
    ----------
    file
        An engine, or whatever build-engine reads as a checkpoint.
    direction
        Which generator of a checkpoint with both to look at; A2B unless given.
    kernels
        Also list and count the kernels that a TensorRT engine will run, as far as its plans carry their source.
    """
    from ugatit_fast.assets import card_of
    from ugatit_fast.backends.runtimes import RUNTIMES, is_engine
    from ugatit_fast.engine import read_spec
    from ugatit_fast.errors import InputError

    if is_engine(Path(file)):
        spec = read_spec(file)
        facts, has_plans = spec.facts(), RUNTIMES[spec.kind].contents == "plans"
    else:
        from ugatit_fast.checkpoint import facts_of, read_checkpoint

        has_plans = False
        source = read_checkpoint(
            file,
            direction,
            network=reading.network,
            hints=reading,
            smoothing=reading.smooths,
            verify=verify,
            offline=offline,
            say=say,
        )
        facts, file = facts_of(source), str(source.path)
    if kernels and not has_plans:
        raise InputError(f"{file} has no plans of TensorRT, whose kernels --kernels lists; leave it out")
    for name, value in facts.items():
        if words := in_words(value):
            print(f"{name.replace('_', ' '):22} {words}")
    if card := card_of(Path(file)):
        print(f"{'model card':22} {card}")
    if kernels:
        from ugatit_fast.backends.plan_kernels import describe_kernels

        print(describe_kernels(Path(file)))


def in_words(value: object) -> str:
    """A fact for people; nothing where it has no content."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
