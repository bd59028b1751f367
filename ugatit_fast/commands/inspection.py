"""`ugatit-fast inspect`."""

from pathlib import Path

from ugatit_fast.choices import Direction
from ugatit_fast.commands.arguments import Checksums, Network, Offline, Smoothed, say, smooths
from ugatit_fast.commands.needs import torch_is_needed


def inspect(
    file: str,
    /,
    *,
    direction: Direction | None = None,
    network: Network = None,
    smoothing: Smoothed = None,
    verify: Checksums = False,
    offline: Offline = False,
) -> None:
    """Say what an engine or a checkpoint holds.

    Parameters
    ----------
    file
        An engine, or whatever build-engine reads as a checkpoint.
    direction
        Which generator of a checkpoint with both to look at; A2B unless given.
    """
    from ugatit_fast.backends.runtimes import is_engine
    from ugatit_fast.engine import read_spec

    if is_engine(Path(file)):
        facts = read_spec(file).facts()
    else:
        with torch_is_needed("torch"):
            from ugatit_fast.checkpoint import facts_of, read_checkpoint

        smoothed = smooths(smoothing)
        facts = facts_of(
            read_checkpoint(
                file, direction, network=network, smoothing=smoothed, verify=verify, offline=offline, say=say
            )
        )
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):22} {value}")
