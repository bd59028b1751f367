"""Methods that draw in styles: a column for each style, its numbers in the report, slips said before any work."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.architectures.published_unit import Sizes, random_state
from tests.conftest import random_pictures
from tests.study.reports import CPU, UNTIMED, write_fake_report
from tests.translate.fake_translator import write_photos
from ugatit_fast import cli
from ugatit_fast.choices import drawn_style
from ugatit_fast.errors import EngineError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.study.compare import compare
from ugatit_fast.study.opening import Named
from ugatit_fast.study.questions import open_survey
from ugatit_fast.study.report import REPORT, Comparison, Style, read_report
from ugatit_fast.study.styles import asked_of, columns_of, in_styles
from ugatit_fast.translator import Translator


@pytest.fixture(scope="module")
def munit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine that draws in styles of three numbers."""
    folder = tmp_path_factory.mktemp("munit")
    sizes = Sizes(dim=2, n_res=1, style=3)
    torch.save({domain: random_state(sizes, seed) for seed, domain in enumerate("ab")}, folder / "gen_00000001.pt")
    built = build_engine(folder / "gen_00000001.pt", folder / "munit.onnx", size=(32, 32), backend="onnxruntime")
    return built.path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", "a.png")


def drawn(munit: Path, photos: Path, style: str) -> np.ndarray:
    with Translator(munit, device="cpu", threads=1) as translator:
        return np.asarray(translator.run(photos / "a.png", style=style))


def numbers(*values: float) -> tuple[float, ...]:
    return tuple(np.array(values, np.float32).tolist())


def test_each_style_is_a_column_by_the_command(
    tmp_path: Path, munit: Path, light_engine: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dusk = tmp_path / "dusk.png"
    save_image(dusk, random_pictures(1, 40, 48)[0])
    said = ["7", "-1,0,0.5", str(dusk)]
    styles = [part for style in said for part in ("--style", style)]
    out = tmp_path / "report"
    arguments = ["compare", str(munit), f"Other={light_engine}", *styles, "--photos", str(photos), "-o", str(out)]
    assert cli.main([*arguments, "--rounds", "1"]) == 0
    assert "4 of 4 methods" in capsys.readouterr().out

    found = read_report(out)
    assert found.finished
    names = ["munit, style 7", "munit, style -1,0,0.5", "munit, style dusk.png", "Other"]
    assert [method.name for method in found.methods] == names
    given = [method.engine.style for method in found.methods if method.engine]
    assert [style and style.said for style in given] == ["7", "-1,0,0.5", "dusk.png", None]
    assert given[0] == Style("7", tuple(drawn_style(3, 7).tolist()))
    assert given[1] == Style("-1,0,0.5", numbers(-1, 0, 0.5))
    for method, style in zip(found.methods, said, strict=False):
        made = load_image(out / "methods" / method.folder / "a.png")
        assert np.array_equal(made, drawn(munit, photos, style))
    page = (out / "index.html").read_text()
    assert '<th scope="col">style</th>' in page
    assert "<td>dusk.png</td>" in page
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    assert [row["style"] for row in rows] == ["7", "-1,0,0.5", "dusk.png", ""]
    assert rows[1]["style numbers"] == "-1.0,0.0,0.5"
    assert str(tmp_path) not in page + (out / REPORT).read_text()
    assert open_survey(out).answers.header.methods == tuple(names)


def test_a_method_s_own_style_takes_the_place_of_the_others(tmp_path: Path, munit: Path, photos: Path) -> None:
    """One engine under several names is as many columns."""
    named = [Named("a", munit), Named("b", munit), Named("c", munit)]
    options = replace(UNTIMED, style=("1", "b=2"))
    found = compare(named, str(photos), tmp_path / "report", options, CPU)
    assert [(method.name, said(found, method.name)) for method in found.methods] == [("a", "1"), ("b", "2"), ("c", "1")]
    made = [load_image(tmp_path / "report" / "methods" / name / "a.png") for name in "abc"]
    assert np.array_equal(made[0], made[2])
    assert np.array_equal(made[1], drawn(munit, photos, "2"))
    assert not np.array_equal(made[0], made[1])


def said(found: Comparison, name: str) -> str | None:
    (engine,) = (method.engine for method in found.methods if method.name == name)
    return engine.style.said if engine and engine.style else None


def test_the_style_unless_asked_and_another_one_is_made_anew(
    tmp_path: Path, munit: Path, light_engine: Path, photos: Path
) -> None:
    named = [Named("munit", munit), Named("light", light_engine)]
    out = tmp_path / "report"
    assert said(compare(named, str(photos), out, UNTIMED, CPU), "munit") == "0"
    assert np.array_equal(load_image(out / "methods/munit/a.png"), drawn(munit, photos, "0"))
    kept = (out / "methods/light/a.png").stat().st_mtime_ns
    found = compare(named, str(photos), out, UNTIMED, replace(CPU, style="5"))
    assert said(found, "munit") == "5"
    assert np.array_equal(load_image(out / "methods/munit/a.png"), drawn(munit, photos, "5"))
    assert (out / "methods/light/a.png").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("styles", "why"),
    [
        (["munich=7"], "no method is called munich; they are called munit, light"),
        (["light=7"], "light draws in one style only; leave --style light=7 out"),
        (["1,2"], "munit: a style of this engine has 3 numbers, got 2"),
        (["munit=nowhere.png"], "munit: a style is a seed.*'nowhere.png' is none of these"),
        (["munit="], "munit: a style is a seed"),
        (["munit=" + __file__], r"munit: .*test_styles.py"),
        (["7", "7"], "--style 7 is given twice"),
        (["7", "munit=8"], "no method takes --style 7"),
    ],
)
def test_slips_are_said_before_anything_is_written(
    styles: list[str], why: str, tmp_path: Path, munit: Path, light_engine: Path, photos: Path
) -> None:
    named = [Named("munit", munit), Named("light", light_engine)]
    options = replace(UNTIMED, style=tuple(styles))
    with pytest.raises(InputError, match=why) as refused:
        compare(named, str(photos), tmp_path / "report", options, CPU)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "report").exists()


