import errno
import io
import math
import tempfile
import threading
import time
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.translate.fake_translator import BACK_SPEC, SPEC, FakeTranslator, picture, write_photos
from ugatit_fast.choices import Box, Fit
from ugatit_fast.errors import InputError, UgatitFastError
from ugatit_fast.media.fitting import fit_image, unfit_image
from ugatit_fast.media.images import Decoded, Pixels, decode_image, encode_image, load_image, load_photo
from ugatit_fast.translate import flow, framing, sources
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.refusals import refuse_output_among_inputs
from ugatit_fast.translate.report import Failure, Report, StageSeconds
from ugatit_fast.translate.sinks import FolderSink
from ugatit_fast.translate.sources import Source, find_images

PATIENCE = 10
"""Seconds to wait for another thread before a test fails; none of it is waited for when things are right."""


def translate(folder: Path, out: Path, translator: FakeTranslator | None = None, **options: Any) -> Report:
    return translate_files(translator or FakeTranslator(), find_images([folder]), out, TranslateOptions(**options))


def names(count: int) -> list[str]:
    return [f"{i}.png" for i in range(count)]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_whole_pictures(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            load_image(path)


def no_threads_left() -> bool:
    return not any(thread.name.startswith("ugatit-fast") for thread in threading.enumerate())


# Photos in, translations out


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_each_photo_becomes_the_translation_of_what_the_engine_saw(tmp_path: Path, fit: Fit) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "sub/b.png")
    out = tmp_path / "new" / "out"
    report = translate(photos, out, fit=fit)
    assert report.translated == (out / "a.png", out / "sub/b.png")
    assert report.failures == ()
    for seed, path in enumerate(report.translated):
        seen = fit_image(picture(seed), (32, 32), fit)
        np.testing.assert_array_equal(load_image(path), unfit_image(255 - seen, (40, 48), fit))


