"""The command line: parse, call one library function, print. Results go to stdout, progress and errors to stderr."""

import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from ugatit_fast.commands.arguments import say
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

VERBS = {
    "build-engine": ("build_engine:build_engine_command", "Build an engine from a checkpoint, and check it."),
    "translate": (
        "translate:translate",
        "Translate photos, videos and animations, folders of them, patterns or zip archives.",
    ),
    "verify": ("verify:verify", "Compare an engine's pictures with those of the reference generator."),
    "inspect": ("inspection:inspect", "Say what an engine or a checkpoint holds."),
    "convert": ("convert:convert", "Convert any checkpoint to one small .safetensors generator."),
    "doctor": ("doctor:doctor", "Say what this machine can build and run, and what to install for the rest."),
    "demo": ("demo:demo", "Build an engine from sample weights and translate sample photos with it."),
    "bench": ("bench:bench_app", "Measure every engine and rival that this machine can run, or compare two results."),
    "train": ("train:train_app", "Train a pair of generators on two folders of pictures."),
    "data": ("data:data_app", "Look after data sets."),
    "evaluate": ("evaluate:evaluate_command", "Measure how far translations are from real pictures: KID and FID."),
    "camera": (
        "camera:camera_command",
        "Translate this machine's camera, live, on a page that only this machine can see.",
    ),
    "serve": ("serve:serve_command", "Serve an engine over HTTP, with a page to try it on."),
    "export-triton-repo": (
        "export_triton_repo:triton_repo_command",
        "Write an engine into a model repository of NVIDIA's Triton Inference Server.",
    ),
    "compat": ("compat:compat_command", "Train or test with the flags and folders of the published repositories."),
}
"""Where each verb is, below `ugatit_fast.commands`, and its line in the help; imported when it is asked for."""

for name, (where, line) in VERBS.items():
    app.command(f"ugatit_fast.commands.{where}", name=name, help=line)


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


if __name__ == "__main__":
    sys.exit(main())
