"""`ugatit-fast build-engine`."""

from dataclasses import dataclass
from typing import Annotated

from ugatit_fast.choices import Reading
from ugatit_fast.commands.arguments import (
    READING,
    CheckpointSource,
    MaybeOutput,
    Offline,
    Size,
    as_text,
    options,
    parse_batch,
    parse_names,
    phase_bars,
    say,
    say_next,
)
from ugatit_fast.export.options import BuildOptions, TensorRTOptions


@dataclass(frozen=True, kw_only=True)
class BuildFlags(BuildOptions):
    """The options as people type them."""

    batch: Annotated[tuple[int, ...], as_text(parse_batch)] = BuildOptions.batch
    size: Size = BuildOptions.size


@dataclass(frozen=True, kw_only=True)
class PlanFlags(TensorRTOptions):
    """The options for plans as people type them."""

    gpu: Annotated[tuple[str, ...], as_text(parse_names)] = TensorRTOptions.gpu


WANTED, TENSORRT = BuildFlags(), PlanFlags()


def build_engine_command(
    checkpoint: CheckpointSource,
    /,
    *,
    output: MaybeOutput = None,
    wanted: Annotated[BuildFlags, options()] = WANTED,
    reading: Annotated[Reading, options(without=["network"])] = READING,
    offline: Offline = False,
    tensorrt: Annotated[PlanFlags, options(workspace_mib="workspace")] = TENSORRT,
) -> None:
    """Build an engine from a checkpoint, and check it.

    The check compares its pictures with those of the reference generator.

    ```
    ugatit-fast build-engine selfie2anime.pt
    ugatit-fast build-engine selfie2anime.zip -o anime.onnx --heatmap --size 256
    ugatit-fast build-engine selfie2anime.pt --backend cuda --batch 1,8
    ```

    Parameters
    ----------
    output
        The engine file. Beside the checkpoint unless given.
    """
    from ugatit_fast.checkpoint import read_checkpoint
    from ugatit_fast.export.build import build_engine

    with phase_bars() as progress:
        source = read_checkpoint(
            checkpoint,
            wanted.direction,
            network=wanted.network,
            hints=reading,
            smoothing=reading.smooths,
            offline=offline,
            say=say,
            progress=progress,
        )
        built = build_engine(source, output, **vars(wanted), tensorrt=tensorrt, say=say, progress=progress)
    print(f"{built.path}: built in {built.seconds:.1f} s")
    print(built.difference.describe())
    if not source.config.any_size and built.spec.precision == "fp32":
        megabytes = built.path.stat().st_size / 1e6
        say(f"a full generator in fp32, {megabytes:.0f} MB: --precision fp16 makes a file of half that")
    say_next(f"ugatit-fast translate {built.path} PHOTO_OR_FOLDER")
