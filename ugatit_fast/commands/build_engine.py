"""`ugatit-fast build-engine`."""

from pathlib import Path

from ugatit_fast.choices import BackendChoice, Direction, KernelChoice, Precision, Smoothing
from ugatit_fast.commands.arguments import (
    Batch,
    Flag,
    MaybeOutput,
    Size,
    parse_batch,
    parse_size,
    phase_bars,
    say,
    smooths,
)
from ugatit_fast.export.options import TensorRTOptions


def build_engine_command(
    checkpoint: Path,
    /,
    *,
    output: MaybeOutput = None,
    backend: BackendChoice = "auto",
    precision: Precision | None = None,
    batch: Batch = None,
    size: Size = None,
    direction: Direction | None = None,
    heatmap: Flag = False,
    smoothing: Smoothing | None = None,
    offline: Flag = False,
    kernels: KernelChoice = TensorRTOptions.kernels,
    dynamic_batch: Flag = TensorRTOptions.dynamic_batch,
    optimization_level: int = TensorRTOptions.optimization_level,
    workspace: int | None = TensorRTOptions.workspace_mib,
    timing_cache: Path | None = TensorRTOptions.timing_cache,
    keep_plan: Flag = TensorRTOptions.keep_plan,
) -> None:
    """Build an engine from a checkpoint, and check it against the reference generator.

    Parameters
    ----------
    checkpoint
        A published .pt file, a state dict, our own .safetensors, a TensorFlow checkpoint (prefix, .index file or
        folder), or hf://ORG/REPO[@REVISION][/FILE].
    output
        The engine file. Beside the checkpoint unless given.
    backend
        What runs the engine; auto is the fastest that this machine can run.
    precision
        fp32 or fp16; the backend's own choice unless given.
    batch
        Batch sizes that a GPU engine serves in one call, such as 1,4,16.
    size
        Height x width in pixels; the training size unless given. A full generator serves that one only.
    direction
        Which generator to take from a file with both; A2B unless given.
    heatmap
        Let the engine also compute the attention heat map.
    smoothing
        Whether a TensorFlow run was trained with --smoothing; by its folder's name or its weights unless given.
    offline
        Take what hf:// names from the cache; don't use the network.
    kernels
        TensorRT only, as all that follow: normalise with its own kernels or with ours; auto keeps the faster.
    dynamic_batch
        One plan for every batch size up to the largest, instead of one for each: a smaller file, and slower.
    optimization_level
        0 builds fastest, 5 searches longest for fast kernels.
    workspace
        MiB of GPU memory that a layer may take for itself; all there is unless given.
    timing_cache
        Folder for what builds measure, so that the next is faster; the user's cache folder unless given.
    keep_plan
        Also write the bare plans beside the engine, for trtexec and the C++ runtime.
    """
    from ugatit_fast.checkpoint import read_checkpoint
    from ugatit_fast.export.build import build_engine

    tensorrt = TensorRTOptions(
        kernels=kernels,
        dynamic_batch=dynamic_batch,
        optimization_level=optimization_level,
        workspace_mib=workspace,
        timing_cache=timing_cache,
        keep_plan=keep_plan,
    )
    source = read_checkpoint(checkpoint, direction, smoothing=smooths(smoothing), offline=offline)
    with phase_bars() as progress:
        built = build_engine(
            source,
            output,
            backend=backend,
            precision=precision,
            batch=parse_batch(batch),
            size=parse_size(size),
            heatmap=heatmap,
            tensorrt=tensorrt,
            say=say,
            progress=progress,
        )
    print(f"{built.path}: built in {built.seconds:.1f} s")
    print(built.difference.describe())
    say(f"next: ugatit-fast translate {built.path} PHOTO_OR_FOLDER -o OUT")
