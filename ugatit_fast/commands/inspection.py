"""`ugatit-fast inspect`."""

from pathlib import Path

from ugatit_fast.choices import Direction
from ugatit_fast.commands.arguments import Checksums, Network, Offline, Smoothed, smooths


def inspect(
    file: Path,
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
        An engine, or a checkpoint of any kind that build-engine reads.
    direction
        Which generator of a checkpoint with both to look at; A2B unless given.
    """
    from ugatit_fast.backends.runtimes import BUILT
    from ugatit_fast.engine import read_spec
    from ugatit_fast.files import SHARED_SUFFIX, own_kind

    engines_only = {runtime.suffix for runtime in BUILT} - {SHARED_SUFFIX}
    if own_kind(file) == "engine" or file.suffix in engines_only:
        facts = read_spec(file).facts()
    else:
        from ugatit_fast.checkpoint import facts_of, read_checkpoint

        smoothed = smooths(smoothing)
        facts = facts_of(
            read_checkpoint(file, direction, network=network, smoothing=smoothed, verify=verify, offline=offline)
        )
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):22} {value}")
