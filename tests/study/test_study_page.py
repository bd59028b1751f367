"""The study's page in Chromium: by keyboard and by finger, blind, and patient with a server that comes and goes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.chromium import launched, playwright
from tests.study.reports import write_fake_report
from ugatit_fast.serve.server import listen, server_of
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.study.answers import read_answers
from ugatit_fast.study.app import create_app
from ugatit_fast.study.options import StudyOptions
from ugatit_fast.study.questions import open_survey

KEY = "0123456789abcdef"
METHODS = ("CycleGAN", "MUNIT", "DRIT")


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture
def report(tmp_path: Path) -> Path:
    write_fake_report(tmp_path / "report", METHODS)
    return tmp_path / "report"


@contextmanager
def asked(report: Path, port: int = 0, key: str | None = None) -> Iterator[int]:
    """A study on a thread of this process; gives its port."""
    settings = ServeSettings(api_key=key)
    server = server_of(create_app(settings, [open_survey(report)], StudyOptions()), settings)
    with listen("127.0.0.1", port) as listening:
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def opened(
    browser: "playwright.Browser", address: str, width: int = 1280, height: int = 800
) -> Iterator["playwright.Page"]:
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 600)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    page.set_default_timeout(15_000)
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def choices(report: Path) -> list[str | None]:
    return [answer.choice for answer in read_answers(report / "answers.jsonl").latest.values()]


def test_by_keyboard_to_the_end_and_back(browser: "playwright.Browser", report: Path) -> None:
    with asked(report) as port, opened(browser, f"http://127.0.0.1:{port}/") as page:
        page.get_by_role("heading", name="Which is the best translation into anime faces?").wait_for()
        page.get_by_text("Question 1 of 3").wait_for()
        assert page.get_by_role("radio").count() == 4
        assert page.get_by_role("button", name="Next").is_disabled()
        page.keyboard.press("Enter")
        page.keyboard.press("2")
        assert page.get_by_role("radio", name="Picture 2").is_checked()
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("radio", name="Picture 3").is_checked()
        page.keyboard.press("Enter")
        page.get_by_text("Question 2 of 3").wait_for()
        assert page.evaluate("document.activeElement.id") == "title"
        assert page.locator("input:checked").count() == 0
        page.get_by_role("button", name="Back").click()
        page.get_by_text("Question 1 of 3").wait_for()
        assert page.get_by_role("radio", name="Picture 3").is_checked()
        page.keyboard.press("Enter")
        for number in (2, 3):
            page.get_by_text(f"Question {number} of 3").wait_for()
            page.keyboard.press("0")
            page.keyboard.press("Enter")
        page.get_by_text("All questions are answered").wait_for()
        page.reload()
        page.get_by_text("All questions are answered").wait_for()
        said = choices(report)
        assert said[1:] == [None, None]
        assert said[0] in METHODS
        page.get_by_role("button", name="Begin as another person").click()
        page.get_by_text("Question 1 of 3").wait_for()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.get_by_text("Question 2 of 3").wait_for()
        page.reload()
        page.get_by_text("Question 2 of 3").wait_for()
        assert len({person for person, _ in read_answers(report / "answers.jsonl").latest}) == 2


def test_on_a_phone_by_finger(browser: "playwright.Browser", report: Path) -> None:
    with asked(report) as port, opened(browser, f"http://127.0.0.1:{port}/", 390, 844) as page:
        page.get_by_text("Question 1 of 3").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#pictures label").nth(1).tap()
        page.get_by_role("button", name="Next").tap()
        page.get_by_text("Question 2 of 3").wait_for()
        assert page.evaluate("scrollY") == 0
    assert len(choices(report)) == 1


def test_the_page_holds_no_trace_of_the_methods(browser: "playwright.Browser", report: Path) -> None:
    """Nor do its requests: one for the pictures of each question, whatever they are."""
    with asked(report) as port, opened(browser, f"http://127.0.0.1:{port}/") as page:
        page.get_by_text("Question 1 of 3").wait_for()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.get_by_text("Question 2 of 3").wait_for()
        text = page.content().lower() + " ".join(requests).lower()
        for word in (*METHODS, ".jpg", ".png"):
            assert word.lower() not in text
        assert len([url for url in requests if "pictures" in url]) == 1
        boxes = [page.locator("#pictures img").nth(place).bounding_box() for place in range(3)]
        assert len({(box["width"], box["height"]) for box in boxes if box}) == 1


def test_a_server_that_is_started_again_is_waited_for(browser: "playwright.Browser", report: Path) -> None:
    """While it is gone the page says so, with the choice still there; then it goes on by itself."""
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        port = first.enter_context(asked(report))
        page = stack.enter_context(opened(browser, f"http://127.0.0.1:{port}/"))
        page.get_by_text("Question 1 of 3").wait_for()
        page.keyboard.press("1")
        first.close()
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("can't be reached").wait_for()
        assert page.get_by_role("radio", name="Picture 1").is_checked()
        stack.enter_context(asked(report, port))
        page.get_by_text("Question 2 of 3").wait_for()
        assert page.locator("#trouble").is_hidden()
    assert len(choices(report)) == 1


def test_another_study_at_the_same_address_is_said(browser: "playwright.Browser", report: Path, tmp_path: Path) -> None:
    write_fake_report(tmp_path / "other", METHODS, photos=5)
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        port = first.enter_context(asked(report))
        page = stack.enter_context(opened(browser, f"http://127.0.0.1:{port}/"))
        page.get_by_text("Question 1 of 3").wait_for()
        page.keyboard.press("1")
        first.close()
        stack.enter_context(asked(tmp_path / "other", port))
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("isn't asked any more").wait_for()
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("Question 1 of 5").wait_for()


def test_a_link_brings_the_key(browser: "playwright.Browser", report: Path) -> None:
    with asked(report, key=KEY) as port:
        with opened(browser, f"http://127.0.0.1:{port}/#{KEY}") as page:
            page.get_by_text("Question 1 of 3").wait_for()
            assert KEY not in page.url
        with opened(browser, f"http://127.0.0.1:{port}/") as page:
            page.get_by_label("This server asks for a key").fill(KEY)
            page.get_by_role("button", name="Go on").click()
            page.get_by_text("Question 1 of 3").wait_for()
