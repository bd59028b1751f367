import os
from pathlib import Path, PurePath

import numpy as np
import pytest

from tests.translate.fake_translator import FakeTranslator, picture, write_photos
from ugatit_fast.errors import InputError
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.translate import watch
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import watch_folders
from ugatit_fast.translate.report import Report
from ugatit_fast.translate.watch import Watcher


def taken(watcher: Watcher) -> list[str]:
    return [source.relative.as_posix() for source in watcher.look()]


def test_a_photo_is_taken_once_nobody_writes_it_any_more(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path])
    assert taken(watcher) == []
    photo = tmp_path / "a.png"
    for size in (10, 20, 30):  # a slow copy
        photo.write_bytes(bytes(size))
        assert taken(watcher) == []
    assert taken(watcher) == ["a.png"]
    assert taken(watcher) == []


def test_changed_photos_come_again_and_gone_ones_do_not(tmp_path: Path) -> None:
    write_photos(tmp_path, "a.png", "sub/b.gif", ".hidden.png")
    (tmp_path / "notes.txt").write_text("no photo")
    watcher = Watcher([tmp_path])
    assert (taken(watcher), taken(watcher), taken(watcher)) == ([], ["a.png", "sub/b.png"], [])
    os.utime(tmp_path / "a.png", ns=(1, 1))
    (tmp_path / "sub/b.gif").unlink()
    assert (taken(watcher), taken(watcher), taken(watcher)) == ([], ["a.png"], [])
    write_photos(tmp_path, "sub/b.gif")
    os.utime(tmp_path / "sub/b.gif", ns=(2, 2))
    assert (taken(watcher), taken(watcher)) == ([], ["sub/b.png"])


def test_a_second_photo_of_a_name_is_left_alone_and_said_so_once(tmp_path: Path) -> None:
    write_photos(tmp_path, "a.png")
    watcher = Watcher([tmp_path])
    assert (taken(watcher), taken(watcher)) == ([], ["a.png"])
    write_photos(tmp_path, "a.gif")
    assert taken(watcher) == []
    with pytest.warns(UserWarning, match=r"a\.gif is left alone: .*a\.png is also written as a\.png"):
        assert taken(watcher) == []
    assert taken(watcher) == []


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    write_photos(tmp_path, "a.png")
    for inputs in ([tmp_path / "a.png"], [tmp_path, tmp_path / "missing"], ["-"]):
        with pytest.raises(InputError, match="not a folder"):
            Watcher(inputs)
    with pytest.raises(InputError, match="name a folder"):
        Watcher([])


def test_a_folder_that_vanishes_ends_it(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", "sub/a.png")
    watcher = Watcher([tmp_path / "in"])
    watcher.look()
    (tmp_path / "in/sub/a.png").unlink()
    (tmp_path / "in/sub").rmdir()
    assert taken(watcher) == []
    (tmp_path / "in").rmdir()
    with pytest.raises(InputError, match=r"folder .*in can't be read"):
        watcher.look()


def test_folders_are_translated_until_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look after another; what happens between two of them is done by the clock's stand-in."""
    inbox, out = write_photos(tmp_path / "in", "a.png"), tmp_path / "out"
    (inbox / "bad.png").write_text("not yet")

    def mend() -> None:
        save_image(inbox / "bad.png", picture(5))
        write_photos(inbox, "sub/b.png")

    def interrupt() -> None:
        raise KeyboardInterrupt

    happenings = iter([lambda: None, lambda: None, mend, lambda: None, lambda: None, interrupt])
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: next(happenings)())
    told: list[Report] = []
    failures: list[Path] = []
    report = watch_folders(
        FakeTranslator(),
        Watcher([inbox]).rounds(),
        out,
        on_failure=lambda failure: failures.append(failure.path),
        on_round=told.append,
    )
    assert [len(round_.failures) for round_ in told] == [1, 0]
    assert failures == [inbox / "bad.png"]
    assert report.failures == ()
    assert report.translated == (out / "a.png", out / "bad.png", out / "sub/b.png")
    np.testing.assert_array_equal(load_image(out / "bad.png"), 255 - fit_image(picture(5), (32, 32), "crop"))
    page = (out / "index.html").read_text()
    assert page.count("<figure") == 3
    assert "not translated" not in page


def test_existing_translations_are_skipped_until_their_photos_change(tmp_path: Path) -> None:
    inbox, out = write_photos(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    write_photos(out, "a.png")
    kept = (out / "a.png").read_bytes()
    watcher = Watcher([inbox])
    watcher.look()
    rounds = [watcher.look()]
    os.utime(inbox / "a.png", ns=(1, 1))
    watcher.look()
    rounds.append(watcher.look())
    after: list[bytes] = []
    report = watch_folders(
        FakeTranslator(),
        rounds,
        out,
        TranslateOptions(skip_existing=True),
        on_round=lambda _: after.append((out / "a.png").read_bytes()),
    )
    assert (after[0] == kept, after[1] == kept) == (True, False)
    assert (report.skipped, report.translated) == (1, (out / "b.png", out / "a.png"))


def test_only_a_folder_can_take_what_is_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="into a folder"):
        watch_folders(FakeTranslator(), [], tmp_path / "out.zip")
    assert list(tmp_path.iterdir()) == []


def test_photos_keep_their_subfolders(tmp_path: Path) -> None:
    write_photos(tmp_path, "trip 10/1.png", "trip 9/1.png")
    watcher = Watcher([tmp_path], ".jpg")
    watcher.look()
    assert [source.relative for source in watcher.look()] == [PurePath("trip 9/1.jpg"), PurePath("trip 10/1.jpg")]
