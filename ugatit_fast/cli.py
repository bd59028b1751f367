"""The command line: parse, call one library function, print. Results go to stdout, progress and errors to stderr."""

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from ugatit_fast.arguments import (
    Batch,
    Flag,
    MaybeOutput,
    Output,
    Size,
    parse_batch,
    parse_size,
    phase_bars,
    say,
    smooths,
)
from ugatit_fast.choices import (
    BackendChoice,
    ConvertDirection,
    Device,
    Direction,
    KernelChoice,
    Precision,
    Smoothing,
    TensorRTOptions,
)
from ugatit_fast.errors import UgatitFastError
from ugatit_fast.version import __version__

HELP = """Turn a trained U-GAT-IT checkpoint into a fast translator, and translate photos with it.

Start with: ugatit-fast demo
"""

app = App(
    name="ugatit-fast",
    help=HELP,
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,
)

app.command(
    "ugatit_fast.translate_command:translate",
    name="translate",
    help="Translate photos, videos and animations, folders of them, patterns or zip archives.",
)
app.command(
    "ugatit_fast.bench.cli:bench_app",
    name="bench",
    help="Measure every engine and rival that this machine can run, or compare two results.",
)
app.command(
    "ugatit_fast.train.cli:train_app", name="train", help="Train a pair of generators on two folders of pictures."
)
app.command("ugatit_fast.train.cli:data_app", name="data", help="Look after data sets.")
app.command(
    "ugatit_fast.train.cli:evaluate_command",
    name="evaluate",
    help="Measure how far translations are from real pictures: KID and FID.",
)
app.command(
    "ugatit_fast.camera.cli:camera_command",
    name="camera",
    help="Translate this machine's camera, live, on a page that only this machine can see.",
)
app.command(
    "ugatit_fast.serve.cli:serve_command",
    name="serve",
    help="Serve an engine over HTTP, with a page to try it on.",
)
app.command(
    "ugatit_fast.export.cli:triton_repo_command",
    name="export-triton-repo",
    help="Write an engine into a model repository of NVIDIA's Triton Inference Server.",
)
app.command(
    "ugatit_fast.compat.cli:compat_command",
    name="compat",
    help="Train or test with the flags and folders of the published repositories.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a known failure (one line on stderr), 2 for wrong usage."""
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    try:
        result = app(argv, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return 2
    except UgatitFastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output, such as `head`, has gone; nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0


@app.command(name="build-engine")
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


@app.command
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


@app.command
def inspect(
    file: Path,
    /,
    *,
    direction: Direction | None = None,
    smoothing: Smoothing | None = None,
    verify: Flag = False,
    offline: Flag = False,
) -> None:
    """Say what an engine or a checkpoint holds.

    Parameters
    ----------
    file
        An engine, or a checkpoint of any kind that build-engine reads.
    direction
        Which generator of a checkpoint with both to look at; A2B unless given.
    smoothing
        As for build-engine.
    verify
        Also compare the checksums of the weights, where the format has any.
    offline
        Take what hf:// names from the cache; don't use the network.
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


@app.command
def convert(
    source: Path,
    target: Path,
    /,
    *,
    direction: ConvertDirection | None = None,
    precision: Precision = "fp32",
    smoothing: Smoothing | None = None,
    verify: Flag = False,
    offline: Flag = False,
) -> None:
    """Convert any checkpoint to one small .safetensors generator, which every command reads.

    Parameters
    ----------
    source
        A checkpoint of any kind that build-engine reads.
    target
        The .safetensors file, or a folder.
    direction
        Which generator to take, or both in a file each; A2B unless given.
    precision
        fp16 halves the size.
    smoothing
        As for build-engine.
    verify
        Also compare the checksums of the weights, where the format has any.
    offline
        Take what hf:// names from the cache; don't use the network.
    """
    from ugatit_fast.convert import convert as convert_checkpoint

    written = convert_checkpoint(
        source,
        target,
        direction=direction,
        precision=precision,
        smoothing=smooths(smoothing),
        verify=verify,
        offline=offline,
        say=say,
    )
    for file in written:
        print(file.describe())


@app.command
def doctor(*, json: Flag = False) -> int:
    """Say what this machine can build and run, and what to install for the rest; exit 1 where something is wrong.

    Parameters
    ----------
    json
        As JSON, for programs.
    """
    from dataclasses import asdict
    from json import dumps

    from ugatit_fast.doctor import as_text, report

    checks = report()
    print(dumps([asdict(check) for check in checks], indent=2) if json else as_text(checks))
    return 1 if any(check.status == "problem" for check in checks) else 0


@app.command
def demo(output: Output = Path("demo")) -> None:
    """Build an engine from sample weights and translate sample photos with it.

    Parameters
    ----------
    output
        The folder for the weights, the engine and the pictures; made if missing.
    """
    from ugatit_fast.demo import run_demo

    result = run_demo(output, say)
    for stage, seconds in result.seconds.items():
        print(f"{stage:22} {seconds:7.2f} s")
    print(f"look at {result.page}")


if __name__ == "__main__":
    sys.exit(main())
