"""What a run refuses before it begins: options that contradict each other, and files that would be lost."""

from collections.abc import Sequence
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.media.folders import HEATMAP_FOLDER, INPUT_FOLDER
from ugatit_fast.translate import gallery
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.sinks import FolderSink, Sink, open_sink
from ugatit_fast.translate.sources import Source
from ugatit_fast.translator import Translates


def refuse_output_among_inputs(inputs: Sequence[str | Path], out: Path) -> None:
    """Raises InputError where `out` is or lies in a folder of `inputs`, whose next run would translate translations.

    An archive, and stdout, may be anywhere: neither is a photo.
    """
    if not isinstance(open_sink(out), FolderSink):
        return
    for given in inputs:
        if Path(given).is_dir() and out.resolve().is_relative_to(Path(given).resolve()):
            raise InputError(
                f"the output folder {out} lies in the input folder {given}, whose next run would take translations "
                "for photos; choose one outside it"
            )


def refuse_contradictions(options: TranslateOptions, sink: Sink, stack: Translates | None, heatmap: bool) -> None:
    if stack and options.paste_back:
        raise InputError("seven tiles can't be pasted back into a photo; leave out --stack or --paste-back")
    if options.skip_existing and not isinstance(sink, FolderSink):
        raise InputError(f"{sink.root} is written anew each time; existing pictures can only be skipped in a folder")
    if sink.one_picture and heatmap:
        raise InputError("stdout takes one picture, and heat maps are further ones; write to a folder or .zip")


def refuse_overwriting(sources: Sequence[Source], sink: Sink, with_gallery: bool) -> None:
    """Raises InputError where a file of the run's would take the place of one of its photos, or of a page not ours."""
    if with_gallery:
        gallery.refuse_foreign_page(sink.root)
    photos = {identity(file): file for source in sources if (file := source.file)}
    photos.pop(None, None)  # a missing photo is its own failure, later
    folders = [sink.root, sink.root / INPUT_FOLDER, sink.root / HEATMAP_FOLDER]
    for source in sources:
        if with_gallery and gallery.is_reserved(source.relative):
            raise InputError(
                f"{source.path} has the place of a gallery's own pictures; is its folder an earlier output? "
                "Translate its photos on their own, or without a gallery"
            )
        for target in (sink.root, *(folder / source.relative for folder in folders)):
            if overwritten := photos.get(identity(target)):
                raise InputError(f"{target} would overwrite the photo {overwritten}; choose another output")


def identity(path: Path) -> tuple[int, int] | None:
    """What makes two paths one file, through links and on disks that ignore case; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
