"""The study over HTTP: blind, patient with repeats and restarts, and strict with everything else."""

import asyncio
import email
import email.policy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from tests.serve.clients import decoded, detail
from tests.study.reports import write_fake_report
from ugatit_fast import cli
from ugatit_fast.errors import InputError
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.study.app import create_app
from ugatit_fast.study.options import StudyOptions
from ugatit_fast.study.questions import open_survey
from ugatit_fast.study.server import ask_people

PERSON = "0123456789abcdef" * 2
KEY = "0123456789abcdef"
METHODS = ("CycleGAN", "MUNIT", "DRIT")
LOCAL = ServeSettings(hosts=("localhost",))
Answer = TypeVar("Answer")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    write_fake_report(tmp_path / "report", METHODS)
    return tmp_path / "report"


def asking(
    ask: Callable[[httpx.AsyncClient], Awaitable[Answer]],
    *reports: Path,
    settings: ServeSettings = LOCAL,
    options: StudyOptions = StudyOptions(),  # noqa: B008 - frozen
) -> Answer:
    """Start a study anew, and have a client of it."""

    async def run() -> Answer:
        app = create_app(settings, [open_survey(report) for report in reports], options)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await ask(client)

    return asyncio.run(run())


async def next_of(client: httpx.AsyncClient, person: str = PERSON, **more: str) -> dict[str, object]:
    response = await client.get("/v1/study/next", params={"person": person, **more})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, object] = response.json()
    return found


async def pictures_of(client: httpx.AsyncClient, question: object, person: str = PERSON) -> dict[str, bytes]:
    response = await client.get("/v1/study/pictures", params={"person": person, "question": str(question)})
    assert response.status_code == 200
    head = b"Content-Type: " + response.headers["content-type"].encode() + b"\r\n\r\n"
    message = email.message_from_bytes(head + response.content, policy=email.policy.HTTP)
    parts = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        parts[part.get_param("name", header="content-disposition")] = part.get_payload(decode=True)
    return parts


async def send(client: httpx.AsyncClient, question: object, choice: object, person: object = PERSON) -> httpx.Response:
    return await client.post("/v1/study/answer", json={"person": person, "question": question, "choice": choice})


def test_from_the_first_question_to_the_last(report: Path) -> None:
    """Whoever always takes the lightest picture has chosen the method that makes it, wherever it was shown."""

    async def ask(client: httpx.AsyncClient) -> list[str]:
        places = []
        for number in range(1, 4):
            told = await next_of(client)
            assert (told["number"], told["total"], told["answered"]) == (number, 3, number - 1)
            assert (told["target"], told["pictures"], told["chosen"]) == ("anime faces", 3, None)
            shown = await pictures_of(client, told["question"])
            assert sorted(shown) == ["1", "2", "3", "photo"]
            assert len({len(shown[place]) for place in "123"}) == 1
            lightest = max("123", key=lambda place: decoded(shown[place]).mean())
            places.append(lightest)
            assert (await send(client, told["question"], int(lightest))).status_code == 204
        assert (await next_of(client))["question"] is None
        return places

    asking(ask, report)
    answers = open_survey(report).answers
    assert [answer.choice for answer in answers.latest.values()] == ["DRIT"] * 3


