"""`ugatit-fast translate`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ugatit_fast.choices import Loading
from ugatit_fast.commands.arguments import (
    Named,
    Part,
    Size,
    Weights,
    all_but,
    file_name,
    options,
    progress_bar,
    say,
)
from ugatit_fast.commands.ready import EngineFlags, engine_back, engine_for
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.progress import Counted
from ugatit_fast.translate.options import Request, TranslateOptions

if TYPE_CHECKING:
    from ugatit_fast.translate.report import Failure, Report

Inputs = Annotated[Named, Parameter(converter=file_name, allow_leading_hyphen=True)]
Output = Annotated[Path | None, Parameter(name=["--output", "-o"], allow_leading_hyphen=True)]
DEFAULT_OUTPUT = Path("translated")


@dataclass(frozen=True, kw_only=True)
class RequestFlags(Request):
    """A request as people type it."""

    heatmap: Annotated[bool, Parameter(name=["--heatmap", "--cam"])] = Request.heatmap


@dataclass(frozen=True, kw_only=True)
class TranslateFlags(TranslateOptions):
    """The options as people type them."""

    crop: Part = TranslateOptions.crop
    size: Size = TranslateOptions.size
    gallery: Annotated[bool, Parameter(negative="--no-gallery")] = TranslateOptions.gallery


REQUEST, TREATMENT, FLAGS, RAY = RequestFlags(), TranslateFlags(), EngineFlags(), RayOptions()


def translate(
    weights: Weights,
    /,
    *inputs: Inputs,
    output: Output = None,
    request: Annotated[RequestFlags, options()] = REQUEST,
    treatment: Annotated[TranslateFlags, options(without=["threads"])] = TREATMENT,
    flags: Annotated[EngineFlags, options()] = FLAGS,
    on: Literal["here", "ray"] = "here",
    ray: Annotated[RayOptions, options(without=all_but(Loading), address="ray_address")] = RAY,
) -> int:
    """Translate photos, videos and animations, folders of them, patterns or zip archives.

    The translations have their photos' names. A page, index.html, shows them beside what the network saw. Exit 1 where
    one failed.

    ```
    ugatit-fast translate selfie2anime.zip me.jpg
    ugatit-fast translate selfie2anime.onnx holiday/ party.mp4 -o anime
    ugatit-fast translate selfie2anime.onnx me.jpg --crop face --paste-back
    ```

    Parameters
    ----------
    inputs
        Photos, videos, animated GIF, WebP or PNG, folders (with their subfolders), patterns such as "holiday/*.jpg",
        zip archives of photos, or - for stdin.
    output
        The folder for the translations, made if missing, translated unless given; or a file for a single one, such as
        me.png or party.mp4; or an archive, such as out.zip; or - for stdout, which stdin goes to by itself.
    on
        ray translates with Ray Data, by several replicas at once, from files or folders to a folder, without a page.
    """
    output = output or default_output(inputs)
    engine, asked = with_engines(weights, request, flags, treatment.size)
    run = translated_here if on == "here" else translated_on_ray
    with progress_bar(shown=not request.watch) as advance:
        report = run(engine, [str(name) for name in inputs], output, asked, treatment, flags.loading, ray, advance)
    return say_report(report)


def translated_here(
    engine: Path,
    inputs: Sequence[str],
    output: Path,
    request: Request,
    options: TranslateOptions,
    loading: Loading,
    _: RayOptions,
    advance: Counted,
) -> "Report":
    from ugatit_fast.translate.request import translate_request

    return translate_request(
        engine,
        inputs,
        output,
        request=request,
        options=options,
        loading=loading,
        say=say,
        on_progress=advance,
        on_failure=say_failure,
    )


def translated_on_ray(
    engine: Path,
    inputs: Sequence[str],
    output: Path,
    request: Request,
    options: TranslateOptions,
    loading: Loading,
    ray: RayOptions,
    advance: Counted,
) -> "Report":
    from ugatit_fast.on_ray.folder import translate_request_on_ray

    return translate_request_on_ray(
        engine,
        inputs,
        output,
        request=request,
        options=options,
        ray_options=replace(ray, **vars(loading)),
        on_progress=advance,
        on_failure=say_failure,
    )


def default_output(inputs: tuple[Named, ...]) -> Path:
    return Path("-") if inputs == ("-",) else DEFAULT_OUTPUT


def with_engines(
    weights: Named, request: Request, flags: EngineFlags, size: tuple[int, int] | None
) -> tuple[Path, Request]:
    """The engine, and the request with the engine of the way back where tiles are asked for, which show heat maps."""
    if request.stack is None:
        return engine_for(weights, flags, size=size, heatmap=request.heatmap), request
    engine = engine_for(weights, flags, size=size, heatmap=True)
    back = engine_back(str(request.stack), engine, flags, size=size, heatmap=True)
    return engine, replace(request, stack=back)


def say_failure(failure: "Failure") -> None:
    say(f"error: {failure.reason}")


def say_report(report: "Report") -> int:
    """What the run did, on stderr where the picture is on stdout. The exit code."""
    from ugatit_fast.translate.sources import PIPE

    if report.images:
        say(report.speed)
    tell = say if report.out == PIPE else print
    tell(report.summary)
    if report.page and report.page.exists():  # not in an archive
        tell(f"look at {report.page}")
    return 1 if report.failures else 0
