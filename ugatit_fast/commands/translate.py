"""`ugatit-fast translate`."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ugatit_fast.choices import Device, Fit, Format
from ugatit_fast.commands.arguments import (
    Cropping,
    Flag,
    HeatmapFlag,
    PipeInput,
    PipeOutput,
    Size,
    parse_crop,
    parse_size,
    progress_bar,
    say,
)
from ugatit_fast.errors import InputError
from ugatit_fast.translate.options import TranslateOptions

if TYPE_CHECKING:
    from ugatit_fast.translate.report import Failure, Report


def translate(
    engine: Path,
    /,
    *inputs: PipeInput,
    output: PipeOutput,
    format: Format | None = None,  # noqa: A002 - the option's name
    fit: Fit = TranslateOptions.fit,
    crop: Cropping = None,
    face_model: Path | None = TranslateOptions.face_model,
    paste_back: Flag = TranslateOptions.paste_back,
    size: Size = None,
    heatmap: HeatmapFlag = False,
    stack: Path | None = None,
    gallery: bool = TranslateOptions.gallery,
    skip_existing: Flag = TranslateOptions.skip_existing,
    watch: Flag = False,
    crf: int = TranslateOptions.crf,
    stride: int = TranslateOptions.stride,
    device: Device = "auto",
    threads: int | None = TranslateOptions.threads,
    trust_plan: Flag = False,
    on: Literal["here", "ray"] = "here",
    replicas: int = 1,
    gpus_per_replica: float | None = None,
    ray_address: str = "local",
) -> int:
    """Translate photos, videos and animations, folders of them, patterns or zip archives; exit 1 where one failed.

    The translations have their photos' names. A page, index.html, shows them beside what the network saw.

    Parameters
    ----------
    engine
        The engine file, from build-engine.
    inputs
        Photos, videos, animated GIF, WebP or PNG, folders (with their subfolders), patterns such as "holiday/*.jpg",
        zip archives of photos, or - for stdin.
    output
        The folder for the translations, made if missing; or a file for a single one, such as me.png or party.mp4; or
        an archive, such as out.zip; or - for stdout.
    format
        Write png, jpg or webp; as the photo unless given, and png where that can't be written.
    fit
        What to do with a photo of another shape: squash it, crop its middle, or pad it and cut the border off again.
    crop
        Translate a part of each photo only: center, face, or box=X,Y,W,H in pixels.
    face_model
        The face detector for --crop face: YuNet's .onnx file (2023mar).
    paste_back
        Put the translation back into the photo, with a soft edge; the result has the photo's size.
    size
        Height x width to translate at, for an engine that serves any size.
    heatmap
        Also write where the network looked; the engine must have been built with --heatmap.
    stack
        The engine of the other direction: write the published column of seven tiles instead of each translation.
    gallery
        Write the page.
    skip_existing
        Leave photos alone whose translations are there already.
    watch
        Keep watching the input folders, and translate what comes or changes, until Ctrl-C.
    crf
        Quality of videos: x264's, from 0 (lossless) to 51.
    stride
        Of videos and animations, translate every 2nd, 3rd ... frame, and show each until the next.
    device
        Where the engine runs.
    threads
        Threads that decode and encode, and threads of a CPU engine; one a core unless given.
    trust_plan
        Also load a bare TensorRT plan. It can carry code: only from someone you would run a program from.
    on
        ray translates with Ray Data, by several replicas at once, from files or folders to a folder, without a page.
    replicas
        On Ray: processes, each with the engine.
    gpus_per_replica
        On Ray: GPUs for each of them; 1 for an engine for GPUs unless given. 0.5 puts two on one GPU.
    ray_address
        On Ray: the cluster, such as auto or HOST:6379; local starts one on this machine, which ends with the command.
    """
    from ugatit_fast.translate.pipeline import translate_files, watch_folders
    from ugatit_fast.translate.refusals import refuse_output_among_inputs
    from ugatit_fast.translate.sources import as_named, find_images
    from ugatit_fast.translate.watch import Watcher
    from ugatit_fast.translator import Translator

    options = TranslateOptions(
        fit=fit,
        crop=parse_crop(crop),
        face_model=face_model,
        paste_back=paste_back,
        size=parse_size(size),
        gallery=gallery,
        skip_existing=skip_existing,
        crf=crf,
        stride=stride,
        threads=threads,
    )
    suffix = f".{format}" if format else None
    refuse_output_among_inputs(inputs, output)
    watcher = Watcher(inputs, suffix) if watch else None
    sources = [] if watcher else find_images(inputs, suffix)
    sources, folder = as_named(sources, output)
    if folder != output:  # a file among others, which are not the page's
        output, options = folder, replace(options, gallery=False)

    def tell_failure(failure: "Failure") -> None:
        say(f"error: {failure.reason}")

    def tell_round(so_far: "Report") -> None:
        say(so_far.summary)

    if on == "ray":
        if watch or stack:
            raise InputError("--watch and --stack can't be done on Ray; leave them out, or --on ray")
        from ugatit_fast.on_ray.cluster import RayOptions
        from ugatit_fast.on_ray.folder import translate_on_ray

        ray = RayOptions(
            replicas=replicas,
            gpus_per_replica=gpus_per_replica,
            address=ray_address,
            device=device,
            threads=threads,
            trust_plan=trust_plan,
        )
        with progress_bar() as advance:
            report = translate_on_ray(
                engine, sources, output, options, ray, heatmap=heatmap, on_progress=advance, on_failure=tell_failure
            )
        return say_report(report)

    with ExitStack() as opened:

        def load(file: Path) -> Translator:
            maps = heatmap or stack is not None
            loaded = Translator(file, device=device, heatmap=maps, threads=threads, trust_plan=trust_plan)
            return opened.enter_context(loaded)

        translator, back = load(engine), load(stack) if stack else None
        if watcher:
            say(f"watching {', '.join(inputs)}; Ctrl-C ends it")
            report = watch_folders(
                translator, watcher.rounds(), output, options, stack=back, on_failure=tell_failure, on_round=tell_round
            )
        else:
            advance = opened.enter_context(progress_bar())
            report = translate_files(
                translator, sources, output, options, stack=back, on_failure=tell_failure, on_progress=advance
            )
    return say_report(report)


def say_report(report: "Report") -> int:
    """What the run did, on stderr where the picture is on stdout. The exit code."""
    from ugatit_fast.translate.sources import PIPE

    say(report.speed)
    tell = say if report.out == PIPE else print
    tell(report.summary)
    if report.page and report.page.exists():  # not in an archive
        tell(f"look at {report.page}")
    return 1 if report.failures else 0
