"""`ugatit-fast verify`."""

from typing import Annotated

from ugatit_fast.choices import Loading
from ugatit_fast.commands.arguments import (
    CheckpointSource,
    EngineFile,
    Flag,
    Network,
    Offline,
    Smoothed,
    options,
    say,
    smooths,
)

LOADING = Loading()


def verify(
    engine: EngineFile,
    checkpoint: CheckpointSource,
    /,
    *,
    loading: Annotated[Loading, options(without=["threads"])] = LOADING,
    network: Network = None,
    smoothing: Smoothed = None,
    offline: Offline = False,
    layers: Flag = False,
) -> int:
    """Compare an engine's pictures with those of the reference generator.

    Exit 1 where they differ too much.

    Parameters
    ----------
    layers
        Also walk the network, stage by stage, to the first place where the engine drifts from float32.
    """
    from ugatit_fast.checkpoint import read_checkpoint
    from ugatit_fast.export.verify import verify as compare_with_reference
    from ugatit_fast.translator import describe_engine

    spec = describe_engine(engine, loading.trust_plan)
    source = read_checkpoint(
        checkpoint, spec.direction, network=network, smoothing=smooths(smoothing), offline=offline, say=say
    )
    found = compare_with_reference(
        engine, source, device=loading.device, tune=loading.tune, trust_plan=loading.trust_plan, say=say
    )
    precision = spec.precision
    passes = found.passes(precision)
    print(found.describe())
    if layers:
        from ugatit_fast.export.stages import walk

        print(walk(engine, spec, source).describe())
    print(f"{'passes' if passes else 'FAILS'} the {precision} gate")
    return 0 if passes else 1
