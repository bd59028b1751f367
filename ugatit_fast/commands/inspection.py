"""`ugatit-fast inspect`."""

from pathlib import Path

from ugatit_fast.choices import Direction
from ugatit_fast.commands.arguments import Checksums, Offline, Smoothed, smooths


def inspect(
    file: Path,
    /,
    *,
    direction: Direction | None = None,
    smoothing: Smoothed = None,
    verify: Checksums = False,
    offline: Offline = False,
) -> None:
    """Say what an engine or a checkpoint holds.

    Parameters
    ----------
    file
        An engine, or a checkpoint of any kind that build-engine reads.
    direction
        Which generator of a checkpoint with both to look at; A2B unless given.
    """
    from ugatit_fast.engine import read_spec
    from ugatit_fast.errors import CheckpointError, EngineError

    try:
        facts: dict[str, object] = vars(read_spec(file))
    except EngineError as not_an_engine:
        from ugatit_fast.checkpoint import facts_of, read_checkpoint

        try:
            source = read_checkpoint(file, direction, smoothing=smooths(smoothing), verify=verify, offline=offline)
        except CheckpointError as not_a_checkpoint:
            raise (not_an_engine if file.suffix in (".onnx", ".engine") else not_a_checkpoint) from None
        facts = facts_of(source)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):22} {value}")
