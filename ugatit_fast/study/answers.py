"""The file of a study's answers, a line of JSON each, behind a first line that says which study it is.

A line is written at once, behind a lock, and reaches the disk before anyone is told so; several processes may write. No
line is ever changed or removed: of two answers of a person about a photo the later counts, and what a power cut left of
a line stays, is left out, and told.
"""

import json
import os
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from ugatit_fast.bench.environment import now
from ugatit_fast.bench.results import decode
from ugatit_fast.errors import InputError
from ugatit_fast.files import locked, write_errors, written_whole

SCHEMA_VERSION = 1
PERSON = re.compile("[0-9a-f]{32}")
"""What a person is known by: a random number that the browser drew."""


@dataclass(frozen=True)
class Header:
    """The first line."""

    kind: Literal["study"]
    schema: int
    pictures: str
    """SHA-256 of all that people see, so that their answers are never taken for those about other pictures."""
    secret: str
    """What orders and names of questions are drawn from; stays on the server."""
    data_set: str
    target_name: str
    methods: tuple[str, ...]
    photos: tuple[str, ...]
    """Those that are asked about."""


@dataclass(frozen=True)
class Answer:
    """Any other line."""

    person: str
    photo: str
    choice: str | None
    """The method; None for "can't say"."""
    shown: tuple[str, ...]
    """The methods in the order that the person saw them in."""
    at: str
    """When, in ISO 8601."""


@dataclass
class Answers:
    """What a file says, as far as it was read."""

    path: Path
    header: Header
    latest: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """(person, photo) -> what counts."""
    damaged: list[int] = field(default_factory=list)
    """Numbers of the lines that are left out."""
    read_bytes: int = 0
    lines: int = 0
    reading: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def refresh(self, *, whole: bool = False) -> None:
        """Read what has been added since, also by others. whole: the last line too, should its end be missing."""
        with self.reading, self.path.open("rb") as file:
            file.seek(self.read_bytes)
            for line in file:
                if not line.endswith(b"\n") and not whole:
                    break  # somebody may be writing it
                self.read_bytes += len(line)
                self.lines += 1
                self.take(line)

    def take(self, line: bytes) -> None:
        if self.lines == 1 or not line.strip():
            return
        answer = answer_of(line, self.header)
        if answer is None:
            self.damaged.append(self.lines)
        else:
            self.latest[answer.person, answer.photo] = answer

    def append(self, person: str, photo: str, choice: str | None, shown: Sequence[str]) -> None:
        """Write an answer, and wait until it is on the disk. Raises InputError where it can't be written."""
        text = json.dumps(asdict(Answer(person, photo, choice, tuple(shown), now())))
        with write_errors(self.path), locked(lock_of(self.path), wait=True):
            add_line(self.path, text.encode("ascii") + b"\n")
        self.refresh()


def add_line(path: Path, line: bytes) -> None:
    """Add to a file, behind a line that was cut off after the end of that one, and wait until it is on the disk."""
    with path.open("rb+", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        while line:  # a write may take less than it is given
            line = line[file.write(line) :]
        os.fsync(file.fileno())


def open_answers(path: Path, asked: Header) -> Answers:
    """The answers of a study, from its file, made if missing.

    asked: the study, with any secret; one that goes on keeps that of its file. Raises InputError where the file is
    another study's, unless nobody has answered that, or none's.
    """
    with write_errors(path), locked(lock_of(path), wait=True):
        if not path.exists() or is_another_unanswered(path, asked):
            with written_whole(path) as partial:
                partial.write_text(json.dumps(asdict(asked)) + "\n", encoding="ascii")
    answers = read_answers(path)
    if answers.header.pictures != asked.pictures:
        raise InputError(
            f"{path} has answers about other pictures than those that are here; move it away, or compare into another "
            "folder: two studies can't share a file"
        )
    with write_errors(path), locked(lock_of(path), wait=True):
        add_line(path, b"")  # ends a line that was cut off, so that it is read, or told
    answers.refresh()
    return answers


def is_another_unanswered(path: Path, asked: Header) -> bool:
    """Whether a file holds nothing but the first line of another study."""
    answers = read_answers(path, whole=True)
    return answers.lines == 1 and answers.header.pictures != asked.pictures


def read_answers(path: Path, *, whole: bool = False) -> Answers:
    """The answers in a file. whole: as for `Answers.refresh`. Raises InputError where it isn't a study's."""
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror or error}); answers are gathered by: ugatit-fast study"
        ) from error
    try:
        header: Header = decode(Header, json.loads(first), "its first line")
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} isn't a study's file of answers ({error}); move it away, and it stays as it is"
        ) from error
    if header.schema > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema {header.schema}, this ugatit-fast reads up to {SCHEMA_VERSION}: upgrade it"
        )
    answers = Answers(path, header)
    answers.refresh(whole=whole)
    return answers


def answer_of(line: bytes, header: Header) -> Answer | None:
    """None where the line is damaged, or about nothing that was asked."""
    try:
        answer: Answer = decode(Answer, json.loads(line), "answer")
    except (ValueError, TypeError, RecursionError):
        return None
    known = answer.choice is None or answer.choice in header.methods
    return answer if known and PERSON.fullmatch(answer.person) and answer.photo in header.photos else None


def lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def new_secret() -> str:
    return secrets.token_hex(32)
