"""What people said, counted."""

import json
from pathlib import Path

import pytest

from tests.study.reports import write_fake_report
from ugatit_fast import cli
from ugatit_fast.errors import InputError
from ugatit_fast.study.questions import open_survey
from ugatit_fast.study.result import describe, result_of
from ugatit_fast.study.statistics import effective, wilson

SHOWN = ["Ours", "Theirs", "Another"]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Four people: two always choose Ours, one now and then, one can't say anything."""
    folder = tmp_path / "report"
    write_fake_report(folder)
    answers = open_survey(folder).answers
    said = {0: "OOO", 1: "OOO", 2: "OTA", 3: "---"}
    names = {"O": "Ours", "T": "Theirs", "A": "Another", "-": None}
    for person, choices in said.items():
        for photo, choice in enumerate(choices):
            answers.append(f"{person:032x}", f"{photo}.png", names[choice], SHOWN)
    return folder


def test_shares_and_intervals(report: Path) -> None:
    found = result_of(report)
    assert (found.data_set, found.people, found.photos, found.answers, found.cannot_say) == ("selfie2anime", 4, 3, 9, 3)
    assert [(share.method, share.chosen) for share in found.shares] == [("Ours", 7), ("Theirs", 1), ("Another", 1)]
    assert sum(share.share for share in found.shares) == pytest.approx(1)
    worth = effective([3, 3, 1], [3, 3, 3])
    assert worth is not None
    assert found.shares[0].interval == wilson(7 / 9, worth)
    assert found.agreement is not None
    assert found.agreement.observed == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)


def test_the_command_prints_a_row_a_method_and_writes_json(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (report / "answers.jsonl").open("ab") as file:
        file.write(b'{"person": "')
    assert cli.main(["study", "result", str(report), "--json", str(tmp_path / "result.json")]) == 0
    said = capsys.readouterr()
    assert "| selfie2anime | Ours | 77.8% |" in said.out
    assert "selfie2anime: 4 people; 3 photos; can't say: 3; agreement: Fleiss' kappa" in said.out
    assert "1 damaged line (14), kept in the file and left out" in said.err
    (written,) = json.loads((tmp_path / "result.json").read_text())
    assert written["shares"][0]["method"] == "Ours"
    assert written["damaged_lines"] == [14]


def test_several_data_sets_and_files_of_answers(report: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_fake_report(other, data_set="horse2zebra")
    with pytest.raises(InputError, match="can't be read"):
        result_of(other)
    answers = open_survey(other).answers
    with pytest.raises(InputError, match="no answers yet"):
        result_of(other)
    answers.append("0" * 32, "0.png", "Theirs", SHOWN)
    text = describe([result_of(report / "answers.jsonl"), result_of(other)])
    assert "| horse2zebra | Theirs | 100.0% |  | 1 of 1 |" in text
    assert "horse2zebra: 1 person; 1 photo; can't say: 0; agreement: no two people saw the same photo" in text
    assert "one person alone" in text


def test_who_can_never_say_gives_no_shares(tmp_path: Path) -> None:
    write_fake_report(tmp_path)
    open_survey(tmp_path).answers.append("0" * 32, "0.png", None, SHOWN)
    found = result_of(tmp_path)
    assert (found.answers, found.cannot_say, found.agreement) == (0, 1, None)
    assert [share.share for share in found.shares] == [0, 0, 0]
