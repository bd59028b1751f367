"""A study in a process of its own: killed and started again, told to stop, and two on one file."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serve.hosts import PROGRAM, ask, get
from tests.study.reports import write_fake_report
from ugatit_fast.study.answers import read_answers

PERSON = "f" * 32
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@contextmanager
def studied(report: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`ugatit-fast study`; gives it and its port once it listens."""
    command = [*PROGRAM, "study", str(report), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"asking people at .*:(\d+);", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield process, int(found.group(1))
    finally:
        process.kill()
        process.wait()


def next_question(port: int) -> dict[str, object]:
    status, content = get(port, f"/v1/study/next?person={PERSON}")
    assert status == 200
    found: dict[str, object] = json.loads(content)
    return found


def answer(port: int, question: object) -> int:
    body = json.dumps({"person": PERSON, "question": question, "choice": 1}).encode()
    return ask(port, "POST", "/v1/study/answer", body)[0]


@pytest.mark.slow
def test_what_was_answered_is_there_after_a_kill_and_a_stop_is_a_success(tmp_path: Path) -> None:
    write_fake_report(tmp_path)
    with studied(tmp_path) as (process, port):
        assert answer(port, next_question(port)["question"]) == 204
        waiting = next_question(port)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with studied(tmp_path) as (process, port):
        assert next_question(port) == waiting
        assert answer(port, waiting["question"]) == 204
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(read_answers(tmp_path / "answers.jsonl").latest) == 2


@pytest.mark.slow
def test_two_servers_of_one_study_see_each_other_s_answers(tmp_path: Path) -> None:
    write_fake_report(tmp_path)
    with studied(tmp_path) as (_, first), studied(tmp_path) as (_, second):
        question = next_question(first)["question"]
        assert next_question(second)["question"] == question
        assert answer(second, question) == 204
        assert next_question(first)["answered"] == 1
