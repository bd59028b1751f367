"""Who is asked what: shuffled, balanced, the same again, and silent about the methods."""

import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.serve.clients import decoded
from tests.study.reports import write_fake_report
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.study.questions import Survey, nth_order, open_survey, questions_of
from ugatit_fast.study.report import REPORT


def person(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    write_fake_report(tmp_path / "report", photos=12)
    return open_survey(tmp_path / "report")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_order_has_a_number(count: int) -> None:
    orders = [nth_order(number, count) for number in range(math.factorial(count))]
    assert sorted(orders) == sorted(itertools.permutations(range(count)))


def test_a_person_meets_every_order_equally_often(survey: Survey) -> None:
    for number in range(30):
        orders = Counter(question.order for question in questions_of([survey], person(number), None))
        assert orders == dict.fromkeys(itertools.permutations(range(3)), 2)


def test_over_people_every_method_and_photo_is_anywhere_equally_often(survey: Survey) -> None:
    """Each person's first question: chi-squared of 6 orders and of 12 photos, each at one in a million."""
    first = [questions_of([survey], person(number), 1)[0] for number in range(600)]
    orders, photos = (Counter(one) for one in zip(*((q.order, q.photo.name) for q in first), strict=True))
    for counts, kinds, limit in ((orders, 6, 35.9), (photos, 12, 49.9)):
        expected = 600 / kinds
        assert len(counts) == kinds
        assert sum((count - expected) ** 2 / expected for count in counts.values()) < limit


def test_the_same_person_is_asked_the_same_after_a_restart(survey: Survey, tmp_path: Path) -> None:
    asked = [(q.id, q.photo, q.order) for q in questions_of([survey], person(1), None)]
    again = open_survey(tmp_path / "report")
    assert [(q.id, q.photo, q.order) for q in questions_of([again], person(1), None)] == asked
    assert [q.id for q in questions_of([again], person(2), None)] != [one[0] for one in asked]
    assert {q.photo.name for q in questions_of([again], person(2), None)} == {photo.name for _, photo, _ in asked}


def test_ids_tell_nothing_and_are_nobody_elses(survey: Survey) -> None:
    ids = [q.id for number in range(20) for q in questions_of([survey], person(number), None)]
    assert len(set(ids)) == len(ids) == 240
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in ids)


def test_two_reports_are_spread_evenly(survey: Survey, tmp_path: Path) -> None:
    write_fake_report(tmp_path / "other", ("A", "B"), photos=6, data_set="horse2zebra")
    both = [survey, open_survey(tmp_path / "other")]
    for number in range(20):
        asked = questions_of(both, person(number), None)
        assert len(asked) == 18
        assert 1 <= sum(q.survey is both[1] for q in asked[:6]) <= 3
    assert len(questions_of(both, person(1), 5)) == 5


def test_pictures_are_alike_in_all_but_what_they_show(survey: Survey) -> None:
    """One method's are smaller, and all compress differently well."""
    folder = survey.folder
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    question = questions_of([survey], person(1), None)[0]
    save_image(folder / "methods" / "ours" / question.photo.picture, noise)
    photo, pictures = question.pictures()
    assert (decoded(photo) == load_image(folder / "photos" / question.photo.picture)).all()
    assert len({len(file) for file in pictures}) == 1
    assert {decoded(file).shape for file in pictures} == {(32, 32, 3)}
    greys = {"Theirs": 80, "Another": 140}
    for name, file in zip(question.shown, pictures, strict=True):
        shown = decoded(file)
        assert (shown == noise).all() if name == "Ours" else (shown == greys[name]).all()
        assert b"tEXt" not in file
        assert name.encode() not in file


def test_photos_that_a_method_failed_on_are_not_asked_about(tmp_path: Path) -> None:
    write_fake_report(tmp_path, photos=3)
    document = json.loads((tmp_path / REPORT).read_text())
    document["photos"][1]["failures"] = {"Ours": "it failed"}
    (tmp_path / REPORT).write_text(json.dumps(document))
    assert [photo.name for photo in open_survey(tmp_path).photos] == ["0.jpg", "2.jpg"]


def edited(folder: Path, **facts: object) -> None:
    document = json.loads((folder / REPORT).read_text()) | facts
    (folder / REPORT).write_text(json.dumps(document))


def test_what_nobody_can_be_asked_about_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no comparison"):
        open_survey(tmp_path)
    write_fake_report(tmp_path, ("A",))
    with pytest.raises(InputError, match="a choice takes 2"):
        open_survey(tmp_path)
    write_fake_report(tmp_path)
    edited(tmp_path, finished=False)
    with pytest.raises(InputError, match="isn't finished"):
        open_survey(tmp_path)
    edited(tmp_path, finished=True)
    (tmp_path / "methods/ours/0.png").unlink()
    with pytest.raises(InputError, match=r"0\.png can't be read"):
        open_survey(tmp_path)
    assert not (tmp_path / "answers.jsonl").exists()


def test_methods_that_cut_photos_to_other_shapes_would_be_known_by_it(tmp_path: Path) -> None:
    write_fake_report(tmp_path)
    document = json.loads((tmp_path / REPORT).read_text())
    document["methods"][0]["engine"]["width"] = 48
    (tmp_path / REPORT).write_text(json.dumps(document))
    with pytest.raises(InputError, match="different shapes"):
        open_survey(tmp_path)
    edited(tmp_path, fit="pad")
    assert len(open_survey(tmp_path).methods) == 3


@pytest.mark.parametrize("what", ["picture", "target"])
def test_other_pictures_or_words_are_another_study(tmp_path: Path, what: str) -> None:
    write_fake_report(tmp_path)
    open_survey(tmp_path).answers.append(person(1), "0.png", "Ours", ["Ours", "Theirs", "Another"])
    if what == "picture":
        save_image(tmp_path / "methods/ours/2.png", np.zeros((32, 32, 3), np.uint8))
    else:
        edited(tmp_path, target_name="zebras")
    with pytest.raises(InputError, match="other pictures"):
        open_survey(tmp_path)
