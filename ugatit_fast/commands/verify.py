"""`ugatit-fast verify`."""

from pathlib import Path

from ugatit_fast.choices import (
    Device,
    Smoothing,
)
from ugatit_fast.commands.arguments import (
    Flag,
    smooths,
)


def verify(
    engine: Path,
    checkpoint: Path,
    /,
    *,
    device: Device = "auto",
    smoothing: Smoothing | None = None,
    offline: Flag = False,
    layers: Flag = False,
    trust_plan: Flag = False,
) -> int:
    """Compare an engine's pictures with those of the reference generator; exit 1 where they differ too much.

    Parameters
    ----------
    engine
        The engine file.
    checkpoint
        The checkpoint that it was built from.
    device
        Where the engine runs.
    smoothing
        As for build-engine.
    offline
        Take what hf:// names from the cache; don't use the network.
    layers
        Also walk the network, stage by stage, to the first place where the engine drifts from float32.
    trust_plan
        As for translate.
    """
    from ugatit_fast.checkpoint import read_checkpoint
    from ugatit_fast.export.verify import verify as compare_with_reference
    from ugatit_fast.translator import describe_engine

    spec = describe_engine(engine, trust_plan)
    source = read_checkpoint(checkpoint, spec.direction, smoothing=smooths(smoothing), offline=offline)
    found = compare_with_reference(engine, source, device=device, trust_plan=trust_plan)
    precision = spec.precision
    passes = found.passes(precision)
    print(found.describe())
    if layers:
        from ugatit_fast.export.stages import walk

        print(walk(engine, spec, source).describe())
    print(f"{'passes' if passes else 'FAILS'} the {precision} gate")
    return 0 if passes else 1