def test_pad_is_cut_off_again(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    (path,) = translate(photos, tmp_path / "out", FakeTranslator(heatmap=True), fit="pad").translated
    assert load_image(path).shape == (27, 32, 3)
    assert load_image(tmp_path / "out/gallery/input/a.png").shape == (27, 32, 3)
    assert load_image(tmp_path / "out/gallery/heatmap/a.png").shape == (27, 32, 3)


def test_files_written(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "sub/b.jpg")
    beside = {
        "plain": (FakeTranslator(), True, ["gallery/input/a.png", "gallery/input/sub/b.jpg", "index.html"]),
        "bare": (FakeTranslator(), False, []),
        "heat": (FakeTranslator(heatmap=True), False, ["gallery/heatmap/a.png", "gallery/heatmap/sub/b.jpg"]),
    }
    for out, (translator, gallery, more) in beside.items():
        report = translate(photos, tmp_path / out, translator, gallery=gallery)
        assert files_in(tmp_path / out) == ["a.png", *more, "sub/b.jpg"]
        assert report.page == (tmp_path / out / "index.html" if gallery else None)


def test_heat_maps_are_those_of_their_photos(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    left_is_bright = np.zeros((32, 32, 3), np.uint8)
    left_is_bright[:, :16] = 255
    Image.fromarray(left_is_bright).save(photos / "left.png")
    Image.fromarray(left_is_bright[:, ::-1]).save(photos / "right.png")
    translate(photos, tmp_path / "out", FakeTranslator(replace(SPEC, batch_sizes=(2,)), heatmap=True))
    left = load_image(tmp_path / "out/gallery/heatmap/left.png").astype(int)
    right = load_image(tmp_path / "out/gallery/heatmap/right.png").astype(int)
    assert left[16, 2, 0] > left[16, 2, 2]  # red where the heat map is high
    assert left[16, 29, 2] > left[16, 29, 0]  # blue where it is low
    np.testing.assert_array_equal(right, left[:, ::-1])


def test_size(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    translator = FakeTranslator()
    translate(photos, tmp_path / "out", translator)
    translate(photos, tmp_path / "out", translator, size=(24, 64))
    assert translator.shapes == [(1, 32, 32, 3), (1, 24, 64, 3)]
    assert load_image(tmp_path / "out/a.png").shape == (24, 64, 3)
    for spec, size in ((SPEC, (30, 32)), (SPEC, (4, 4)), (replace(SPEC, any_size=False), (64, 64))):
        with pytest.raises(InputError, match=f"cannot translate at {size[0]}x{size[1]}"):
            translate(photos, tmp_path / "other", FakeTranslator(spec), size=size)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("served", "shapes"), [((), [1] * 5), ((1,), [1] * 5), ((1, 4), [4, 1]), ((8,), [5])])
def test_batches_fill_the_engine(tmp_path: Path, served: tuple[int, ...], shapes: list[int]) -> None:
    photos = write_photos(tmp_path / "photos", *names(5))
    translator = FakeTranslator(replace(SPEC, batch_sizes=served))
    translate(photos, tmp_path / "out", translator)
    assert [shape[0] for shape in translator.shapes] == shapes


@settings(max_examples=25, deadline=None)
@given(good=st.lists(st.booleans(), max_size=20), batch_size=st.integers(1, 6), threads=st.integers(1, 4))
def test_every_photo_is_accounted_for_in_order(good: list[bool], batch_size: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos = []
        for name, is_good in zip(names(len(good)), good, strict=True):
            path = write_photos(Path(folder), name) / name if is_good else Path(folder, "missing", name)
            photos.append(Source(path, PurePath(name)))
        translator = FakeTranslator(replace(SPEC, batch_sizes=(1, batch_size)))
        out, told = Path(folder, "out"), []
        report = translate_files(
            translator, photos, out, TranslateOptions(threads=threads), on_progress=lambda *of: told.append(of)
        )
        expected = [out / name for name, is_good in zip(names(len(good)), good, strict=True) if is_good]
        assert list(report.translated) == expected
        assert all(path.exists() for path in expected)
        assert [failure.path for failure in report.failures] == [
            s.path for s, g in zip(photos, good, strict=True) if not g
        ]
        sizes = [shape[0] for shape in translator.shapes]
        assert sum(sizes) == sum(good)
        assert all(size == batch_size for size in sizes[:-1])
        assert told == [(i + 1, len(good)) for i in range(len(good))]


def test_running_again_replaces_what_was_there(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    translate(photos, tmp_path / "out")
    before = files_in(tmp_path / "out")
    Image.fromarray(picture(9)).save(photos / "a.png")
    translate(photos, tmp_path / "out")
    assert files_in(tmp_path / "out") == before
    np.testing.assert_array_equal(load_image(tmp_path / "out/a.png"), 255 - fit_image(picture(9), (32, 32), "crop"))


# Into an archive, and to stdout


def unpacked(path: Path) -> dict[str, Pixels]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: decode_image(archive.read(name), name) for name in archive.namelist() if name.endswith(".png")}


def test_an_archive_holds_what_the_folder_would(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "sub/b.png")
    translate(photos, tmp_path / "out", FakeTranslator(heatmap=True))
    report = translate(photos, tmp_path / "out.zip", FakeTranslator(heatmap=True))
    assert report.translated == (tmp_path / "out.zip/a.png", tmp_path / "out.zip/sub/b.png")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: (tmp_path / "out" / name).read_bytes() for name in files_in(tmp_path / "out")
        }


def test_from_archive_to_archive(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", "a.png", "sub/b.png")
    packed = tmp_path / "photos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in files_in(tmp_path / "photos"):
            archive.write(tmp_path / "photos" / name, name)
        archive.writestr("sub/bad.png", b"no photo")
    report = translate(packed, tmp_path / "out.zip", gallery=False)
    assert [failure.path for failure in report.failures] == [packed / "sub/bad.png"]
    made = unpacked(tmp_path / "out.zip")
    assert sorted(made) == ["a.png", "sub/b.png"]
    np.testing.assert_array_equal(made["sub/b.png"], 255 - fit_image(picture(1), (32, 32), "crop"))
    before = packed.read_bytes()
    with pytest.raises(InputError, match="would be lost"):
        translate(packed, packed)
    assert packed.read_bytes() == before


def test_an_archive_of_ours_is_not_overwritten_while_it_is_read(tmp_path: Path) -> None:
    translate(write_photos(tmp_path / "photos", "a.png"), tmp_path / "out.zip", gallery=False)
    before = (tmp_path / "out.zip").read_bytes()
    with pytest.raises(InputError, match="would overwrite the photo"):
        translate(tmp_path / "out.zip", tmp_path / "out.zip", gallery=False)
    assert (tmp_path / "out.zip").read_bytes() == before


def test_a_run_that_ends_early_leaves_no_archive(tmp_path: Path) -> None:
    def interrupt(call: int) -> None:
        if call == 3:
            raise KeyboardInterrupt

    photos = write_photos(tmp_path / "photos", *names(9))
    with pytest.raises(KeyboardInterrupt):
        translate(photos, tmp_path / "out.zip", FakeTranslator(before=interrupt))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    assert no_threads_left()


def test_stdout_is_given_one_picture_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "b.png")
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw))
    report = translate(photos / "a.png", Path("-"))
    np.testing.assert_array_equal(decode_image(raw.getvalue(), "out"), 255 - fit_image(picture(0), (32, 32), "crop"))
    assert (report.page, "translated into stdout" in report.summary) == (None, True)
    written = raw.getvalue()
    for refused, said in ((photos, "there are 2 photos"), (photos / "a.png", "heat maps")):
        with pytest.raises(InputError, match=said):
            translate(refused, Path("-"), FakeTranslator(heatmap=said == "heat maps"))
    assert raw.getvalue() == written


