"""`ugatit-fast verify`."""

from typing import Annotated

from ugatit_fast.choices import Loading, Reading
from ugatit_fast.commands.arguments import (
    READING,
    CheckpointSource,
    EngineFile,
    Flag,
    Offline,
    options,
    say,
)

LOADING = Loading()


def verify(
    engine: EngineFile,
    checkpoint: CheckpointSource,
    /,
    *,
    loading: Annotated[Loading, options(without=["threads", "style"])] = LOADING,
    reading: Annotated[Reading, options()] = READING,
    offline: Offline = False,
    layers: Flag = False,
) -> int:
    """Compare an engine's pictures with those of the reference generator.

    Exit 1 where they differ too much.

    ```
    ugatit-fast verify selfie2anime.onnx selfie2anime.pt
    ugatit-fast verify half.onnx selfie2anime.zip --layers
    ```

    Parameters
    ----------
    layers
        Also walk the network, stage by stage, to the first place where the engine drifts from float32; not for float32
        engines of onnxruntime, whose stages have no counterpart.
    """
    from ugatit_fast.checkpoint import read_checkpoint
    from ugatit_fast.export.verify import verify as compare_with_reference
    from ugatit_fast.translator import describe_engine

    spec = describe_engine(engine, loading.trust_plan)
    if layers:
        from ugatit_fast.export.stages import subject_of, walk

        say(f"--layers will look into {subject_of(engine, spec)}")
    source = read_checkpoint(
        checkpoint,
        spec.direction,
        network=reading.network,
        hints=reading,
        smoothing=reading.smooths,
        offline=offline,
        say=say,
    )
    found = compare_with_reference(
        engine, source, device=loading.device, tune=loading.tune, trust_plan=loading.trust_plan, say=say
    )
    precision = spec.precision
    passes = found.passes(precision)
    print(found.describe())
    if layers:
        print(walk(engine, spec, source).describe())
    print(f"{'passes' if passes else 'FAILS'} the {precision} gate")
    return 0 if passes else 1
