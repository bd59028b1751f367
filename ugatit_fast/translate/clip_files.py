"""A clip from file to file: the reader that fits what it is, and the writer that fits its new name."""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ugatit_fast.machine import available_cores
from ugatit_fast.media.animation import ANIMATION_SUFFIXES, AnimationReader, AnimationWriter
from ugatit_fast.media.clip import ClipError, ClipKind, ClipReader, ClipWriter, troubles_of
from ugatit_fast.media.metadata import kept_video_tags
from ugatit_fast.media.video import VideoReader
from ugatit_fast.media.video_writer import CONTAINERS, VideoWriter
from ugatit_fast.translate.clips import ClipReport, translate_clip
from ugatit_fast.translate.framing import Framing
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.report import StageSeconds
from ugatit_fast.translator import InStyle, Translates


def translate_clip_file(
    translator: Translates,
    path: Path,
    kind: ClipKind,
    target: Path,
    framing: Framing,
    options: TranslateOptions,
    *,
    stages: StageSeconds,
    on_start: Callable[[int], None] = lambda expected: None,
    on_frame: Callable[[], None] = lambda: None,
) -> ClipReport:
    """Translate a clip into `target`, whose suffix says what is written (`CONTAINERS`, `ANIMATION_SUFFIXES`).

    stages: the time that passes is added to it. on_start: called with the frames that will come, as far as the file
    tells (0: it doesn't); on_frame: after each.

    A video goes on where an earlier run of the same settings was killed. Damaged frames are left out, with a warning.
    Raises ClipError where the clip can't be translated, InputError where the target can't be written, and
    BackendUnavailable for a video without PyAV.
    """
    if options.crop == "face":
        raise ClipError(f"{path}: faces are looked for in photos only; give the place with --crop box=X,Y,W,H")
    with troubles_of(path):
        opened = open_reader(path, kind)
    with opened as reader:
        with troubles_of(path):
            writer = open_writer(target, reader, translator, framing, options)
        on_start(max(0, -(-reader.expected // options.stride) - writer.finished))
        report = translate_clip(
            translator,
            reader,
            writer,
            framing,
            stride=options.stride,
            paste_back=options.paste_back,
            threads=options.threads or available_cores(),
            stages=stages,
            on_frame=on_frame,
        )
    if report.broken:
        warnings.warn(
            f"{path}: {report.broken} damaged frames were left out, {report.translated + report.finished} translated",
            stacklevel=1,
        )
    return report


def open_reader(path: Path, kind: ClipKind) -> VideoReader | AnimationReader:
    return VideoReader(path) if kind == "video" else AnimationReader(path)


def open_writer(
    target: Path, reader: ClipReader, translator: Translates, framing: Framing, options: TranslateOptions
) -> ClipWriter:
    suffix = target.suffix.lower()
    if suffix in ANIMATION_SUFFIXES:
        return AnimationWriter(target, reader.time_base, reader.plays, reader.expected // options.stride)
    if suffix not in CONTAINERS:
        raise ClipError(f"no clip can be written as {target}; expected {', '.join((*CONTAINERS, *ANIMATION_SUFFIXES))}")
    status = reader.path.stat()
    return VideoWriter(
        target,
        reader.time_base,
        rate=reader.rate,
        crf=options.crf,
        sound=reader.sound,
        tags=kept_video_tags(reader.tags, options.keep_metadata),
        settings={
            "source": str(reader.path.resolve()),
            "bytes": status.st_size,
            "changed": status.st_mtime_ns,
            "engine": asdict(translator.spec),
            "size": framing.size,
            "fit": framing.fit,
            "crop": framing.crop,
            "paste_back": options.paste_back,
            "stride": options.stride,
            **style_of(translator),
        },
    )


def style_of(translator: Translates) -> dict[str, list[float]]:
    """What a translator draws in, where that is one of many: a clip has one style."""
    style = translator.style if isinstance(translator, InStyle) else None
    return {} if style is None else {"style": style.tolist()}
