"""The file of answers: whole lines from many at once, and nothing lost to a power cut or to another study."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ugatit_fast.errors import InputError
from ugatit_fast.study.answers import Answers, Header, new_secret, open_answers, read_answers

PERSON, OTHER = "a" * 32, "b" * 32
HEADER = Header("study", 1, "1" * 64, "00" * 32, "set", "anime faces", ("A", "B"), ("1.png", "2.png"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def choices(answers: Answers) -> dict[tuple[str, str], str | None]:
    return {key: answer.choice for key, answer in answers.latest.items()}


def test_what_is_written_is_read_and_the_last_word_counts(path: Path) -> None:
    answers = open_answers(path, HEADER)
    answers.append(PERSON, "1.png", "A", ["B", "A"])
    answers.append(PERSON, "2.png", None, ["A", "B"])
    answers.append(PERSON, "1.png", "B", ["B", "A"])
    again = open_answers(path, replace(HEADER, secret=new_secret()))
    assert choices(again) == choices(answers) == {(PERSON, "1.png"): "B", (PERSON, "2.png"): None}
    assert again.header == HEADER
    assert again.latest[PERSON, "1.png"].shown == ("B", "A")
    assert path.read_text().count("\n") == 4


def test_another_study_is_refused_and_its_file_stays(path: Path) -> None:
    open_answers(path, HEADER).append(PERSON, "1.png", "A", ["A", "B"])
    before = path.read_bytes()
    with pytest.raises(InputError, match="two studies can't share a file"):
        open_answers(path, replace(HEADER, pictures="2" * 64))
    assert path.read_bytes() == before


def test_another_study_that_nobody_answered_makes_room(path: Path) -> None:
    open_answers(path, HEADER)
    asked = replace(HEADER, pictures="2" * 64)
    assert open_answers(path, asked).header == asked


@pytest.mark.parametrize("content", [b"", b"my diary", b'{"kind": "study"}\n', b"\x00\xff\n", b"[" * 100_000])
def test_a_file_that_is_no_study_s_is_refused_and_stays(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="isn't a study's"):
        open_answers(path, HEADER)
    assert path.read_bytes() == content


def test_a_newer_file_is_refused(path: Path) -> None:
    path.write_text(json.dumps(vars(replace(HEADER, schema=2))) + "\n")
    with pytest.raises(InputError, match="upgrade"):
        read_answers(path)


@pytest.mark.parametrize("torn", [b'{"person": "aaaa', b"\x00\x00\x00\x00", b"{}", b"5", b'{"person": \xff'])
def test_a_torn_last_line_is_told_and_kept_and_the_next_answer_is_whole(path: Path, torn: bytes) -> None:
    open_answers(path, HEADER).append(PERSON, "1.png", "A", ["A", "B"])
    with path.open("ab") as file:
        file.write(torn)
    assert read_answers(path, whole=True).damaged == [3]
    answers = open_answers(path, HEADER)
    assert answers.damaged == [3]
    answers.append(OTHER, "1.png", "B", ["A", "B"])
    assert choices(read_answers(path)) == {(PERSON, "1.png"): "A", (OTHER, "1.png"): "B"}
    assert torn in path.read_bytes()


def test_a_last_line_that_lacks_only_its_end_counts(path: Path) -> None:
    open_answers(path, HEADER).append(PERSON, "1.png", "A", ["A", "B"])
    path.write_bytes(path.read_bytes()[:-1])
    assert choices(read_answers(path, whole=True)) == {(PERSON, "1.png"): "A"}
    answers = open_answers(path, HEADER)
    answers.append(OTHER, "1.png", "B", ["A", "B"])
    assert answers.damaged == []
    assert len(answers.latest) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("person", "x"), ("photo", "3.png"), ("choice", "C"), ("choice", 1), ("shown", "A"), ("more", 1)],
)
def test_a_line_about_nothing_that_was_asked_is_left_out(path: Path, field: str, value: object) -> None:
    open_answers(path, HEADER)
    line = {"person": PERSON, "photo": "1.png", "choice": "A", "shown": ["A", "B"], "at": ""} | {field: value}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert read_answers(path).damaged == [2]


def test_answers_of_others_are_seen(path: Path) -> None:
    mine, theirs = open_answers(path, HEADER), open_answers(path, HEADER)
    theirs.append(OTHER, "2.png", "B", ["A", "B"])
    mine.refresh()
    assert choices(mine) == {(OTHER, "2.png"): "B"}


WRITER = """
import sys
from pathlib import Path
from tests.study.test_answers import HEADER
from ugatit_fast.study.answers import open_answers
answers = open_answers(Path(sys.argv[1]), HEADER)
for number in range(40):
    answers.append(f"{int(sys.argv[2]):016x}{number:016x}", "1.png", "AB"[number % 2], ["A", "B"])
"""


def test_many_processes_write_at_once(path: Path) -> None:
    """From the first line on: who comes second to making the file takes it as it is."""
    root = Path(__file__).resolve().parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(i)], cwd=root) for i in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    answers = read_answers(path)
    assert answers.damaged == []
    assert Counter(answer.choice for answer in answers.latest.values()) == {"A": 80, "B": 80}
    assert len(path.read_bytes().splitlines()) == 161


def test_a_place_that_cannot_be_written_is_told(path: Path) -> None:
    answers = open_answers(path, HEADER)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="cannot write"):
        answers.append(PERSON, "1.png", "A", ["A", "B"])