# Skipping, a part of the photo, tiles


def test_existing_translations_are_skipped_and_stay_on_the_page(tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", "a.png"), tmp_path / "out"
    translate(photos, out)
    (out / "a.png").write_bytes(b"mine")
    write_photos(photos, "b.png")
    (out / "c.png").write_bytes(b"translated without a page")
    write_photos(photos, "c.png")
    translator = FakeTranslator()
    report = translate(photos, out, translator, skip_existing=True)
    assert (report.translated, report.skipped, len(translator.shapes)) == ((out / "b.png",), 2, 1)
    assert report.summary == f"1 translated into {out}, 2 skipped, being there already"
    assert (out / "a.png").read_bytes() == b"mine"
    page = (out / "index.html").read_text()
    assert [f'href="{name}"' in page for name in ("a.png", "b.png", "c.png")] == [True, True, False]
    with pytest.raises(InputError, match="only be skipped in a folder"):
        translate(photos, tmp_path / "out.zip", skip_existing=True)


def test_progress_counts_what_was_skipped(tmp_path: Path) -> None:
    photos, told = write_photos(tmp_path / "photos", *names(3)), []
    write_photos(tmp_path / "out", "1.png")
    translate_files(
        FakeTranslator(),
        find_images([photos]),
        tmp_path / "out",
        TranslateOptions(skip_existing=True),
        on_progress=lambda *of: told.append(of),
    )
    assert told == [(2, 3), (3, 3)]


def test_pasted_back_into_the_photo(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    report = translate(photos, tmp_path / "out", crop=Box(8, 4, 32, 32), paste_back=True)
    pasted = load_image(report.translated[0])
    assert pasted.shape == picture(0).shape
    np.testing.assert_array_equal(pasted[:4], picture(0)[:4])
    np.testing.assert_array_equal(pasted[12:28, 16:32], 255 - picture(0)[12:28, 16:32])
    np.testing.assert_array_equal(load_image(tmp_path / "out/gallery/input/a.png"), picture(0)[4:36, 8:40])


def test_a_photo_that_changes_on_the_way_is_its_own_failure(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "b.png")
    changed = tmp_path / "changed"

    def change(call: int) -> None:
        if not changed.exists():  # once: at the second call the first photo may be being read
            Image.fromarray(picture(0, 50, 50)).save(photos / "a.png")
            changed.touch()

    report = translate(photos, tmp_path / "out", FakeTranslator(before=change), paste_back=True, threads=1)
    assert [failure.path for failure in report.failures] == [photos / "a.png"]
    assert "has changed" in report.failures[0].reason
    assert report.translated == (tmp_path / "out/b.png",)


def test_a_picture_too_large_for_its_format_is_its_photos_failure(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (16384, 1)).save(photos / "wide.png")
    report = translate_files(
        FakeTranslator(),
        find_images([photos], ".webp"),
        tmp_path / "out",
        TranslateOptions(paste_back=True, gallery=False),
    )
    assert report.failures[0].reason.startswith(f"{photos / 'wide.png'}: WEBP can't hold 16384 x 1")


BACK = BACK_SPEC


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_seven_tiles_in_place_of_the_translation(tmp_path: Path, fit: Fit) -> None:
    photos = write_photos(tmp_path / "photos", *names(3))
    there = FakeTranslator(replace(SPEC, batch_sizes=(2,)), heatmap=True)
    back = FakeTranslator(BACK, heatmap=True, shade=7)
    report = translate_files(there, find_images([photos]), tmp_path / "out", TranslateOptions(fit=fit), stack=back)
    assert files_in(tmp_path / "out") == names(3)
    assert report.page is None
    for seed, path in enumerate(report.translated):
        tiles = np.split(load_image(path), 7)
        seen = unfit_image(fit_image(picture(seed), (32, 32), fit), (40, 48), fit)
        for tile, expected in zip(tiles[::2], (seen, 7 - seen, 255 - seen, 7 - (255 - seen)), strict=True):
            np.testing.assert_array_equal(tile, expected.astype(np.uint8))
    assert len(back.shapes) == 2 * len(there.shapes)


def test_tiles_need_engines_of_both_directions_with_heat_maps(tmp_path: Path) -> None:
    photos = find_images([write_photos(tmp_path / "photos", "a.png")])
    for back, said in ((FakeTranslator(heatmap=True), "both directions"), (FakeTranslator(BACK), "heat maps")):
        with pytest.raises(UgatitFastError, match=said):
            translate_files(FakeTranslator(heatmap=True), photos, tmp_path / "out", stack=back)
    with pytest.raises(InputError, match="--paste-back"):
        translate_files(
            FakeTranslator(heatmap=True),
            photos,
            tmp_path / "out",
            TranslateOptions(paste_back=True),
            stack=FakeTranslator(BACK, heatmap=True),
        )
    assert not (tmp_path / "out").exists()


# Stages at the same time, memory flat


def test_decoding_and_encoding_go_on_while_the_engine_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At photo 2 the engine waits until photo 1 is written and photo 3 read: one after the other, it waits for ever."""
    photos = write_photos(tmp_path / "photos", *names(5))
    read = {name: threading.Event() for name in names(5)}
    written = {name: threading.Event() for name in names(5)}
    in_time = []

    def load(path: Path, *rest: Any, **options: Any) -> Decoded:
        decoded = load_photo(path, *rest, **options)
        read[path.name].set()
        return decoded

    def put(sink: FolderSink, relative: PurePath, content: bytes) -> None:
        written[relative.name].set()

    def wait(call: int) -> None:
        if call == 2:
            in_time.append(written["1.png"].wait(PATIENCE))
            in_time.append(read["3.png"].wait(PATIENCE))

    monkeypatch.setattr(sources, "load_photo", load)
    monkeypatch.setattr(FolderSink, "put", put)
    translate(photos, tmp_path / "out", FakeTranslator(before=wait), gallery=False, threads=1)
    assert in_time == [True, True]


@pytest.mark.parametrize("slow", ["engine", "writer"])
def test_memory_does_not_grow_with_the_number_of_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Photos alive at once: at most those that the queues hold, whichever side of the engine is the slow one."""
    count, batch_size, threads = 200, 4, 2
    alive, most, lock = 0, 0, threading.Lock()

    def change(by: int) -> None:
        nonlocal alive, most
        with lock:
            alive += by
            most = max(most, alive)

    def fit(image: Pixels, size: tuple[int, int], how: Fit) -> Pixels:
        pixels = fit_image(image, size, how)
        change(+1)
        weakref.finalize(pixels, change, -1)
        return pixels

    def pause(*_: object) -> None:
        time.sleep(0.002)

    monkeypatch.setattr(sources, "load_photo", lambda path, at_least, keep: Decoded(picture(), b""))
    monkeypatch.setattr(framing, "fit_image", fit)
    monkeypatch.setattr(FolderSink, "put", pause if slow == "writer" else lambda sink, relative, content: None)
    translator = FakeTranslator(
        replace(SPEC, batch_sizes=(batch_size,)), before=pause if slow == "engine" else lambda call: None
    )
    photos = [Source(Path(name), PurePath(name)) for name in names(count)]
    report = translate_files(translator, photos, tmp_path, TranslateOptions(gallery=False, threads=threads))
    assert len(report.translated) == count
    depth = batch_size + 2 * threads
    assert batch_size < most <= 2 * depth + 2 * batch_size


def test_report() -> None:
    report = Report(
        translated=tuple(Path(name) for name in names(20)),
        failures=(Failure(Path("bad.png"), "bad.png is empty"),),
        out=Path("out"),
        page=None,
        wall_seconds=4.0,
        stages=StageSeconds(decode=1.0, resize=0.5, engine=3.0, encode=2.0),
    )
    assert report.images_per_second == 5
    assert report.engine_share == 0.75
    assert report.speed == (
        "Speed: 5.0 images/s; 20 in 4.00 s, 75% of it in the engine "
        "(decode 1.00 s, resize 0.50 s, engine 3.00 s, encode 2.00 s)"
    )


def test_time_is_measured_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage sleeps a time of its own; sleeps last at least as long as they say."""
    photos = write_photos(tmp_path / "photos", *names(2))

    def slowed(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def slow(*arguments: Any, **options: Any) -> Any:
            time.sleep(seconds)
            return function(*arguments, **options)

        return slow

    monkeypatch.setattr(sources, "load_photo", slowed(load_photo, 0.01))
    monkeypatch.setattr(framing, "fit_image", slowed(fit_image, 0.02))
    monkeypatch.setattr(flow, "encode_image", slowed(encode_image, 0.03))
    report = translate(photos, tmp_path / "out", FakeTranslator(before=lambda call: time.sleep(0.04)), gallery=False)
    stages = report.stages
    for measured, slept in zip(vars(stages).values(), (0.01, 0.02, 0.04, 0.03), strict=True):
        assert measured >= 2 * slept
    assert report.wall_seconds >= 0.08
    assert math.isclose(report.engine_share, stages.engine / report.wall_seconds)


# Bad input


def spoil(path: Path, how: str) -> None:
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "not an image":
        path.write_text("hello")
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["empty", "truncated", "not an image", "missing"])
def test_a_bad_photo_is_reported_and_the_others_are_translated(tmp_path: Path, how: str) -> None:
    photos = write_photos(tmp_path / "photos", *names(4))
    found = find_images([photos])
    spoil(photos / "1.png", how)
    out = tmp_path / "out"
    report = translate_files(FakeTranslator(replace(SPEC, batch_sizes=(2,))), found, out)
    assert report.translated == (out / "0.png", out / "2.png", out / "3.png")
    (failure,) = report.failures
    assert failure.path == photos / "1.png"
    assert str(failure.path) in failure.reason
    assert "\n" not in failure.reason
    assert not (out / "1.png").exists()


def test_all_bad(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", *names(3))
    for name in names(3):
        spoil(photos / name, "empty")
    translator = FakeTranslator()
    report = translate(photos, tmp_path / "out", translator)
    assert translator.shapes == []
    assert report.translated == ()
    assert len(report.failures) == 3
    assert report.images_per_second == 0
    assert files_in(tmp_path / "out") == ["index.html"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_is_a_file(tmp_path: Path, out: str) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    (tmp_path / "file").write_text("mine")
    translator = FakeTranslator()
    with pytest.raises(InputError, match="choose another name"):
        translate(photos, tmp_path / out, translator)
    assert (tmp_path / "file").read_text() == "mine"
    assert translator.shapes == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")

    def refuse(**_: object) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    translator = FakeTranslator()
    with pytest.raises(InputError, match=r"cannot write to the output folder .*out: .*; .*choose another place"):
        translate(photos, tmp_path / "out", translator)
    assert translator.shapes == []


def test_a_disk_that_fills_up_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_photos(tmp_path / "photos", *names(60))
    write_bytes, writes = Path.write_bytes, 0

    def fill_up(path: Path, data: bytes) -> int:
        nonlocal writes
        writes += 1
        if writes > 5:
            write_bytes(path, bytes(data)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    translator = FakeTranslator()
    with pytest.raises(InputError, match="disk is full"):
        translate(photos, tmp_path / "out", translator, threads=1)
    assert len(translator.shapes) < 60
    assert len(files_in(tmp_path / "out")) == 5
    assert_whole_pictures(tmp_path / "out")
    assert no_threads_left()


def test_ctrl_c(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", *names(60))

    def interrupt(call: int) -> None:
        if call == 10:
            raise KeyboardInterrupt

    translator = FakeTranslator(before=interrupt)
    with pytest.raises(KeyboardInterrupt):
        translate(photos, tmp_path / "out", translator)
    assert len(translator.shapes) == 10
    assert files_in(tmp_path / "out")
    assert_whole_pictures(tmp_path / "out")
    assert no_threads_left()


def test_a_fault_of_the_engine_ends_the_run(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", *names(9))

    def fail(call: int) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        translate(photos, tmp_path / "out", FakeTranslator(before=fail))
    assert no_threads_left()


# Nothing that was there is lost


def test_two_photos_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    one, two = write_photos(tmp_path / "one", "a.png"), write_photos(tmp_path / "two", "a.png")
    with pytest.raises(InputError, match=r"would both be written as a\.png"):
        translate_files(FakeTranslator(), find_images([one, two]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a.png", "gallery/input/a.png", "gallery/heatmap/a.png"])
@pytest.mark.parametrize("linked", [False, True])
def test_no_photo_is_overwritten(tmp_path: Path, place: str, linked: bool) -> None:
    """Not through a link either: the photo is given by another name, and lies where a picture would be written."""
    out = write_photos(tmp_path / "out", place)
    photo = out / place
    if linked:
        (tmp_path / "links").mkdir()
        (tmp_path / "links/a.png").symlink_to(photo)
        photo = tmp_path / "links/a.png"
    before = photo.read_bytes()
    with pytest.raises(InputError, match="would overwrite the photo"):
        translate_files(FakeTranslator(heatmap=True), find_images([photo]), out)
    assert photo.read_bytes() == before
    assert files_in(out) == [place]


def test_an_earlier_output_is_not_translated_with_its_gallery(tmp_path: Path) -> None:
    translate(write_photos(tmp_path / "photos", "a.png"), tmp_path / "first")
    with pytest.raises(InputError, match="earlier output"):
        translate(tmp_path / "first", tmp_path / "second")
    assert files_in(tmp_path / "second") == []


def test_a_page_of_someone_else_is_kept(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    page.write_text("<h1>Home</h1>")
    with pytest.raises(InputError, match="would be lost"):
        translate(photos, page.parent)
    assert files_in(page.parent) == ["index.html"]
    translate(photos, page.parent, gallery=False)
    assert page.read_text() == "<h1>Home</h1>"


@pytest.mark.parametrize("out", ["photos", "photos/anime", "photos/sub/../anime", "link/anime"])
def test_an_output_folder_among_the_inputs_is_refused(tmp_path: Path, out: str) -> None:
    photos = write_photos(tmp_path / "photos", "a.png", "sub/b.png")
    (tmp_path / "link").symlink_to(photos)
    with pytest.raises(InputError, match="outside"):
        refuse_output_among_inputs(["elsewhere.png", photos], tmp_path / out)


def test_an_output_folder_beside_the_inputs_is_taken(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    for inputs in ([photos], [photos / "a.png"], [str(photos / "*.png")]):
        refuse_output_among_inputs(inputs, tmp_path / "photos-anime")
    refuse_output_among_inputs([photos / "a.png"], photos / "anime")