def test_nothing_that_people_get_names_a_method_a_photo_or_a_file(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> bytes:
        told = await client.get("/v1/study/next", params={"person": PERSON})
        question = told.json()["question"]
        pictures = await client.get("/v1/study/pictures", params={"person": PERSON, "question": question})
        answered = await send(client, question, 1)
        page = await client.get("/")
        every = [told, pictures, answered, page, await client.get("/page/study/study.js")]
        return b"\n".join(str(one.headers).encode() + one.content for one in every)

    everything = asking(ask, report)
    for word in (*METHODS, *(name.lower() for name in METHODS), "0.jpg", "0.png", "selfie2anime"):
        assert word.encode() not in everything


def test_a_restart_in_the_middle_changes_nothing(report: Path) -> None:
    async def before(client: httpx.AsyncClient) -> tuple[object, dict[str, bytes]]:
        first = await next_of(client)
        await send(client, first["question"], 2)
        second = (await next_of(client))["question"]
        return second, await pictures_of(client, second)

    question, pictures = asking(before, report)

    async def after(client: httpx.AsyncClient) -> None:
        assert await pictures_of(client, question) == pictures
        assert (await send(client, question, 1)).status_code == 204
        assert (await next_of(client))["answered"] == 2

    asking(after, report)


def test_a_question_of_another_study_is_told_apart(report: Path, tmp_path: Path) -> None:
    async def first(client: httpx.AsyncClient) -> object:
        return (await next_of(client))["question"]

    question = asking(first, report)
    write_fake_report(tmp_path / "other", METHODS)

    async def ask(client: httpx.AsyncClient) -> None:
        assert "reload the page" in detail(await send(client, question, 1), 409)
        response = await client.get("/v1/study/pictures", params={"person": PERSON, "question": str(question)})
        assert "reload the page" in detail(response, 409)

    asking(ask, tmp_path / "other")


def test_going_back_shows_the_choice_and_changes_it(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        first = await next_of(client)
        assert first["before"] is None
        await send(client, first["question"], 3)
        second = await next_of(client)
        assert second["before"] == first["question"]
        again = await next_of(client, question=str(first["question"]))
        assert (again["chosen"], again["number"]) == (3, 1)
        await send(client, first["question"], None)
        assert (await next_of(client, question=str(first["question"])))["chosen"] == 0

    asking(ask, report)
    assert len((report / "answers.jsonl").read_text().splitlines()) == 3


def test_an_answer_that_is_sent_again_is_written_once(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        question = (await next_of(client))["question"]
        for _ in range(3):
            assert (await send(client, question, 1)).status_code == 204

    asking(ask, report)
    assert len((report / "answers.jsonl").read_text().splitlines()) == 2


def test_several_people_at_once(report: Path) -> None:
    people = [f"{number:032x}" for number in range(12)]

    async def all_of(client: httpx.AsyncClient, person: str) -> None:
        while (question := (await next_of(client, person))["question"]) is not None:
            assert (await send(client, question, 1, person)).status_code == 204

    async def ask(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(all_of(client, person) for person in people))

    asking(ask, report)
    answers = open_survey(report).answers
    assert answers.damaged == []
    assert len(answers.latest) == 36


def test_no_more_questions_than_were_asked_for(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> object:
        return (await next_of(client))["total"]

    assert asking(ask, report, options=StudyOptions(questions=2)) == 2
    with pytest.raises(InputError, match="at least 1"):
        StudyOptions(questions=0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"[" * 1000, b'{"person": "x", "question": "y", "choice": 1}',
        f'{{"person": "{PERSON}", "question": "y"}}'.encode(),
        f'{{"person": "{PERSON}", "question": "y", "choice": true}}'.encode(),
        f'{{"person": "{PERSON}", "question": "y", "choice": "1"}}'.encode(),
    ],
)  # fmt: skip
def test_what_is_no_answer(report: Path, body: bytes) -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/study/answer", content=body)

    assert "expected" in detail(asking(ask, report), 422)


def test_what_the_server_refuses(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        question = (await next_of(client))["question"]
        for choice in (0, 4, -1):
            assert "pictures 1 to 3" in detail(await send(client, question, choice), 422)
        detail(await send(client, question, 1, "0" * 31), 422)
        detail(await client.get("/v1/study/next", params={"person": "../../etc"}), 422)
        detail(await client.post("/v1/study/answer", content=b" " * 5000), 413)
        detail(await client.get("/v1/study/next", params={"person": PERSON}, headers={"Host": "evil.example"}), 421)
        cross = {"Sec-Fetch-Site": "cross-site"}
        detail(await client.post("/v1/study/answer", json={}, headers=cross), 403)
        for path in ("/answers.jsonl", "/page/../answers.jsonl", "/v1/translate", "/openapi.json"):
            assert (await client.get(path)).status_code == 404

    asking(ask, report)


def test_with_a_key_only_the_page_itself_is_open(report: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for path in ("/", "/page/study/study.js", "/page/server.js", "/page/style.css", "/healthz"):
            assert (await client.get(path)).status_code == 200
        detail(await client.get("/v1/study/next", params={"person": PERSON}), 401)
        detail(await client.post("/v1/study/answer", json={}), 401)
        client.headers["Authorization"] = f"Bearer {KEY}"
        await next_of(client)

    asking(ask, report, settings=ServeSettings(api_key=KEY))


def test_a_full_disk_is_told_and_the_answer_is_not_taken_for_kept(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def ask(client: httpx.AsyncClient) -> None:
        question = (await next_of(client))["question"]
        with monkeypatch.context() as patched:
            patched.setattr("ugatit_fast.study.answers.add_line", full)
            assert "tell who runs this study" in detail(await send(client, question, 1), 503)
        assert (await next_of(client))["question"] == question

    asking(ask, report)


# From the command line -----------------------------------------------------------------------------------------------


def test_addresses_that_others_can_reach_need_a_key(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", str(report), "--host", "0.0.0.0"]) == 1
    assert "an API key is needed" in capsys.readouterr().err


def test_a_report_twice_or_none(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="named twice"):
        ask_people([report, report.parent / "report" / "."], StudyOptions(), LOCAL, host="localhost", port=0, say=print)
    assert cli.main(["study"]) == 1
    assert cli.main(["study", "result"]) == 1
    assert cli.main(["study", "result", str(report)]) == 1
    assert "answers" in capsys.readouterr().err


def test_what_is_left_of_a_line_is_told_where_the_study_begins(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_survey(report)
    with (report / "answers.jsonl").open("ab") as file:
        file.write(b'{"person": "')
    told: list[str] = []
    monkeypatch.setattr("ugatit_fast.study.server.host_app", lambda *_, **__: None)
    ask_people([report], StudyOptions(), LOCAL, host="localhost", port=0, say=told.append)
    assert "1 damaged line (2)" in told[0]
