"""compare: methods side by side in a report that is whole whatever happens to one of them."""

import csv
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.architectures.published import Published, randomised
from tests.study.reports import CPU, UNTIMED, compared, write_fake_report
from tests.translate.fake_translator import picture, write_photos
from ugatit_fast import cli
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.media.images import encode_image, load_image, save_image
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.study import opening as module
from ugatit_fast.study.compare import compare
from ugatit_fast.study.names import data_set_of, folders_of, labels_of
from ugatit_fast.study.opening import Named
from ugatit_fast.study.options import CompareOptions
from ugatit_fast.study.questions import open_survey, questions_of
from ugatit_fast.study.report import ANSWERS, REPORT, Comparison, claim, read_report
from ugatit_fast.study.timing import interleaved, rotated
from ugatit_fast.translator import Translator


@pytest.fixture(scope="module")
def wide_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another shape, other weights."""
    folder = tmp_path_factory.mktemp("wide")
    write_random_checkpoint(folder / "w.pt", GeneratorConfig(ch=8, n_res=1, light=True), seed=5)
    return build_engine(folder / "w.pt", size=(24, 40), backend="onnxruntime").path


def test_every_method_at_its_own_size_and_the_photos_as_the_largest_sees_them(
    tmp_path: Path, light_engine: Path, wide_engine: Path
) -> None:
    found = compared(tmp_path, light_engine, wide_engine, options=CompareOptions(rounds=2))
    out = tmp_path / "report"
    assert found.failures == []
    assert read_report(out) == found
    assert load_image(out / "photos" / "a.png").shape == (32, 32, 3)
    assert load_image(out / "methods" / "method-2" / "b c.png").shape == (24, 40, 3)
    for method, engine in zip(found.methods, (light_engine, wide_engine), strict=True):
        assert method.times is not None
        assert method.times.samples == 2
        assert method.engine is not None
        assert method.engine.bytes == engine.stat().st_size
        with Translator(engine, device="cpu", threads=1) as translator:
            seen = translator(tmp_path / "photos" / "a.png")
        assert (np.asarray(seen) == load_image(out / "methods" / method.folder / "a.png")).all()
    assert any("different shapes" in note for note in found.notes)
    page = (out / "index.html").read_text()
    assert 'src="methods/method-2/b%20c.png"' in page
    assert str(tmp_path) not in (out / REPORT).read_text() + page + (out / "comparison.csv").read_text()
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    assert [row["method"] for row in rows] == ["method 1", "method 2"]
    assert float(rows[0]["median_ms"]) > 0


def test_methods_of_different_families_by_their_weights(tmp_path: Path, light_engine: Path) -> None:
    torch.save(randomised(Published(ngf=4, n_blocks=1)).state_dict(), tmp_path / "latest_net_G.pth")
    photos = write_photos(tmp_path / "photos", "a.png")
    out = tmp_path / "report"
    methods = [f"U-GAT-IT={light_engine}", f"CycleGAN={tmp_path / 'latest_net_G.pth'}"]
    assert cli.main(["compare", *methods, "--photos", str(photos), "-o", str(out), "--rounds", "1"]) == 0
    found = read_report(out)
    assert [method.engine.architecture for method in found.methods if method.engine] == ["ugatit", "cyclegan"]
    pictures = [load_image(out / "methods" / method.folder / "a.png") for method in found.methods]
    assert [picture.shape for picture in pictures] == [(32, 32, 3), (256, 256, 3)]
    assert load_image(out / "photos" / "a.png").shape == (256, 256, 3)


def test_a_size_is_for_those_that_serve_any(tmp_path: Path, light_engine: Path, full_engine: Path) -> None:
    found = compared(tmp_path, light_engine, full_engine, options=replace(UNTIMED, size=(16, 16)))
    assert [(method.engine.height, method.engine.width) for method in found.methods if method.engine] == [
        (16, 16),
        (32, 32),
    ]
    found = compared(tmp_path, light_engine, full_engine, options=replace(UNTIMED, size=(18, 16)))
    assert "multiples of 4" in str(found.methods[0].failure)
    assert found.methods[1].failure is None


def test_what_fails_is_told_and_the_others_go_on(
    tmp_path: Path, light_engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    (photos / "broken.png").write_bytes(b"no picture")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(light_engine.read_bytes()[:2000])
    arguments = ["compare", f"Good={light_engine}", f"Cut={damaged}", str(tmp_path / "none.onnx")]
    out = tmp_path / "report"
    assert cli.main([*arguments, "--photos", str(photos), "-o", str(out), "--rounds", "0"]) == 1
    told = capsys.readouterr().err
    page = (out / "index.html").read_text()
    for name in ("Cut: ", "none: ", "broken.png"):
        assert sum(name in line for line in told.splitlines() if line.startswith("error: ")) == 1
        assert name in page
    assert "3 went wrong" in page
    assert str(tmp_path) in told
    assert str(tmp_path) not in page + (out / REPORT).read_text() + (out / "comparison.csv").read_text()
    found = read_report(out)
    assert [method.name for method in found.made()] == ["Good"]
    assert [photo.name for photo in found.photos] == ["a.png"]


def test_a_method_that_dies_on_the_way(tmp_path: Path, light_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Mortal(Translator):
        def translate(self, images: NDArray[np.uint8]) -> object:  # type: ignore[override]
            calls.append(images)
            if len(calls) == 2:
                raise EngineError("the engine has had enough")
            return super().translate(images)

    monkeypatch.setattr(module, "Translator", Mortal)
    found = compared(tmp_path, light_engine, light_engine, photos=("1.png", "2.png", "3.png"))
    assert found.failures == ["method 1: the engine has had enough"]
    assert [found.has(found.methods[0], photo) for photo in found.photos] == [True, False, False]
    assert all(found.has(found.methods[1], photo) for photo in found.photos)
    assert '<figure class="none"><p>the engine has had enough</p>' in (tmp_path / "report/index.html").read_text()


def test_clips_among_the_photos_are_left_out_and_said(tmp_path: Path, light_engine: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.mp4").touch()
    with pytest.raises(InputError, match="holds no photos"):
        compared(tmp_path, light_engine, light_engine)
    write_photos(tmp_path / "photos", "a.png")
    with pytest.warns(UserWarning, match=r"left out: a\.mp4"):
        found = compared(tmp_path, light_engine, light_engine)
    assert [photo.name for photo in found.photos] == ["a.png"]


def test_where_no_method_opens_that_is_the_error(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", "a.png")
    named = [Named("A", EngineError("first")), Named("B", EngineError("second"))]
    with pytest.raises(InputError, match="A: first; B: second"):
        compare(named, str(tmp_path / "photos"), tmp_path / "report", UNTIMED, CPU)
    assert not (tmp_path / "report").exists()


# A folder that is there ----------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_ours_stays_as_it_is(tmp_path: Path, light_engine: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no report of ours"):
        compared(tmp_path, light_engine, light_engine)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    (out / "thesis.txt").rename(out / "index.html")
    with pytest.raises(InputError, match="no report of ours"):
        compared(tmp_path, light_engine, light_engine)


def test_a_report_among_the_photos_is_refused(tmp_path: Path, light_engine: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    named = [Named("A", light_engine), Named("B", light_engine)]
    with pytest.raises(InputError, match="lies in the input folder"):
        compare(named, str(photos), photos / "report", UNTIMED, CPU)


def test_answers_keep_the_pictures_that_they_are_about(tmp_path: Path, light_engine: Path) -> None:
    found = compared(tmp_path, light_engine, light_engine)
    survey = open_survey(tmp_path / "report")
    compared(tmp_path, light_engine, light_engine)  # nobody has answered yet
    survey.answers.append("0" * 32, found.photos[0].picture, "method 1", ["method 1", "method 2"])
    with pytest.raises(InputError, match="has answers"):
        compared(tmp_path, light_engine, light_engine)
    (tmp_path / "report" / ANSWERS).write_text("")
    with pytest.raises(InputError, match="has answers"):
        compared(tmp_path, light_engine, light_engine)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ('{"schema": 99}', "upgrade"),
        ("[]", "isn't a comparison"),
        ('{"schema": 1}', "isn't a comparison"),
    ],
)
def test_a_damaged_report_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / REPORT).write_text(text)
    with pytest.raises(InputError, match=why):
        claim(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/secret.png"])
def test_a_report_from_elsewhere_names_no_file_outside_it(tmp_path: Path, name: str) -> None:
    write_fake_report(tmp_path)
    document = json.loads((tmp_path / REPORT).read_text())
    document["photos"][0]["picture"] = name
    (tmp_path / REPORT).write_text(json.dumps(document))
    with pytest.raises(InputError, match="outside its folder"):
        read_report(tmp_path)


# Going on ------------------------------------------------------------------------------------------------------------


def stamps(out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in sorted(out.rglob("*.png"))}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_second_run_makes_what_is_missing_and_nothing_else(tmp_path: Path, light_engine: Path) -> None:
    out = tmp_path / "report"
    compared(tmp_path, light_engine, light_engine)
    first = stamps(out)
    (out / "methods/method-2/a.png").unlink()
    compared(tmp_path, light_engine, light_engine)
    assert changed(first, stamps(out)) == {"methods/method-2/a.png"}


def test_what_an_interruption_left_is_taken_up(
    tmp_path: Path, light_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Translator):
        def translate(self, images: NDArray[np.uint8]) -> object:  # type: ignore[override]
            if (out / "methods/method-1/a.png").exists():
                raise KeyboardInterrupt
            return super().translate(images)

    out = tmp_path / "report"
    monkeypatch.setattr(module, "Translator", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path, light_engine, light_engine)
    monkeypatch.undo()
    assert not read_report(out).finished
    left = stamps(out)
    assert "methods/method-1/a.png" in left
    found = compared(tmp_path, light_engine, light_engine)
    assert found.finished
    assert found.failures == []
    assert changed(left, stamps(out)).isdisjoint(left)


def test_another_engine_photo_or_frame_is_made_anew(tmp_path: Path, light_engine: Path, wide_engine: Path) -> None:
    out = tmp_path / "report"
    compared(tmp_path, light_engine, light_engine)
    first = stamps(out)
    compared(tmp_path, light_engine, wide_engine)
    second = stamps(out)
    assert changed(first, second) == {"methods/method-2/a.png", "methods/method-2/b c.png"}
    photos = tmp_path / "photos"
    save_image(photos / "a.png", picture(9))
    (photos / "b c.png").rename(photos / "d.png")
    named = [Named("method 1", light_engine), Named("method 2", wide_engine)]
    found = compare(named, str(photos), out, UNTIMED, CPU)
    assert [photo.name for photo in found.photos] == ["a.png", "d.png"]
    assert changed(second, stamps(out)) == set(second) | {
        f"{folder}/d.png" for folder in ("photos", "methods/method-1", "methods/method-2")
    }
    assert not (out / "photos/b c.png").exists()


def test_a_method_that_cannot_be_had_any_more_keeps_its_pictures(tmp_path: Path, light_engine: Path) -> None:
    """As on another machine than that which has its GPU; a photo that is new is all that it lacks."""
    out = tmp_path / "report"
    compared(tmp_path, light_engine, light_engine, options=CompareOptions(rounds=1))
    first = stamps(out)
    save_image(tmp_path / "photos" / "new.png", picture(5))
    named = [Named("method 1", light_engine), Named("method 2", EngineError("no such GPU here"))]
    found = compare(named, str(tmp_path / "photos"), out, UNTIMED, CPU)
    assert changed(first, stamps(out)) == {"photos/new.png", "methods/method-1/new.png"}
    there = found.methods[1]
    assert (there.failure, there.times) == ("no such GPU here", None)
    assert [found.has(there, photo) for photo in found.photos] == [True, True, False]
    assert found.failures == ["method 2: no such GPU here"]
    compared(tmp_path, light_engine, light_engine)
    assert changed(first, stamps(out)) == {
        f"{name}/new.png" for name in ("photos", "methods/method-1", "methods/method-2")
    }


def test_another_photo_through_stdin_is_another_photo(
    tmp_path: Path, light_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [Named("A", light_engine), Named("B", light_engine)]
    seen = []
    for seed in (1, 2):
        content = io.BytesIO(encode_image(picture(seed), ".png"))
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False, buffer=content))
        compare(named, "-", tmp_path / "report", UNTIMED, CPU)
        seen.append(load_image(tmp_path / "report/methods/a/stdin.png"))
    assert (seen[0] != seen[1]).any()


# Names ---------------------------------------------------------------------------------------------------------------


def test_labels(tmp_path: Path) -> None:
    assert labels_of(["run1/m.pt", "run2/m.pt", "My own=x.onnx", "https://host/x.zip?a=b"]) == [
        ("run1/m", "run1/m.pt"),
        ("run2/m", "run2/m.pt"),
        ("My own", "x.onnx"),
        ("x", "https://host/x.zip?a=b"),
    ]
    assert labels_of(["a/m.pt", "b/n.pt"]) == [("m", "a/m.pt"), ("n", "b/n.pt")]
    there = tmp_path / "a=b.onnx"
    there.touch()
    assert labels_of([str(there)]) == [("a=b", str(there))]
    assert labels_of(["hf://ORG/REPO"]) == [("REPO", "hf://ORG/REPO")]
    with pytest.raises(InputError, match="no name"):
        labels_of([" =x.onnx"])


def test_one_name_for_two_and_one_method_alone_are_refused(tmp_path: Path, light_engine: Path) -> None:
    for named, why in (([Named("A", light_engine)] * 2, "two methods are called A"), ([Named("A", light_engine)], "2")):
        with pytest.raises(InputError, match=why):
            compare(named, str(tmp_path), tmp_path / "out", UNTIMED, CPU)


def test_folders_differ_where_names_hardly_do() -> None:
    folders = folders_of(["U-GAT-IT", "u gat it", "日本", "../..", "x" * 300])
    assert list(folders.values()) == ["u-gat-it", "u-gat-it-2", "method", "method-2", "x" * 40]


def test_a_data_set_is_called_as_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "selfie2anime" / "testA"
    folder.mkdir(parents=True)
    assert data_set_of(str(folder)) == "selfie2anime"
    assert data_set_of(str(folder / "*.png")) == "selfie2anime"
    assert data_set_of(str(folder.parent)) == "selfie2anime"
    assert data_set_of(str(tmp_path / "horses.zip")) == "horses"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_names_are_shown_and_never_run(tmp_path: Path, light_engine: Path) -> None:
    """Of files also those that are no text."""
    photos = write_photos(tmp_path / "photos", "<img src=x onerror=alert(1)>.png")
    (photos / "<img src=x onerror=alert(1)>.png").rename(photos / os.fsdecode(b"<b>\xff&.png"))
    named = [Named("<script>alert(1)</script>", light_engine), Named('"$title', light_engine)]
    options = replace(UNTIMED, data_set="<i>", target_name="</p>")
    found = compare(named, str(photos), tmp_path / "report", options, CPU)
    page = (tmp_path / "report/index.html").read_text()
    for text in ("<script>alert", "<b>", "<i>", "translated into </p>"):
        assert text not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "methods/title/%3Cb%3E%FF%26.png" in page
    assert read_report(tmp_path / "report") == found
    survey = open_survey(tmp_path / "report")
    (question,) = questions_of([survey], "0" * 32, None)
    survey.answers.append("0" * 32, question.photo.picture, question.shown[0], question.shown)
    assert len(open_survey(tmp_path / "report").answers.latest) == 1


# Times ---------------------------------------------------------------------------------------------------------------


def test_methods_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Told:
        def __init__(self, name: str) -> None:
            self.name = name

        def translate(self, images: object) -> None:
            order.append(self.name)
            if self.name == "c" and len(order) > 6:
                raise EngineError("tired")

    methods = {name: (Told(name), [None]) for name in "abc"}
    found = interleaved(methods, 3, lambda done, total: None)  # type: ignore[arg-type]
    assert "".join(order) == "aabbcc" + "bbcaa" + "aabb"
    assert isinstance(found["c"], EngineError)
    assert [found[name].samples for name in "ab"] == [3, 3]  # type: ignore[union-attr]
    assert rotated([], 3) == []


def test_the_page_says_what_the_times_are_of(tmp_path: Path, light_engine: Path) -> None:
    found: Comparison = compared(tmp_path, light_engine, light_engine, options=CompareOptions(rounds=1))
    page = (tmp_path / "report/index.html").read_text()
    assert f"on {found.machine}; median of 1 round in which the methods took turns" in page
