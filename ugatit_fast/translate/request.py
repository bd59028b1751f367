"""A whole run as people ask for it: engines in files, inputs by their names, one output.

inputs, output -> work: the sources, and where they go -> engines loaded -> translated once, or watched until Ctrl-C
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ugatit_fast.choices import Loading
from ugatit_fast.progress import Counted, Say
from ugatit_fast.translate.options import Request, TranslateOptions
from ugatit_fast.translate.pipeline import translate_files, watch_folders
from ugatit_fast.translate.refusals import refuse_output_among_inputs
from ugatit_fast.translate.report import OnFailure, Report
from ugatit_fast.translate.sinks import FolderSink, open_sink, refuse_file_name
from ugatit_fast.translate.sources import Source, as_named, find_images
from ugatit_fast.translate.watch import Watcher
from ugatit_fast.translator import Translator


@dataclass(frozen=True)
class Work:
    """What the names of inputs and of an output come to."""

    sources: Sequence[Source]
    out: Path
    """As `translate_files` takes it, also where a file was named."""
    options: TranslateOptions


def work_of(inputs: Sequence[str], output: Path, request: Request, options: TranslateOptions) -> Work:
    """Find the photos and clips. A single one goes into the file that `output` may name, without a page.

    Raises InputError as `find_images` does, and where the output lies among the inputs.
    """
    refuse_output_among_inputs(inputs, output)
    sources, folder = as_named(find_images(inputs, request.suffix), output)
    if isinstance(open_sink(folder), FolderSink):
        refuse_file_name(folder)
    if folder != output:  # a file among others, which are not the page's
        options = replace(options, gallery=False)
    return Work(sources, folder, options)


def translate_request(
    engine: Path,
    inputs: Sequence[str],
    output: Path,
    *,
    request: Request,
    options: TranslateOptions,
    loading: Loading,
    say: Say = lambda _: None,
    on_progress: Counted = lambda done, total: None,
    on_failure: OnFailure = lambda failure: None,
) -> Report:
    """Load what `request` needs and translate what `inputs` name into `output`; `loading.threads` is `options`' too.

    say: called with a line where loading takes long; of a watched run, also with one at its beginning, and with the
    summary so far after each round.
    Raises as `find_images`, `Watcher`, `Translator`, `translate_files` and `watch_folders` do.
    """
    options = replace(options, threads=loading.threads)
    if request.watch:
        refuse_output_among_inputs(inputs, output)
        watcher = Watcher(inputs, request.suffix)
        with opened(engine, request, loading, say) as (translator, back):
            say(f"watching {', '.join(inputs)}; Ctrl-C ends it")
            return watch_folders(
                translator,
                watcher.rounds(),
                output,
                options,
                stack=back,
                on_failure=on_failure,
                on_round=lambda so_far: say(so_far.summary),
            )
    work = work_of(inputs, output, request, options)
    with opened(engine, request, loading, say) as (translator, back):
        return translate_files(
            translator, work.sources, work.out, work.options, stack=back, on_progress=on_progress, on_failure=on_failure
        )


@contextmanager
def opened(
    engine: Path, request: Request, loading: Loading, say: Say
) -> Iterator[tuple[Translator, Translator | None]]:
    """The engine, and that of the other direction where tiles are asked for, which show heat maps."""
    with ExitStack() as stack:

        def load(file: Path) -> Translator:
            return stack.enter_context(
                Translator(
                    file,
                    device=loading.device,
                    heatmap=request.heatmap or request.stack is not None,
                    threads=loading.threads,
                    tune=loading.tune,
                    trust_plan=loading.trust_plan,
                    style=loading.style,
                    say=say,
                )
            )

        yield load(engine), load(request.stack) if request.stack else None
