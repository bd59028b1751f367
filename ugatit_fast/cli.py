"""The command line: parse, call one library function, print. Results go to stdout, progress and errors to stderr."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from ugatit_fast.choices import BackendChoice, Device, Direction, Fit, Precision
from ugatit_fast.errors import UgatitFastError
from ugatit_fast.version import __version__

HELP = """Turn a trained U-GAT-IT checkpoint into a fast translator, and translate photos with it.

Start with: ugatit-fast demo
"""

app = App(name="ugatit-fast", help=HELP, version=__version__, version_flags=["--version"], help_flags=["--help", "-h"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a known failure (one line on stderr), 2 for wrong usage."""
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
    return result if isinstance(result, int) else 0


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`256x256` (height x width), or `256` for a square, as (height, width)."""
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"expected height x width in pixels, such as 256x256, got {text!r}")
    return sides[0], sides[-1]


Size = Annotated[str | None, Parameter(validator=lambda _, text: parse_size(text))]


@app.command(name="build-engine")
def build_engine_command(
    checkpoint: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    backend: BackendChoice = "auto",
    precision: Precision | None = None,
    size: Size = None,
    direction: Direction | None = None,
    heatmap: bool = False,
) -> None:
    """Build an engine from a checkpoint, and check it against the reference generator.

    Parameters
    ----------
    checkpoint
        A published .pt file, a generator's state dict, or our own .safetensors.
    output
        The engine file. Beside the checkpoint unless given.
    backend
        What runs the engine; auto is the fastest that this machine can run.
    precision
        fp32 or fp16; the backend's own choice unless given.
    size
        Height x width in pixels; the training size unless given. A full generator serves that one only.
    direction
        Which generator to take from a file with both; A2B unless given.
    heatmap
        Let the engine also compute the attention heat map.
    """
    from ugatit_fast.export.build import build_engine

    built = build_engine(
        checkpoint,
        output,
        backend=backend,
        precision=precision,
        size=parse_size(size),
        direction=direction,
        heatmap=heatmap,
        say=say,
    )
    print(f"{built.path}: built in {built.seconds:.1f} s")
    print(built.difference.describe())
    say(f"next: ugatit-fast translate {built.path} PHOTO_OR_FOLDER -o OUT")


@app.command
def verify(engine: Path, checkpoint: Path, /, *, device: Device = "auto") -> int:
    """Compare an engine's pictures with those of the reference generator; exit 1 where they differ too much.

    Parameters
    ----------
    engine
        The engine file.
    checkpoint
        The checkpoint that it was built from.
    device
        Where the engine runs.
    """
    from ugatit_fast.engine import read_spec
    from ugatit_fast.export.verify import verify as compare_with_reference

    found = compare_with_reference(engine, checkpoint, device=device)
    precision = read_spec(engine).precision
    passes = found.passes(precision)
    print(found.describe())
    print(f"{'passes' if passes else 'FAILS'} the {precision} gate")
    return 0 if passes else 1


@app.command
def inspect(file: Path, /) -> None:
    """Say what an engine or a checkpoint holds.

    Parameters
    ----------
    file
        An engine, or a checkpoint of any format that build-engine reads.
    """
    from ugatit_fast.engine import read_spec
    from ugatit_fast.errors import EngineError

    try:
        facts = asdict(read_spec(file))
    except EngineError:
        from ugatit_fast.checkpoint import facts_of, read_checkpoint

        facts = facts_of(read_checkpoint(file))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):22} {value}")


if __name__ == "__main__":
    sys.exit(main())
