"""The command line: parse, call one library function, print. Results go to stdout, progress and errors to stderr."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Literal

from cyclopts import App, CycloptsError, CycloptsPanel, UnusedCliTokensError
from cyclopts.completion.detect import ShellDetectionError
from rich.console import RenderableType

from ugatit_fast.backends.extras import libraries_needed
from ugatit_fast.commands.arguments import say
from ugatit_fast.errors import InputError, UgatitFastError, first_line
from ugatit_fast.version import __version__

HELP = """Turn a trained U-GAT-IT checkpoint into a fast translator, and translate photos with it.

Start with: ugatit-fast demo
"""

TRUTHS = ("true", "false", "yes", "no", "1", "0", "on", "off")


def told(error: CycloptsError) -> RenderableType:
    """A panel that says what was wrong with a command line."""
    message: object = error
    if isinstance(error, UnusedCliTokensError) and (words := error.unused_tokens):
        message = f"expected no {' '.join(words)} there; see --help for what this command takes"
        if words[0].lower() in TRUTHS:
            message = f"expected no {words[0]} there: flags such as --light have no value: give them or leave them out"
    return CycloptsPanel(message)


app = App(
    name="ugatit-fast",
    help=HELP,
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,
    error_formatter=told,
)

VERBS: dict[str, tuple[str, tuple[str, ...]]] = {
    "build-engine": ("build_engine:build_engine_command", ("cpu", "torch")),
    "translate": ("translate:translate", ("cpu",)),
    "verify": ("verify:verify", ("cpu", "torch")),
    "inspect": ("inspection:inspect", ("torch",)),
    "convert": ("convert:convert", ("torch",)),
    "doctor": ("doctor:doctor", ()),
    "demo": ("demo:demo", ("cpu",)),
    "weights": ("weights:weights_command", ()),
    "bench": ("bench:bench_app", ("cpu", "torch")),
    "train": ("train:train_app", ("train",)),
    "data": ("data:data_app", ()),
    "evaluate": ("evaluate:evaluate_command", ("train",)),
    "camera": ("camera:camera_command", ("cpu", "video")),
    "serve": ("serve:serve_command", ("cpu", "serve")),
    "compare": ("compare:compare_command", ("cpu",)),
    "study": ("study:study_app", ("serve",)),
    "export-triton-repo": ("export_triton_repo:triton_repo_command", ()),
    "compat": ("compat:compat_command", ("cpu", "train")),
}
"""Where each verb is, below `ugatit_fast.commands`, imported when it is asked for (its docstring is its help); and the
extras that it takes, all named where one is missing. On a GPU another runtime does in place of cpu.
"""

for name, (where, _) in VERBS.items():
    app.command(f"ugatit_fast.commands.{where}", name=name)


@app.command(name="--install-completion")
def install_completion(*, shell: Literal["bash", "zsh", "fish", "powershell"] | None = None) -> None:
    """Let your shell complete verbs, options, their values and files.

    Writes a script where the shell looks for such, and a line into its startup file that loads it.

    Parameters
    ----------
    shell
        The one to do it for; the one that this was typed into unless given.
    """
    try:
        written = app.install_completion(shell=shell)
    except ShellDetectionError as error:
        raise InputError(f"{first_line(error)} Name it: --install-completion --shell bash") from error
    except OSError as error:
        raise InputError(f"the script can't be written ({error}); check the folder's permissions") from error
    print(f"{written}: the next shell that you open completes what you type")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a known failure (one line on stderr), 2 for wrong usage."""
    print_whatever_comes()
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    verb = next(iter(sys.argv[1:] if argv is None else argv), "")
    if verb in ("", *app.help_flags):
        for name in VERBS:
            app[name]  # imported, so that the list can say what each does
    try:
        with libraries_needed(VERBS[verb][1] if verb in VERBS else ()):
            result = app(
                with_names(sys.argv[1:] if argv is None else argv),
                exit_on_error=False,
                print_error=True,
                result_action="return_value",
            )
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


def print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is printed escaped, instead of ending a run whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def with_names(argv: Sequence[str]) -> list[str]:
    """What comes after `--` are names of files, also where they begin with a hyphen; `-` stays stdin."""
    words = list(argv)
    after = words.index("--") + 1 if "--" in words else len(words)
    return words[:after] + [f"./{word}" if word.startswith("-") and word != "-" else word for word in words[after:]]


if __name__ == "__main__":
    sys.exit(main())
