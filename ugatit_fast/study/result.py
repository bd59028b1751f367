"""What people said: of each report, how often each method was chosen, how sure that is, and how far people agree."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ugatit_fast.bench.tables import table
from ugatit_fast.errors import InputError
from ugatit_fast.files import written_whole
from ugatit_fast.study.answers import Answer, Answers, read_answers
from ugatit_fast.study.report import ANSWERS
from ugatit_fast.study.statistics import Agreement, agreement, effective, wilson

HEAD = ("data set", "method", "share", "95 %", "chosen")


@dataclass(frozen=True)
class Share:
    """Of one method."""

    method: str
    chosen: int
    share: float
    """Of the answers that name a method, 0 to 1."""
    interval: tuple[float, float] | None
    """95 %; None where one person alone has answered."""


@dataclass(frozen=True)
class Result:
    """Of one report."""

    data_set: str
    target_name: str
    people: int
    photos: int
    """Those that somebody was asked about."""
    answers: int
    """Those that name a method."""
    cannot_say: int
    shares: list[Share]
    agreement: Agreement | None
    """None where no two people saw the same photo."""
    damaged_lines: list[int]
    """Of the file, left out."""


def result_of(folder: Path) -> Result:
    """The answers in a report's folder, or in a file of them. Raises InputError where there are none."""
    answers = read_answers(folder / ANSWERS if folder.is_dir() else folder, whole=True)
    if not answers.latest:
        raise InputError(f"{answers.path} has no answers yet; ask people: ugatit-fast study {folder}")
    named = [answer for answer in answers.latest.values() if answer.choice is not None]
    return Result(
        data_set=answers.header.data_set,
        target_name=answers.header.target_name,
        people=len({answer.person for answer in answers.latest.values()}),
        photos=len({answer.photo for answer in answers.latest.values()}),
        answers=len(named),
        cannot_say=len(answers.latest) - len(named),
        shares=shares_of(answers, named),
        agreement=agreement(counts_of(answers, named)),
        damaged_lines=answers.damaged,
    )


def shares_of(answers: Answers, named: Sequence[Answer]) -> list[Share]:
    per_person = Counter(answer.person for answer in named)
    shares = []
    for method in answers.header.methods:
        hits = Counter(answer.person for answer in named if answer.choice == method)
        chosen = hits.total()
        share = chosen / len(named) if named else 0.0
        worth = effective([hits[person] for person in per_person], list(per_person.values()))
        shares.append(Share(method, chosen, share, None if worth is None else wilson(share, worth)))
    return shares


def counts_of(answers: Answers, named: Sequence[Answer]) -> list[list[int]]:
    """For each photo, how many people chose each method."""
    chosen = Counter((answer.photo, answer.choice) for answer in named)
    return [[chosen[photo, method] for method in answers.header.methods] for photo in answers.header.photos]


def describe(results: Sequence[Result]) -> str:
    """A Markdown table, and a paragraph about each data set."""
    rows = [
        [
            result.data_set,
            share.method,
            f"{share.share:.1%}",
            "" if share.interval is None else f"{share.interval[0]:.1%} to {share.interval[1]:.1%}",
            f"{share.chosen} of {result.answers}",
        ]
        for result in results
        for share in result.shares
    ]
    return "\n\n".join([table(HEAD, rows), *(line_of(result) for result in results)])


def line_of(result: Result) -> str:
    facts = [
        f"{result.people} {'person' if result.people == 1 else 'people'}",
        f"{result.photos} photo{'s' * (result.photos != 1)}",
        f"can't say: {result.cannot_say}",
    ]
    if result.agreement is None:
        facts.append("agreement: no two people saw the same photo")
    else:
        kappa = "undefined" if result.agreement.kappa is None else f"{result.agreement.kappa:.2f}"
        facts.append(
            f"agreement: Fleiss' kappa {kappa}, {result.agreement.observed:.0%} of pairs alike; photos that two people "
            f"or more saw: {result.agreement.photos}"
        )
    if any(share.interval is None for share in result.shares):
        facts.append("no intervals, since one person alone answered")
    return f"{result.data_set}: {'; '.join(facts)}"


def damage_of(path: Path, lines: Sequence[int]) -> str:
    """What to say of lines that are left out."""
    numbers = ", ".join(map(str, lines))
    return f"{path} has {len(lines)} damaged line{'s' * (len(lines) != 1)} ({numbers}), kept in the file and left out"


def save(results: Sequence[Result], file: Path) -> None:
    """Write everything as JSON. Atomic; raises InputError."""
    with written_whole(file) as partial:
        partial.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
