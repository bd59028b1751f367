"""`ugatit-fast camera`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ugatit_fast.choices import Device, Fit
from ugatit_fast.commands.arguments import Flag, Size, parse_size, say
from ugatit_fast.errors import InputError
from ugatit_fast.translate.options import TranslateOptions


def camera_command(
    engine: Path,
    /,
    *,
    device: str | None = None,
    input: Path | None = None,  # noqa: A002 - the option's name
    port: Annotated[int, Parameter(name=["--port", "-p"])] = 8001,
    fit: Fit = TranslateOptions.fit,
    size: Size = None,
    engine_device: Device = "auto",
    threads: int | None = None,
    trust_plan: Flag = False,
) -> None:
    """Translate this machine's camera, live, beside the original on a page that only this machine can see.

    Parameters
    ----------
    engine
        The engine file, from build-engine.
    device
        The camera: /dev/video0 on Linux, 0 on macOS, "video=NAME" on Windows.
    input
        A video to take instead of the camera.
    port
        Where the page is; 0 takes a free port.
    fit
        As for translate.
    size
        As for translate.
    engine_device
        Where the engine runs.
    threads
        Threads of a CPU engine; one a core unless given.
    trust_plan
        As for translate.
    """
    from ugatit_fast.camera.capture import CameraReader
    from ugatit_fast.camera.live import Live
    from ugatit_fast.camera.server import CameraServer
    from ugatit_fast.media.video import VideoReader
    from ugatit_fast.translate.framing import Framing
    from ugatit_fast.translate.pipeline import served_size
    from ugatit_fast.translator import Translator

    if device and input:
        raise InputError("--device names a camera, --input a video in its place; leave one out")
    options = TranslateOptions(fit=fit, size=parse_size(size))
    reader = VideoReader(input) if input else CameraReader(device)
    with Translator(engine, device=engine_device, threads=threads, trust_plan=trust_plan) as translator:
        framing = Framing(options, served_size(translator.spec, options))
        translator.warmup()
        live = Live(translator, reader, framing, paced=input is not None)
        with CameraServer(live, port) as server, live:
            print(f"look at {server.url}; Ctrl-C ends it", flush=True)
            live.run()
    say(f"{live.status().shown} pictures; {live.status().message}")
