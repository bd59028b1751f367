"""`ugatit-fast train`."""

import os
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Annotated

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from ugatit_fast.backends.extras import lacking
from ugatit_fast.backends.runtimes import choose_backend
from ugatit_fast.commands.arguments import Flag, say_next, training_bar
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.train.settings import TrainSettings


def settings_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Let the TOML file that --config names fill in the flags that weren't given."""
    for path in [token.value for argument in arguments if "--config" in argument.names for token in argument.tokens]:
        # flat: no [train] table; `data` is a key, not the command
        Dict(read_toml(Path(path)), source=path)(app, (), arguments)


def read_toml(path: Path) -> dict[str, object]:
    """What a TOML file says, with the mark that Windows' editors put first or without. InputError where it can't."""
    try:
        content = path.read_bytes()
    except OSError as error:
        what = "is a folder" if path.is_dir() else f"can't be read ({error.strerror or error})"
        raise InputError(f"{path} {what}; expected a TOML file of settings: check the name") from error
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return tomllib.loads(content.decode(encoding))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} isn't UTF-8 (line {line}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        paths = '; write paths with / or in single quotes, not "C:\\..."' if b"\\" in content else ""
        raise InputError(f"{path} isn't TOML ({error}): expected lines like img_size = 256{paths}") from error


def can_build_engines() -> list[str]:
    """The extras that are lacking for it; on a GPU another runtime does in place of cpu."""
    try:
        choose_backend("auto", lambda _: None)
    except BackendUnavailable:
        return lacking(("cpu", "torch"))
    return []


train_app = App(name="train", config=settings_file)


@train_app.default
def train_command(
    settings: Annotated[TrainSettings, Parameter(name="*")],
    *,
    config: Path | None = None,
    resume: Flag = False,
    export_official: Flag = False,
) -> int:
    """Train a pair of generators on two folders of pictures.

    Ctrl-C saves, --resume goes on.

    ```
    ugatit-fast train --data my-set --output runs/my-set --light
    ugatit-fast train --data my-set --output runs/my-set --light --resume
    ugatit-fast train --config run.toml
    ```

    Parameters
    ----------
    config
        A TOML file of these settings by name; flags win.
    resume
        Go on with the run in the output folder.
    export_official
        At the end, however it comes, also write the networks as the published code saves them, to OUTPUT/published.
    """
    from ugatit_fast.train import checkpoints
    from ugatit_fast.train.loop import train

    if export_official:
        checkpoints.refuse_ablation(settings.norm, settings.cam)
    speaks = os.environ.get("RANK", "0") == "0"  # under torchrun, one process does
    with training_bar(speaks) as (tell, on_progress):
        trained = train(settings, resume=resume, say=tell, on_progress=on_progress)
    if speaks:
        print(f"{trained.checkpoint}: step {trained.step} of {settings.iterations}")
        if export_official:
            print(checkpoints.export_official(trained.checkpoint, settings.output / "published"))
        say_next(f"ugatit-fast build-engine {trained.checkpoint}", can_build_engines())
    return 130 if trained.stopped else 0


@train_app.command(name="export-official")
def export_official_command(checkpoint: Path, target: Path, /) -> None:
    """Write the networks of a checkpoint as the published code saves and loads them.

    ```
    ugatit-fast train export-official my-set_params_0100000.pt published/
    ```

    Parameters
    ----------
    checkpoint
        One that training wrote.
    target
        The .pt file to write, or a folder for one of the same name, made if missing.
    """
    from ugatit_fast.train import checkpoints

    print(checkpoints.export_official(checkpoint, target))
