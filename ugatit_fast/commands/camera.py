"""`ugatit-fast camera`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ugatit_fast.commands.arguments import Part, Size, Weights, all_but, options, say
from ugatit_fast.commands.ready import EngineFlags, engine_for
from ugatit_fast.errors import InputError
from ugatit_fast.translate.options import TranslateOptions


@dataclass(frozen=True, kw_only=True)
class FramingFlags(TranslateOptions):
    """The options as people type them."""

    crop: Part = TranslateOptions.crop
    size: Size = TranslateOptions.size


FRAMED, FLAGS = FramingFlags(), EngineFlags()


def camera_command(
    weights: Weights,
    /,
    *,
    device: str | None = None,
    input: Path | None = None,  # noqa: A002 - the option's name
    port: Annotated[int, Parameter(name=["--port", "-p"])] = 8001,
    framed: Annotated[
        FramingFlags, options(without=all_but(FramingFlags, "fit", "crop", "face_model", "size"))
    ] = FRAMED,
    flags: Annotated[EngineFlags, options(without=["threads"], device="engine_device")] = FLAGS,
    threads: int | None = None,
) -> None:
    """Translate this machine's camera, live, on a page that only this machine can see.

    The page shows it beside the original. With --crop face, a square that follows the largest face.

    ```
    ugatit-fast camera selfie2anime.zip
    ugatit-fast camera selfie2anime.onnx --input party.mp4 --port 0
    ```

    Parameters
    ----------
    device
        The camera: /dev/video0 on Linux, 0 on macOS, "video=NAME" on Windows.
    input
        A video to take instead of the camera.
    port
        Where the page is; 0 takes a free port.
    threads
        Threads of a CPU engine; one a core unless given.
    """
    from ugatit_fast.camera.capture import CameraReader
    from ugatit_fast.camera.following import LOOK_SIDE
    from ugatit_fast.camera.live import Live
    from ugatit_fast.camera.server import CameraServer
    from ugatit_fast.media.video import VideoReader
    from ugatit_fast.translate.faces import FaceFinder
    from ugatit_fast.translate.framing import Framing
    from ugatit_fast.translate.pipeline import served_size
    from ugatit_fast.translator import Translator

    if device and input:
        raise InputError("--device names a camera, --input a video in its place; leave one out")
    engine = engine_for(weights, flags, size=framed.size)
    reader = VideoReader(input) if input else CameraReader(device)
    say(f"loading {engine.name}")
    loading = replace(flags.loading, threads=threads)
    with Translator(engine, **vars(loading), say=say) as translator:
        faces = FaceFinder(framed.face_model, LOOK_SIDE) if framed.crop == "face" else None
        framing = Framing(framed, served_size(translator.spec, framed), faces)
        translator.warmup()
        live = Live(translator, reader, framing, paced=input is not None)
        with CameraServer(live, port) as server, live:
            print(f"look at {server.url}; Ctrl-C ends it", flush=True)
            live.run()
    say(f"{live.status().shown} pictures; {live.status().message}")
