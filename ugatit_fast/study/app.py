"""The study over HTTP: questions, their pictures, answers. Behind the server's guard (host, key).

    GET  /v1/study/next      person, and a question to come back to -> what to ask, or that all is answered
    GET  /v1/study/pictures  person, question -> the photo and the methods' pictures, as one form
    POST /v1/study/answer    person, question, and the number of the picture chosen, or null

All pictures of a question come in one answer, in the order that they are shown in and in files of one length, so that
neither addresses nor sizes nor times tell which method made which.
"""

import asyncio
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from ugatit_fast.errors import InputError
from ugatit_fast.serve.app import PAGE as SERVER_PAGE
from ugatit_fast.serve.app import add_problems
from ugatit_fast.serve.forms import Picture, form_of
from ugatit_fast.serve.guard import PAGE_PATH, Guard
from ugatit_fast.serve.metrics import Metrics
from ugatit_fast.serve.problems import Problem
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.serve.uploads import bounded, client_gone
from ugatit_fast.study.answers import PERSON
from ugatit_fast.study.options import StudyOptions
from ugatit_fast.study.questions import Question, Survey, questions_of
from ugatit_fast.version import __version__

PAGE = Path(__file__).with_name("page")
LONGEST_ANSWER_BYTES = 1024
REMEMBERED = 16
"""Questions whose pictures are kept encoded: a person asks for them once, and again only on going back."""
NO_STORE = {"Cache-Control": "no-store"}

Person = Annotated[str, Query(pattern=f"^{PERSON.pattern}$", description="The browser's random number, 32 hex digits.")]


class Study:
    """What is asked, and the answers so far."""

    def __init__(self, surveys: Sequence[Survey], options: StudyOptions) -> None:
        self.surveys, self.options = surveys, options
        self.form = lru_cache(REMEMBERED)(self.encode)

    def questions(self, person: str) -> list[Question]:
        for survey in self.surveys:
            survey.answers.refresh()
        return questions_of(self.surveys, person, self.options.questions)

    def find(self, person: str, name: str) -> tuple[list[Question], int]:
        """A person's questions, and which of them it is. Raises Problem."""
        questions = self.questions(person)
        for number, question in enumerate(questions):
            if question.id == name:
                return questions, number
        raise Problem(409, "this question isn't asked any more: reload the page, and the study goes on")

    def next(self, person: str, name: str | None) -> dict[str, object]:
        """What to ask: the question of that name or, without one, the first that isn't answered yet."""
        if name is None:
            questions = self.questions(person)
            left = [number for number, question in enumerate(questions) if answer_to(question, person) is None]
            number = left[0] if left else None
        else:
            questions, number = self.find(person, name)
        answered = sum(answer_to(question, person) is not None for question in questions)
        told: dict[str, object] = {"answered": answered, "total": len(questions), "question": None}
        if number is None:
            return told
        question = questions[number]
        return told | {
            "question": question.id,
            "number": number + 1,
            "target": question.survey.target_name,
            "pictures": len(question.order),
            "chosen": answer_to(question, person),
            "before": questions[number - 1].id if number else None,
        }

    def encode(self, person: str, name: str) -> tuple[bytes, str]:
        questions, number = self.find(person, name)
        photo, pictures = questions[number].pictures()
        named = {str(place): file for place, file in enumerate(pictures, 1)}
        return form_of({name: Picture(content, ".png") for name, content in {"photo": photo, **named}.items()})

    def answer(self, person: str, name: str, choice: int | None) -> None:
        """Raises Problem."""
        questions, number = self.find(person, name)
        question = questions[number]
        if choice is not None and not 1 <= choice <= len(question.order):
            raise Problem(422, f"there are pictures 1 to {len(question.order)}, got {choice}")
        if answer_to(question, person) == (choice or 0):
            return  # sent again, since the answer to it was lost
        method = None if choice is None else question.shown[choice - 1]
        try:
            question.survey.answers.append(person, question.photo.picture, method, question.shown)
        except InputError as error:
            raise Problem(503, "the answer can't be kept: tell who runs this study, and try again") from error


def answer_to(question: Question, person: str) -> int | None:
    """The number of the picture that a person chose, from 1; 0 for "can't say", None where there is no answer yet."""
    answer = question.survey.answers.latest.get((person, question.photo.picture))
    if answer is None:
        return None
    return 0 if answer.choice is None else question.shown.index(answer.choice) + 1


def create_app(settings: ServeSettings, surveys: Sequence[Survey], options: StudyOptions) -> FastAPI:
    """The app of a study; any ASGI server can host it."""
    study = Study(surveys, options)
    app = FastAPI(title="ugatit-fast study", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    add_problems(app)
    add_questions(app, study, settings)
    add_page(app)
    paths = frozenset(path for route in app.routes if (path := getattr(route, "path", "")).startswith("/v1/"))
    app.add_middleware(Guard, settings=settings, metrics=Metrics(), paths=paths)
    return app


def add_questions(app: FastAPI, study: Study, settings: ServeSettings) -> None:
    @app.get("/v1/study/next")
    def next_question(person: Person, response: Response, question: str | None = None) -> dict[str, object]:
        response.headers.update(NO_STORE)
        return study.next(person, question)

    @app.get("/v1/study/pictures")
    def pictures(person: Person, question: str) -> Response:
        content, media_type = study.form(person, question)
        return Response(content, media_type=media_type, headers=NO_STORE)

    @app.post("/v1/study/answer")
    async def answer(request: Request) -> Response:
        person, question, choice = given(await body_of(request, settings))
        await asyncio.to_thread(study.answer, person, question, choice)
        return Response(status_code=204)


async def body_of(request: Request, settings: ServeSettings) -> bytes:
    try:
        return await bounded(request, LONGEST_ANSWER_BYTES, settings.body_timeout_s).body()
    except ClientDisconnect as error:
        raise client_gone() from error


def given(body: bytes) -> tuple[str, str, int | None]:
    """The person, the question and the choice in the body of an answer. Raises Problem."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    match document:
        case {"person": str(person), "question": str(question), "choice": int() | None as choice} if PERSON.fullmatch(
            person
        ) and not isinstance(choice, bool):
            return person, question, choice
    raise Problem(422, 'expected {"person": 32 hex digits, "question": its id, "choice": a picture\'s number or null}')


def add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether the process is alive."""
        return Response("ok\n", media_type="text/plain")

    app.mount(f"{PAGE_PATH}/study", StaticFiles(directory=PAGE))
    app.mount(PAGE_PATH, StaticFiles(directory=SERVER_PAGE))  # its style, and how it asks for a key