def test_a_style_where_no_method_draws_in_any(tmp_path: Path, light_engine: Path, photos: Path) -> None:
    named = [Named("a", light_engine), Named("b", light_engine)]
    with pytest.raises(InputError, match="no method takes --style 7: none draws in styles"):
        compare(named, str(photos), tmp_path / "report", replace(UNTIMED, style=("7",)), CPU)


def test_names_with_what_tells_pictures_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name, *_ in columns_of("m", ["7", "x/a.png", "y/a.png"])] == [
        "m, style 7",
        "m, style x/a.png",
        "m, style y/a.png",
    ]
    assert columns_of("m", ["x/a.png"]) == [("m", "x/a.png", "a.png")]
    assert asked_of(["run1/m=7", "a b=1,2", "3"], ["run1/m", "a b"]) == {"run1/m": ["7"], "a b": ["1,2"], None: ["3"]}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m=7").touch()
    assert asked_of(["m=7"], ["m"]) == {None: ["m=7"]}, "a file is a picture"


def test_an_engine_that_cannot_be_had_any_more_has_as_many_columns_as_before() -> None:
    gone = Named("m", EngineError("no such GPU here"))
    styles = asked_of(["1", "2"], ["m"])
    columns = ["m, style 1", "m, style 2"]
    assert [one.name for one in in_styles([gone], styles, columns, trust_plan=False)] == columns
    assert [one.name for one in in_styles([gone], styles, [], trust_plan=False)] == ["m"]
    own = asked_of(["m=1", "m=2"], ["m"])
    assert [one.name for one in in_styles([gone], own, [], trust_plan=False)] == columns


def test_a_report_of_before_styles_is_read(tmp_path: Path) -> None:
    written = write_fake_report(tmp_path)
    document = json.loads((tmp_path / REPORT).read_text())
    for method in document["methods"]:
        del method["engine"]["style"]
    (tmp_path / REPORT).write_text(json.dumps(document))
    assert read_report(tmp_path) == written
